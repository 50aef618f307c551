"""How much a tenant holds."""

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from db.models.forms import Form, FormCounter
from db.repositories.storage import StorageRepository
from db.repositories.users import UserRepository
from db.repositories.webhooks import WebhookRepository


class UsageRepository:
    """What one tenant holds, counted from the rows themselves."""

    def __init__(self, session: AsyncSession, tenant_id: str) -> None:
        self._session = session
        self._tenant_id = tenant_id

    async def forms(self) -> int:
        """Forms that are not deleted."""
        mine = (col(Form.tenant_id) == self._tenant_id, col(Form.deleted_at).is_(None))
        return await self._session.scalar(select(func.count()).select_from(Form).where(*mine)) or 0

    async def responses(self) -> int:
        """Responses of all forms, deleted ones included, from their counters."""
        total = select(func.sum(col(FormCounter.responses))).where(col(FormCounter.tenant_id) == self._tenant_id)
        return int(await self._session.scalar(total) or 0)

    async def largest_form(self) -> int:
        """Responses of the form that has most of them."""
        most = select(func.max(col(FormCounter.responses))).where(col(FormCounter.tenant_id) == self._tenant_id)
        return await self._session.scalar(most) or 0

    async def users(self) -> int:
        """People with an account that is not deactivated."""
        return await UserRepository(self._session, self._tenant_id).count_active()

    async def webhooks(self) -> int:
        """Webhook endpoints."""
        return await WebhookRepository(self._session, self._tenant_id).count()

    async def storage_bytes(self) -> int:
        """Bytes of files."""
        return await StorageRepository(self._session, self._tenant_id).used()
