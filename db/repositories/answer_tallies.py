"""How often each value was answered within a span of time."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, TypeAlias

import orjson
from sqlalchemy import Text, cast, column, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from db.models.responses import Response

Tally: TypeAlias = tuple[str, Any, int]
"""Field, answer as it is stored, and how often it was given."""


class AnswerTallyRepository:
    """Answers of one tenant, counted by value. Reads all responses of the span once."""

    def __init__(self, session: AsyncSession, tenant_id: str) -> None:
        self._session = session
        self._tenant_id = tenant_id

    async def responses(self, form_id: str, since: datetime, until: datetime) -> int:
        """How many complete responses there are from `since` to before `until`."""
        statement = select(func.count()).select_from(Response).where(*self._within(form_id, since, until))
        return await self._session.scalar(statement) or 0

    async def between(
        self, form_id: str, fields: Sequence[str], since: datetime, until: datetime, limit: int
    ) -> list[Tally]:
        """The answers to some fields of complete responses from `since` to before `until`; at most `limit` of
        different values, in no order."""
        is_sqlite = self._session.get_bind().dialect.name == "sqlite"
        kind: Any
        if is_sqlite:
            each = func.json_each(Response.answers).table_valued("key", "value", "type")
            kind, value = each.c.type, cast(each.c.value, Text)
        else:
            each = func.jsonb_each(Response.answers).table_valued(column("key"), column("value"))
            kind, value = func.jsonb_typeof(each.c.value), cast(each.c.value, Text)
        statement = (
            select(each.c.key, kind, value, func.count())
            .select_from(Response)
            .join(each, each.c.key.in_(fields))
            .where(*self._within(form_id, since, until))
            .group_by(each.c.key, kind, value)
            .limit(limit)
        )
        rows = (await self._session.execute(statement)).all()
        return [(field, _read(kind, value, is_sqlite=is_sqlite), count) for field, kind, value, count in rows]

    def _within(self, form_id: str, since: datetime, until: datetime) -> tuple[Any, ...]:
        return (
            col(Response.tenant_id) == self._tenant_id,
            col(Response.form_id) == form_id,
            col(Response.status) == "complete",
            col(Response.deleted_at).is_(None),
            col(Response.submitted_at) >= since,
            col(Response.submitted_at) < until,
        )


def _read(kind: str, value: str, *, is_sqlite: bool) -> Any:
    """The answer of a text that the database made of it: SQLite writes texts and truths without JSON's signs."""
    if is_sqlite and kind in ("true", "false"):
        return kind == "true"
    return value if is_sqlite and kind == "text" else orjson.loads(value)
