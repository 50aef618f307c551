"""INSERT … ON CONFLICT, which both dialects have under different imports."""

from typing import Any

from sqlalchemy import Connection
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession


def upsert(session: AsyncSession | Connection, table: type[Any]) -> postgresql.Insert | sqlite.Insert:
    """An insert into `table` that accepts `on_conflict_do_nothing` and `on_conflict_do_update`."""
    bind = session if isinstance(session, Connection) else session.get_bind()
    if bind.dialect.name == "sqlite":
        return sqlite.insert(table)
    return postgresql.insert(table)


def upsert_on(connection: Connection, table: type[Any]) -> postgresql.Insert | sqlite.Insert:
    """The same for a synchronous connection."""
    return sqlite.insert(table) if connection.dialect.name == "sqlite" else postgresql.insert(table)
