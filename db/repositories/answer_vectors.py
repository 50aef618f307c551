"""The directions of answers, as an index of them reads them."""

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from sqlalchemy import and_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from db.models.forms import FormCounter
from db.models.inference import AnswerVector
from db.models.responses import Response
from db.repositories.answer_sql import sql_of
from db.repositories.responses import COMPLETE


class Directed(NamedTuple):
    """An answer by its number in the index of the form."""

    number: int
    response_id: str
    field: str
    model: str
    vector: bytes


class Following(NamedTuple):
    """The responses that changed after a change, whose vectors they are by now, and the number of the last of them.
    `is_purged`: one of them is gone for good."""

    response_ids: Sequence[str]
    there: Sequence[Directed]
    last: int
    is_purged: bool


class AnswerVectorRepository:
    """The vectors of one form."""

    def __init__(self, session: AsyncSession, tenant_id: str, form_id: str) -> None:
        self._session = session
        self._tenant_id = tenant_id
        self._form_id = form_id
        self._sql = sql_of(session.get_bind().dialect.name)

    async def last_change(self) -> int:
        """The number of the form's last change."""
        statement = select(col(FormCounter.changes)).where(
            col(FormCounter.tenant_id) == self._tenant_id, col(FormCounter.form_id) == self._form_id
        )
        return await self._session.scalar(statement) or 0

    async def following(self, change: int, limit: int) -> Following:
        """The next responses by their last change."""
        statement = (
            select(col(Response.id), col(Response.change), col(Response.status), col(Response.deleted_at))
            .where(
                col(Response.tenant_id) == self._tenant_id,
                col(Response.form_id) == self._form_id,
                col(Response.change) > change,
            )
            .order_by(col(Response.change))
            .limit(limit)
        )
        rows = (await self._session.execute(statement)).all()
        there = [row.id for row in rows if row.deleted_at is None and row.status == COMPLETE]
        found = await self._of(self._sql.is_in(col(AnswerVector.response_id), there)) if there else []
        return Following(
            [row.id for row in rows],
            found,
            rows[-1].change if rows else change,
            any(row.status == "purged" for row in rows),
        )

    async def named(self, numbers: Collection[int]) -> dict[int, Directed]:
        """The answers that these numbers name, of responses that are there."""
        statement = self._there().where(col(AnswerVector.number).in_(numbers))
        return {row.number: Directed(*row) for row in await self._session.execute(statement)}

    async def newest(self, field: str, model: str, before: str | None, limit: int) -> list[Directed]:
        """The answers to a field whose vectors a model made, of responses that are there, the one made last first;
        `before` is the response of the last one that was read."""
        statement = self._there().where(col(AnswerVector.field) == field, col(AnswerVector.model) == model)
        if before is not None:
            statement = statement.where(col(AnswerVector.response_id) < before)
        ordered = statement.order_by(col(AnswerVector.response_id).desc()).limit(limit)
        return [Directed(*row) for row in await self._session.execute(ordered)]

    async def of_responses(self, response_ids: Collection[str]) -> list[Directed]:
        """The vectors of these responses."""
        return await self._of(self._sql.is_in(col(AnswerVector.response_id), sorted(response_ids)))

    async def latest(self, field: str | None, fields: Collection[str], limit: int) -> list[Directed]:
        """The vectors of the responses that were made last, except of these `fields`."""
        conditions: list[Any] = [col(AnswerVector.field).not_in(fields)]
        if field is not None:
            conditions.append(col(AnswerVector.field) == field)
        statement = self._select().where(*conditions).order_by(col(AnswerVector.response_id).desc()).limit(limit)
        return [Directed(*row) for row in await self._session.execute(statement)]

    async def _of(self, condition: Any) -> list[Directed]:
        return [Directed(*row) for row in await self._session.execute(self._select().where(condition))]

    def _there(self) -> Any:
        """Those of responses that are neither in the trash nor in quarantine."""
        same = and_(
            col(Response.tenant_id) == col(AnswerVector.tenant_id), col(Response.id) == col(AnswerVector.response_id)
        )
        return (
            self._select()
            .join(Response, same)
            .where(col(Response.deleted_at).is_(None), col(Response.status) == COMPLETE)
        )

    def _select(self) -> Any:
        names = ("number", "response_id", "field", "model", "vector")
        return select(*(col(getattr(AnswerVector, name)) for name in names)).where(
            col(AnswerVector.tenant_id) == self._tenant_id, col(AnswerVector.form_id) == self._form_id
        )
