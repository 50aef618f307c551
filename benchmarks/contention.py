"""What PostgreSQL says of who waits for whom: sampled while something runs, and counted from before it to after it."""

import asyncio
from collections import Counter
from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import Self, TypeVar

import asyncpg

Result = TypeVar("Result")

_LOOK_S = 0.1

# Who waits to write the log waits for the disk, which whoever writes it holds the lock over.
_LOG = frozenset({"WALWrite", "WalWrite", "WalSync"})

_SESSIONS = """
SELECT state, wait_event_type, wait_event FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
"""
_COUNTS = """
SELECT
    (SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()) AS deadlocks,
    (SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()) AS commits,
    (SELECT sum(fsyncs)::bigint FROM pg_stat_io WHERE object = 'wal') AS syncs,
    (SELECT count(*) FROM response) AS responses,
    (SELECT count(DISTINCT xmin::text) FROM response) AS groups
"""


@dataclass(frozen=True, slots=True)
class Counts:
    """Since the database was made, or the server: deadlocks, transactions, times that the log was brought to the disk,
    responses, and the transactions that these were stored in."""

    deadlocks: int
    commits: int
    syncs: int
    responses: int
    groups: int

    def since(self, before: Self) -> "Counts":
        """What has come since then."""
        return Counts(*(getattr(self, name) - getattr(before, name) for name in Counts.__slots__))


@dataclass(slots=True)
class Sessions:
    """How many sessions there were at most, and in each look did what: worked, waited for a lock of another session
    (a row, a transaction), for one within the server, for its log to be on the disk."""

    looks: int = 0
    most: int = 0
    seen: Counter[str] = field(default_factory=Counter)

    def mean(self, what: str) -> float:
        """Sessions that did it, on average."""
        return self.seen[what] / self.looks if self.looks else 0.0


async def counts(uri: str) -> Counts:
    """What the server has counted so far, and the responses that are stored in so many transactions."""
    connection = await asyncpg.connect(uri)
    try:
        return Counts(**dict(await connection.fetchrow(_COUNTS)))
    finally:
        await connection.close()


async def watched(uri: str, running: Awaitable[Result]) -> tuple[Result, Sessions]:
    """What comes of it, and what the sessions did meanwhile."""
    sessions = Sessions()
    connection = await asyncpg.connect(uri)
    watching = asyncio.create_task(_watch(connection, sessions))
    try:
        return await running, sessions
    finally:
        watching.cancel()
        await asyncio.wait({watching})
        await connection.close()


async def _watch(connection: asyncpg.Connection, sessions: Sessions) -> None:
    while True:
        rows = await connection.fetch(_SESSIONS)
        sessions.looks += 1
        sessions.most = max(sessions.most, len(rows))
        sessions.seen.update(_doing(*row) for row in rows)
        await asyncio.sleep(_LOOK_S)


def _doing(state: str | None, kind: str | None, event: str | None) -> str:
    """What a session does."""
    if state != "active":
        return state or "unknown"
    if event in _LOG:
        return "log"
    return kind if kind in {"Lock", "LWLock"} else "active"
