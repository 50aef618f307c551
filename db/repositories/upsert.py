"""INSERT … ON CONFLICT, which both dialects have under different imports."""

from typing import Any

from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession


def upsert(session: AsyncSession, table: type[Any]) -> postgresql.Insert | sqlite.Insert:
    """An insert into `table` that accepts `on_conflict_do_nothing` and `on_conflict_do_update`."""
    if session.get_bind().dialect.name == "sqlite":
        return sqlite.insert(table)
    return postgresql.insert(table)
