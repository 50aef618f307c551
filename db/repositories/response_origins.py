"""Queries on responses that were brought in: what they say now, and whether anybody worked on them since."""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Row, exists, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from db.models.response_life import ResponseComment, ResponseTag
from db.models.responses import Response
from db.repositories.responses import PURGED


class ResponseOriginRepository:
    """The responses of one tenant by their ids, in the trash or not."""

    def __init__(self, session: AsyncSession, tenant_id: str) -> None:
        self._session = session
        self._tenant_id = tenant_id

    async def contents(self, ids: Collection[str]) -> Sequence[Row[Any]]:
        """What was stored of responses."""
        names = (Response.id, Response.form_id, Response.version, Response.status, Response.answers, Response.meta)
        columns: list[Any] = [*map(col, names), col(Response.submitted_by), col(Response.submitted_at)]
        mine = col(Response.tenant_id) == self._tenant_id, col(Response.id).in_(ids)
        return (await self._session.execute(select(*columns).where(*mine))).all()

    async def touched(self, form_id: str, ids: Collection[str]) -> frozenset[str]:
        """Those of these responses of a form that were changed, reviewed, assigned, commented, tagged or trashed."""
        mine = self._of(form_id), col(Response.id).in_(ids), self._is_touched()
        return frozenset((await self._session.scalars(select(col(Response.id)).where(*mine))).all())

    async def any_touched(self, form_id: str) -> bool:
        """Whether the form has such a response."""
        query = select(col(Response.id)).where(self._of(form_id), self._is_touched()).limit(1)
        return (await self._session.execute(query)).first() is not None

    def _of(self, form_id: str) -> ColumnElement[bool]:
        return (
            (col(Response.tenant_id) == self._tenant_id)
            & (col(Response.form_id) == form_id)
            & (col(Response.status) != PURGED)
        )

    def _is_touched(self) -> ColumnElement[bool]:
        def has(other: type[ResponseComment] | type[ResponseTag]) -> ColumnElement[bool]:
            theirs = col(other.tenant_id) == self._tenant_id, col(other.response_id) == col(Response.id)
            return exists().where(*theirs)

        return or_(
            col(Response.revision) > 1,
            col(Response.updated_at).is_not(None),
            col(Response.review).is_not(None),
            col(Response.assignee).is_not(None),
            col(Response.deleted_at).is_not(None),
            has(ResponseComment),
            has(ResponseTag),
        )
