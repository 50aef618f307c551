"""One moment of a whole database, read while others write."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import asyncpg  # type: ignore[import-untyped]
from sqlalchemy import func, select, table, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlmodel import col

from db.backup.sqlite_file import copy_pages, database_file
from db.engine import owner_engine, sqlite_engine
from db.errors import DatabaseError, DatabaseUnavailable
from db.models.audit import AuditHead
from db.models.events import StreamState
from db.roles import SYSTEM_ROLE
from db.settings import DatabaseSettings
from db.types import utc_now

_QUEUED_PIECES: Final = 8
_TABLES: Final = {
    "sqlite": "SELECT m.name, c.name FROM sqlite_master m, pragma_table_info(m.name) c"
    " WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%' ORDER BY m.name, c.cid",
    "postgresql": "SELECT c.relname, a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid"
    " WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace AND a.attnum > 0 AND NOT a.attisdropped"
    " AND a.attgenerated = '' ORDER BY c.relname COLLATE \"C\", a.attnum",
}
REVISIONS: Final = "alembic_version"
"""The table that says which schema the others have."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table and the columns that a copy of it has, in their order."""

    name: str
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Head:
    """The end of a tenant's audit trail."""

    tenant_id: str
    sequence: int
    hash: str


@dataclass(frozen=True, slots=True)
class Position:
    """How far a stream was."""

    stream: str
    last_seq: int
    needed_since: datetime


class Snapshot:
    """What is read from it is of one moment, of all tenants. `connection` is for reads only."""

    def __init__(self, connection: AsyncConnection, revision: str, tables: tuple[Table, ...]) -> None:
        self.connection = connection
        self.revision = revision
        self.tables = tables
        self.taken_at = utc_now()

    async def count(self, name: str) -> int:
        """How many rows a table has."""
        return await self.connection.scalar(select(func.count()).select_from(table(name))) or 0

    async def heads(self) -> list[Head]:
        """The end of every tenant's audit trail."""
        head = select(col(AuditHead.tenant_id), col(AuditHead.sequence), col(AuditHead.hash))
        return [Head(*row) for row in await self.connection.execute(head.order_by(col(AuditHead.tenant_id)))]

    async def positions(self) -> list[Position]:
        """How far the event streams were."""
        columns = col(StreamState.name), col(StreamState.last_seq), col(StreamState.needed_since)
        return [Position(*row) for row in await self.connection.execute(select(*columns))]

    async def copy_file(self, path: Path, report: Callable[[int, int], None]) -> None:
        """SQLite: write the database into a new file, and `report` pages that are done, of how many."""
        await asyncio.to_thread(copy_pages, await self._driver(), path, report)

    async def copy_rows(self, one: Table) -> AsyncGenerator[bytes, None]:
        """PostgreSQL: the rows of a table in the text format of COPY, in pieces."""
        pieces: asyncio.Queue[bytes | None] = asyncio.Queue(_QUEUED_PIECES)
        driver = await self._driver()

        async def copy() -> None:
            try:
                await driver.copy_from_table(
                    one.name, columns=one.columns, schema_name="public", output=pieces.put, timeout=None
                )
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                raise DatabaseUnavailable(str(error)) from error
            await pieces.put(None)

        copying = asyncio.create_task(copy())
        try:
            while (piece := await _piece_or_end(pieces, copying)) is not None:
                yield piece
        finally:
            copying.cancel()
            await asyncio.wait({copying})

    async def _driver(self) -> Any:
        return (await self.connection.get_raw_connection()).driver_connection


async def _piece_or_end(pieces: "asyncio.Queue[bytes | None]", copying: "asyncio.Task[None]") -> bytes | None:
    piece = asyncio.ensure_future(pieces.get())
    await asyncio.wait({piece, copying}, return_when=asyncio.FIRST_COMPLETED)
    if not piece.done() and copying.exception() is not None:
        piece.cancel()
        await copying
    return await piece


@asynccontextmanager
async def snapshot(settings: DatabaseSettings) -> AsyncIterator[Snapshot]:
    """The database as it is now. Raises DatabaseUnavailable, and DatabaseError when it has no schema."""
    if settings.is_sqlite and not database_file(settings).exists():
        # To open it would make it.
        raise DatabaseError(f"there is no database file {database_file(settings)}")
    engine = sqlite_engine(settings) if settings.is_sqlite else owner_engine(settings)
    try:
        async with _connected(engine) as connection:
            tables = await _tables(connection)
            revision = await _revision(connection, tables)
            kept = tuple(each for each in tables if each.name != REVISIONS)
            if not settings.is_sqlite:
                await _see_everything(connection, kept)
            yield Snapshot(connection, revision, kept)
    finally:
        await engine.dispose()


@asynccontextmanager
async def _connected(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    options: dict[str, Any] = {}
    if engine.dialect.name == "postgresql":
        options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    try:
        connection = await engine.connect()
    except OSError as error:
        raise DatabaseUnavailable(str(error)) from error
    except DBAPIError as error:
        raise DatabaseUnavailable(str(error.orig)) from error
    try:
        yield await connection.execution_options(**options)
    except DBAPIError as error:
        raise DatabaseUnavailable(str(error.orig)) from error
    finally:
        await connection.close()


async def _tables(connection: AsyncConnection) -> list[Table]:
    columns: dict[str, list[str]] = {}
    for name, column in await connection.execute(text(_TABLES[connection.dialect.name])):
        columns.setdefault(name, []).append(column)
    return [Table(name, tuple(found)) for name, found in columns.items()]


async def _revision(connection: AsyncConnection, tables: list[Table]) -> str:
    if REVISIONS not in {each.name for each in tables}:
        raise DatabaseError("the database is empty: there is nothing to back up")
    revision = await connection.scalar(text(f"SELECT version_num FROM {REVISIONS}"))  # noqa: S608 - a name of ours
    if revision is None:
        raise DatabaseError("the database has no schema: `formstream migrate` makes it")
    return str(revision)


async def _see_everything(connection: AsyncConnection, tables: tuple[Table, ...]) -> None:
    """Work as the role that sees all tenants: row-level security is forced on the owner too. What is locked changes no
    columns while it is copied."""
    names = ", ".join(f'"{each.name}"' for each in tables)
    for statement in (
        "SET LOCAL statement_timeout = 0",
        "SET LOCAL idle_in_transaction_session_timeout = 0",
        "SET LOCAL datestyle = 'ISO, YMD'",
        "SET LOCAL extra_float_digits = 1",
        f"SET LOCAL ROLE {SYSTEM_ROLE}",
        f"LOCK TABLE {names} IN ACCESS SHARE MODE",
    ):
        await connection.execute(text(statement))
