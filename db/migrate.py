"""Bring a database to the newest version of the schema, and tell which version it has."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from db.engine import owner_engine
from db.errors import DatabaseError
from db.settings import DatabaseSettings

_LOCK = 7_302_604_118  # any constant: two processes that migrate at once take turns on it
_TICK_S = 0.2
_LOCK_NOT_AVAILABLE = "55P03"


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a migration may be in the way of others, on PostgreSQL.

    It waits for the lock of a table for `lock_s` seconds, while whoever comes after it queues, lets everybody pass for
    `pause_s`, and gives up after so many `attempts`. `turn_s` is for another process that migrates.
    """

    lock_s: float = 5.0
    pause_s: float = 5.0
    attempts: int = 6
    turn_s: float = 900.0


_PATIENCE = Patience()


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


def is_ahead(revision: str) -> bool:
    """Whether the revision is of a newer version of the code, whose schema this one works with too."""
    return not knows(revision) and revision > head_revision()


def apply(connection: Connection, action: str, revision: str) -> None:
    """`upgrade` or `downgrade` in the transaction that the connection is in; whoever began it ends it."""
    _apply(connection, action, revision, commits=False)


def _apply(connection: Connection, action: str, revision: str, *, commits: bool = True) -> None:
    alembic = config()
    alembic.attributes["connection"] = connection
    alembic.attributes["commits"] = commits
    getattr(command, action)(alembic, revision)


async def _run(settings: DatabaseSettings, action: str, revision: str, patience: Patience) -> None:
    engine = owner_engine(settings)
    try:
        async with engine.connect() as connection:
            if settings.is_sqlite:
                await _patiently(connection, action, revision, patience)
                return
            async with _turn(connection, patience):
                await _patiently(connection, action, revision, patience)
    except (DBAPIError, OSError) as error:
        raise DatabaseError(f"the database cannot be migrated: {getattr(error, 'orig', error)}") from error
    finally:
        await engine.dispose()


@asynccontextmanager
async def _turn(connection: AsyncConnection, patience: Patience) -> AsyncIterator[None]:
    """Be the only one who migrates."""
    deadline = time.monotonic() + patience.turn_s
    # Asked again and again, not waited for: the transaction of a statement that waits would keep an index that
    # another process builds from being finished, for good.
    while not await connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": _LOCK}):
        await connection.rollback()
        if time.monotonic() > deadline:
            raise DatabaseError("another process migrates the database, and is not done")
        await asyncio.sleep(_TICK_S)
    await connection.commit()
    try:
        yield
    finally:
        await connection.rollback()
        await connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": _LOCK})
        await connection.commit()


async def _patiently(connection: AsyncConnection, action: str, revision: str, patience: Patience) -> None:
    """Each migration is a transaction: another attempt goes on where the last one gave up."""
    for attempt in range(1, patience.attempts + 1):
        if connection.dialect.name == "postgresql":
            await connection.execute(
                text("SELECT set_config('lock_timeout', :wait, false)"), {"wait": f"{patience.lock_s * 1000:.0f}ms"}
            )
            await connection.commit()
        try:
            current = await connection.run_sync(revision_of)
            await connection.rollback()
            if current is not None and not knows(current):
                if revision == "head" and is_ahead(current):
                    return
                raise DatabaseError(f"this version of Formstream knows no revision {current}, which the database has")
            await connection.run_sync(_apply, action, revision)
            await connection.commit()
        except DBAPIError as error:
            await connection.rollback()
            if getattr(error.orig, "sqlstate", None) != _LOCK_NOT_AVAILABLE:
                raise
            if attempt == patience.attempts:
                raise DatabaseError(
                    f"the database cannot be migrated now, since a table is in use: it was tried {attempt} times, each"
                    " migration is done or not begun; try again, or see who holds a lock (pg_locks)"
                ) from error
            await asyncio.sleep(patience.pause_s)
        else:
            return


def revision_of(connection: Connection) -> str | None:
    """The revision the database is at, or None when it is empty."""
    return MigrationContext.configure(connection).get_current_revision()


async def upgrade(settings: DatabaseSettings, revision: str = "head", patience: Patience = _PATIENCE) -> None:
    """Apply every missing migration; none is missing where a newer version of the code has been. Raises DatabaseError
    with the reason."""
    await _run(settings, "upgrade", revision, patience)


async def downgrade(settings: DatabaseSettings, revision: str, patience: Patience = _PATIENCE) -> None:
    """Take migrations back to `revision` (`base` for none). Raises DatabaseError with the reason."""
    await _run(settings, "downgrade", revision, patience)


async def current_revision(settings: DatabaseSettings) -> str | None:
    """The revision the database is at, or None when it is empty."""
    engine = owner_engine(settings, writes=False)
    try:
        async with engine.connect() as connection:
            return await connection.run_sync(revision_of)
    finally:
        await engine.dispose()


def run_upgrade(settings: DatabaseSettings) -> None:
    """`upgrade` for callers without an event loop."""
    asyncio.run(upgrade(settings))
