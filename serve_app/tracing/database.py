"""Spans of transactions."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractContextManager, asynccontextmanager
from typing import Final

from opentelemetry.trace import SpanContext, SpanKind
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from db.session import Database
from db.settings import DatabaseSettings
from serve_app.tracing.tracer import Tracer, current

_TRANSACTION: Final = "db transaction"


class TracedDatabase(Database):
    """A database whose transactions are spans, with the wait for a connection and the commit in them."""

    def __init__(self, settings: DatabaseSettings, tracer: Tracer) -> None:
        super().__init__(settings)
        self._tracer = tracer
        self._system = "sqlite" if settings.is_sqlite else "postgresql"

    @asynccontextmanager
    async def connect(self, engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
        facts = {"db.system.name": self._system}
        with self._tracer.here(_TRANSACTION, facts, SpanKind.CLIENT):
            async with super().connect(engine) as connection:
                yield connection


class TracedGroups:
    """Each caller of a group commit sees it in its own trace."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    def joins(self) -> SpanContext:
        return current()

    def commits(self, callers: Sequence[SpanContext]) -> AbstractContextManager[None]:
        return self._tracer.together("group commit", callers, {"formstream.group_size": len(callers)})
