"""Bring a database to the newest version of the schema, and tell which version it has."""

import asyncio
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from db.engine import owner_engine
from db.errors import DatabaseError
from db.settings import DatabaseSettings

_LOCK = 7_302_604_118  # any constant: two processes that migrate at once take turns on it


def config() -> Config:
    """Alembic's configuration, wherever the package is installed."""
    result = Config()
    result.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    result.set_main_option("path_separator", "os")
    return result


def head_revision() -> str:
    """The newest revision that this code knows."""
    head = ScriptDirectory.from_config(config()).get_current_head()
    if head is None:
        raise DatabaseError("the package holds no migrations")
    return head


def knows(revision: str) -> bool:
    """Whether the revision is one of this code's."""
    try:
        return ScriptDirectory.from_config(config()).get_revision(revision) is not None
    except CommandError:
        return False


def apply(connection: Connection, action: str, revision: str) -> None:
    """`upgrade` or `downgrade` in the transaction that the connection is in; whoever began it ends it."""
    alembic = config()
    alembic.attributes["connection"] = connection
    getattr(command, action)(alembic, revision)


def _on_connection(connection: Connection, action: str, revision: str) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _LOCK})
        connection.commit()
    try:
        apply(connection, action, revision)
        connection.commit()
    finally:
        if connection.dialect.name == "postgresql":
            connection.rollback()
            connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": _LOCK})
            connection.commit()


async def _run(settings: DatabaseSettings, action: str, revision: str) -> None:
    engine = owner_engine(settings)
    try:
        async with engine.connect() as connection:
            await connection.run_sync(_on_connection, action, revision)
    except (DBAPIError, OSError) as error:
        raise DatabaseError(f"the database cannot be migrated: {getattr(error, 'orig', error)}") from error
    finally:
        await engine.dispose()


def revision_of(connection: Connection) -> str | None:
    """The revision the database is at, or None when it is empty."""
    return MigrationContext.configure(connection).get_current_revision()


async def upgrade(settings: DatabaseSettings, revision: str = "head") -> None:
    """Apply every missing migration. Raises DatabaseError with the reason."""
    await _run(settings, "upgrade", revision)


async def downgrade(settings: DatabaseSettings, revision: str) -> None:
    """Take migrations back to `revision` (`base` for none)."""
    await _run(settings, "downgrade", revision)


async def current_revision(settings: DatabaseSettings) -> str | None:
    """The revision the database is at, or None when it is empty."""
    engine = owner_engine(settings)
    try:
        async with engine.connect() as connection:
            return await connection.run_sync(revision_of)
    finally:
        await engine.dispose()


def run_upgrade(settings: DatabaseSettings) -> None:
    """`upgrade` for callers without an event loop."""
    asyncio.run(upgrade(settings))
