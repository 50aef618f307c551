"""How busy the connections of a process are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from deployments.kit.process_numbers import PoolNumbers

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

    from db.session import Database


def pools_of(database: Database) -> list[PoolNumbers]:
    """The pools of a database: SQLite has one that reads and one that writes, PostgreSQL one for both."""
    pools = [_numbers("write", database.writer)]
    if database.reader is not database.writer:
        pools.append(_numbers("read", database.reader))
    return pools


def _numbers(role: Literal["read", "write"], engine: AsyncEngine) -> PoolNumbers:
    pool: Any = engine.pool  # of connections that are queued for: the only kind that we make
    return PoolNumbers(role=role, in_use=pool.checkedout(), size=pool.size())
