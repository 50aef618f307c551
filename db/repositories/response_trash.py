"""Queries for the trash: responses that can be brought back, and those that cannot any more."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, and_, delete, func, insert, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from db.models.forms import Form
from db.models.responses import IN_TRASH, Response
from db.repositories.response_filters import Condition, Filtering
from db.repositories.responses import PURGED, ResponseRepository


class ResponseTrashRepository:
    """The trashed responses of one tenant's forms that are not in the trash themselves."""

    def __init__(self, session: AsyncSession, tenant_id: str) -> None:
        self._session = session
        self._tenant_id = tenant_id
        self._filtering = Filtering(session.get_bind().dialect.name)

    async def find(self, response_id: str, *, for_update: bool = False) -> Response | None:
        statement = (
            select(Response)
            .join(Form, and_(col(Form.tenant_id) == col(Response.tenant_id), col(Form.id) == col(Response.form_id)))
            .where(
                col(Response.tenant_id) == self._tenant_id,
                col(Response.id) == response_id,
                IN_TRASH,
                col(Form.deleted_at).is_(None),
            )
        )
        return await self._session.scalar(statement.with_for_update(of=Response) if for_update else statement)

    async def page(
        self, form_id: str, before: tuple[datetime, str] | None, limit: int, columns: Sequence[str]
    ) -> Sequence[Row[Any]]:
        """The named columns of what is in the trash of a form, latest first, before a moment and an id."""
        at, id_ = col(Response.deleted_at), col(Response.id)
        statement = (
            select(*self._filtering.picked(Response, columns))
            .where(col(Response.tenant_id) == self._tenant_id, col(Response.form_id) == form_id, IN_TRASH)
            .order_by(at.desc(), id_.desc())
            .limit(limit)
        )
        if before is not None:
            moment, last = before
            # The redundant bound lets both dialects seek in the index.
            statement = statement.where(at <= moment, or_(at < moment, and_(at == moment, id_ < last)))
        return (await self._session.execute(statement)).all()

    async def ids(self, form_id: str, matching: Condition, *, after_id: str, limit: int) -> Sequence[str]:
        """The ids of what is in the trash of a form and matches, in order, after `after_id`."""
        statement = select(col(Response.id)).where(*self._matching(form_id, matching), col(Response.id) > after_id)
        return (await self._session.scalars(statement.order_by(col(Response.id)).limit(limit))).all()

    async def count_matching(self, form_id: str, matching: Condition) -> int:
        """How much of what is in the trash of a form matches."""
        statement = select(func.count()).select_from(Response).where(*self._matching(form_id, matching))
        return await self._session.scalar(statement) or 0

    def _matching(self, form_id: str, matching: Condition) -> tuple[Any, ...]:
        mine = col(Response.tenant_id) == self._tenant_id, col(Response.form_id) == form_id
        return *mine, IN_TRASH, self._filtering.condition(matching, Response)

    async def due(self, form_id: str, deleted_before: datetime, limit: int) -> Sequence[str]:
        """The ids of a form's responses that went to the trash before a moment, oldest first."""
        statement = (
            select(col(Response.id))
            .where(
                col(Response.tenant_id) == self._tenant_id,
                col(Response.form_id) == form_id,
                col(Response.deleted_at) <= deleted_before,
                IN_TRASH,
            )
            .order_by(col(Response.deleted_at), col(Response.id))
            .limit(limit)
        )
        return (await self._session.scalars(statement)).all()

    async def outlived(self, form_id: str, submitted_before: datetime, limit: int) -> Sequence[str]:
        """The ids of a form's responses, in the trash or not, that were submitted before a moment, oldest first."""
        statement = (
            select(col(Response.id))
            .where(
                col(Response.tenant_id) == self._tenant_id,
                col(Response.form_id) == form_id,
                col(Response.submitted_at) <= submitted_before,
                col(Response.status) != PURGED,
            )
            .order_by(col(Response.submitted_at), col(Response.id))
            .limit(limit)
        )
        return (await self._session.scalars(statement)).all()

    async def purge(self, responses: Collection[Response], now: datetime) -> None:
        """Remove responses of one form for good, with everything that belongs to them.

        What is left of each is a row without content, which tells those who follow the changes that it is gone.
        """
        if not responses:
            return
        form_id = next(iter(responses)).form_id
        held = sum(row.deleted_at is None and row.status == "complete" for row in responses)
        changes = await ResponseRepository(self._session, self._tenant_id).next_changes(
            form_id, len(responses), more=-held
        )
        remains = [
            {
                "tenant_id": self._tenant_id,
                "id": row.id,
                "form_id": form_id,
                "version": row.version,
                "status": PURGED,
                "answers": {},
                "meta": {},
                "submitted_by": "",
                "submitted_at": row.submitted_at,
                "deleted_at": now,
                "change": change,
            }
            for change, row in enumerate(responses, changes.last - len(responses) + 1)
        ]
        for row in responses:
            self._session.expunge(row)
        # The row itself goes, because what refers to it goes with it.
        await self._session.execute(
            delete(Response)
            .where(col(Response.tenant_id) == self._tenant_id, col(Response.id).in_([row["id"] for row in remains]))
            .execution_options(synchronize_session=False)
        )
        connection = await self._session.connection()
        await connection.execute(insert(Response), remains)


class ResponseTrashDirectory:
    """The trash of all tenants: needs an unscoped unit."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def due_in_any_tenant(self, deleted_before: datetime, limit: int) -> Sequence[tuple[str, str]]:
        """The forms, by tenant and id, with responses that went to the trash before a moment."""
        statement = (
            select(col(Response.tenant_id), col(Response.form_id))
            .where(col(Response.deleted_at) <= deleted_before, IN_TRASH)
            .group_by(col(Response.tenant_id), col(Response.form_id))
            .order_by(col(Response.tenant_id), col(Response.form_id))
            .limit(limit)
        )
        return [(tenant_id, form_id) for tenant_id, form_id in await self._session.execute(statement)]

    async def limited_in_any_tenant(self, after: tuple[str, str], limit: int) -> Sequence[tuple[str, str, int]]:
        """The forms whose responses are kept for a time only, by tenant and id, and for how many days."""
        days = col(Form.settings)["retention_days"].as_integer()
        statement = (
            select(col(Form.tenant_id), col(Form.id), days)
            .where(days.is_not(None), tuple_(col(Form.tenant_id), col(Form.id)) > after)
            .order_by(col(Form.tenant_id), col(Form.id))
            .limit(limit)
        )
        return [(tenant_id, form_id, kept) for tenant_id, form_id, kept in await self._session.execute(statement)]
