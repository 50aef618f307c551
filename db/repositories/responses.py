"""Queries for stored responses."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import and_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from db.models.forms import Form, FormCounter
from db.models.responses import Response

COMPLETE: Final = "complete"
PARTIAL: Final = "partial"
QUARANTINED: Final = "quarantined"
PURGED: Final = "purged"


@dataclass(frozen=True, slots=True)
class Counted:
    """What a form's counter says after changes: the number of the last one, and how many responses are held."""

    last: int
    responses: int


class ResponseRepository:
    """The responses of one tenant that are not in the trash, nor their form."""

    def __init__(self, session: AsyncSession, tenant_id: str) -> None:
        self._session = session
        self._tenant_id = tenant_id
        self._mine = select(Response).where(
            col(Response.tenant_id) == tenant_id,
            col(Response.deleted_at).is_(None),
        )

    async def find(self, response_id: str, *, for_update: bool = False) -> Response | None:
        statement = self._mine.join(
            Form,
            and_(col(Form.tenant_id) == col(Response.tenant_id), col(Form.id) == col(Response.form_id)),
        ).where(col(Response.id) == response_id, col(Form.deleted_at).is_(None))
        return await self._session.scalar(statement.with_for_update(of=Response) if for_update else statement)

    async def chosen(self, form_id: str, ids: Collection[str]) -> Sequence[Response]:
        """Those of these responses that are the form's, by id, locked. In one order, so that nobody waits in a circle.

        Those in the trash are among them; `deleted_at` tells.
        """
        statement = (
            select(Response)
            .where(
                col(Response.tenant_id) == self._tenant_id,
                col(Response.form_id) == form_id,
                col(Response.id).in_(ids),
                col(Response.status) != PURGED,
            )
            .order_by(col(Response.id))
            .with_for_update()
            .execution_options(populate_existing=True)
        )
        return (await self._session.scalars(statement)).all()

    async def last_change(self, form_id: str) -> int:
        """The number of the last change of the form's responses."""
        statement = select(col(FormCounter.changes)).where(
            col(FormCounter.tenant_id) == self._tenant_id, col(FormCounter.form_id) == form_id
        )
        return await self._session.scalar(statement) or 0

    async def delete(self, response: Response, now: datetime, deleted_by: str = "") -> None:
        """Put a response in the trash and free its place in the form's limit; partial ones take none."""
        response.deleted_at, response.deleted_by, response.updated_at = now, deleted_by, now
        response.change = await self.next_change(response.form_id, more=-1 if response.status == COMPLETE else 0)

    async def next_change(self, form_id: str, *, more: int = 0) -> int:
        """The number for a change of one of the form's responses, to be written to it; `more` responses are held then.

        Other changes of the form's responses wait for the end of the transaction.
        """
        return (await self.next_changes(form_id, 1, more=more)).last

    async def next_changes(self, form_id: str, count: int, *, more: int = 0) -> Counted:
        """The same for `count` changes: their numbers end with `last`."""
        statement = (
            update(FormCounter)
            .where(col(FormCounter.tenant_id) == self._tenant_id, col(FormCounter.form_id) == form_id)
            .values(responses=col(FormCounter.responses) + more, changes=col(FormCounter.changes) + count)
            .returning(col(FormCounter.changes), col(FormCounter.responses))
        )
        row = (await self._session.execute(statement)).one()
        return Counted(last=row.changes, responses=row.responses)
