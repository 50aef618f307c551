"""Queries for stored responses."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import and_, exists, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from db.models.forms import Form, FormCounter
from db.models.response_life import ResponseTag
from db.models.responses import IN_TRASH, Response

COMPLETE: Final = "complete"
PARTIAL: Final = "partial"
QUARANTINED: Final = "quarantined"
PURGED: Final = "purged"


@dataclass(frozen=True, slots=True)
class Counted:
    """What a form's counter says after changes: the number of the last one, and how many responses are held."""

    last: int
    responses: int


@dataclass(frozen=True, slots=True)
class Selection:
    """Which responses of a form, in the trash or outside of it."""

    trashed: bool = False
    status: str | None = None
    tag: str | None = None
    submitted_from: datetime | None = None
    submitted_before: datetime | None = None


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
        statement = self._mine.where(col(Response.form_id) == form_id, col(Response.status) != QUARANTINED).limit(limit)
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
        statement = self._mine.where(col(Response.form_id) == form_id, col(Response.status) != QUARANTINED)
        return await self._session.scalar(select(func.count()).select_from(statement.subquery())) or 0

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

    async def ids(self, form_id: str, matching: Selection, *, after_id: str, limit: int) -> Sequence[str]:
        """The ids of the responses that match, in order, after `after_id`."""
        statement = select(col(Response.id)).where(*self._matching(form_id, matching), col(Response.id) > after_id)
        return (await self._session.scalars(statement.order_by(col(Response.id)).limit(limit))).all()

    async def count_matching(self, form_id: str, matching: Selection) -> int:
        """How many responses match."""
        statement = select(func.count()).select_from(Response).where(*self._matching(form_id, matching))
        return await self._session.scalar(statement) or 0

    def _matching(self, form_id: str, matching: Selection) -> list[Any]:
        conditions: list[Any] = [
            col(Response.tenant_id) == self._tenant_id,
            col(Response.form_id) == form_id,
            IN_TRASH if matching.trashed else col(Response.deleted_at).is_(None),
        ]
        if matching.status is not None:
            conditions.append(col(Response.status) == matching.status)
        if matching.submitted_from is not None:
            conditions.append(col(Response.submitted_at) >= matching.submitted_from)
        if matching.submitted_before is not None:
            conditions.append(col(Response.submitted_at) < matching.submitted_before)
        if matching.tag is not None:
            conditions.append(
                exists().where(
                    col(ResponseTag.tenant_id) == col(Response.tenant_id),
                    col(ResponseTag.response_id) == col(Response.id),
                    col(ResponseTag.tag) == matching.tag,
                )
            )
        return conditions

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
