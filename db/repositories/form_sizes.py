"""How much there is of a form."""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from db.models.forms import FormCounter


class FormSizeRepository:
    """The sizes of one tenant's forms."""

    def __init__(self, session: AsyncSession, tenant_id: str) -> None:
        self._session = session
        self._tenant_id = tenant_id

    async def size(self, form_id: str) -> tuple[int, int]:
        """The number of responses, and that of the last change."""
        statement = select(col(FormCounter.responses), col(FormCounter.changes)).where(
            col(FormCounter.tenant_id) == self._tenant_id, col(FormCounter.form_id) == form_id
        )
        row = (await self._session.execute(statement)).one_or_none()
        return (0, 0) if row is None else (row.responses, row.changes)
