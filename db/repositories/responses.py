"""Queries for stored responses."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import and_, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from db.models.forms import Form, FormCounter
from db.models.responses import Response


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

    async def page(
        self, form_id: str, *, after: tuple[datetime, str] | None, limit: int, newest_first: bool
    ) -> Sequence[Response]:
        """Responses of a form in order of submission, beyond `after` (a time and an id)."""
        at, id_ = col(Response.submitted_at), col(Response.id)
        statement = self._mine.where(col(Response.form_id) == form_id).limit(limit)
        statement = statement.order_by(at.desc(), id_.desc()) if newest_first else statement.order_by(at, id_)
        if after is not None:
            moment, last = after
            beyond = at < moment if newest_first else at > moment
            tie = id_ < last if newest_first else id_ > last
            # The redundant bound lets both dialects seek in the index.
            bound = at <= moment if newest_first else at >= moment
            statement = statement.where(bound, or_(beyond, and_(at == moment, tie)))
        return (await self._session.scalars(statement)).all()

    async def count(self, form_id: str) -> int:
        """How many responses the form has; costs a scan of its index."""
        statement = self._mine.where(col(Response.form_id) == form_id)
        return await self._session.scalar(select(func.count()).select_from(statement.subquery())) or 0

    async def delete(self, response: Response, now: datetime) -> None:
        """Put a response in the trash and free its place in the form's limit."""
        response.deleted_at = now
        response.change = await self.next_change(response.form_id, more=-1)

    async def next_change(self, form_id: str, *, more: int = 0) -> int:
        """The number for a change of one of the form's responses, to be written to it; `more` responses are held then.

        Other changes of the form's responses wait for the end of the transaction.
        """
        statement = (
            update(FormCounter)
            .where(col(FormCounter.tenant_id) == self._tenant_id, col(FormCounter.form_id) == form_id)
            .values(responses=col(FormCounter.responses) + more, changes=col(FormCounter.changes) + 1)
            .returning(col(FormCounter.changes))
        )
        return (await self._session.scalars(statement)).one()
