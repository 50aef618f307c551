"""Putting a database back into an empty place, whole or not at all."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import asyncpg  # type: ignore[import-untyped]
from sqlalchemy import Connection, func, select, table, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from db import migrate
from db.backup.snapshot import Table
from db.backup.sqlite_file import check_file, database_file, put_in_place
from db.engine import owner_engine
from db.errors import DatabaseError
from db.session import bind_tenant
from db.settings import DatabaseSettings

_LOCK: Final = 7_302_604_119  # any constant: two restores into one database take turns on it
_PUBLIC_TABLES: Final = (
    "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace"
)
_REFERENCES: Final = """
SELECT c.relname, r.relname FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
JOIN pg_class r ON r.oid = k.confrelid WHERE k.contype = 'f' AND c.relnamespace = 'public'::regnamespace
"""

Finish = Callable[[Connection], None]
"""What is done last in the restored database, at the newest schema, before anybody can see it."""


async def occupants(settings: DatabaseSettings) -> list[str]:
    """What is in the database already, in words; nothing when it is empty. Raises DatabaseError."""
    if settings.is_sqlite:
        path = database_file(settings)
        return [f"the database file {path}"] if path.exists() and path.stat().st_size else []
    engine = owner_engine(settings)
    try:
        async with engine.connect() as connection:
            names = list(await connection.scalars(text(_PUBLIC_TABLES)))
    except (DBAPIError, OSError) as error:
        raise DatabaseError(f"the database cannot be reached: {getattr(error, 'orig', error)}") from error
    finally:
        await engine.dispose()
    return [f"a database with {len(names)} tables"] if names else []


async def load_file(settings: DatabaseSettings, fresh: Path, rows: Mapping[str, int], finish: Finish) -> None:
    """SQLite: bring the database file `fresh`, beside its place, to the newest schema, and give it its place.

    Raises DatabaseError when it is damaged or does not hold these numbers of rows.
    """
    await asyncio.to_thread(check_file, fresh)
    ours = settings.model_copy(update={"url": f"sqlite:///{fresh}"})
    engine = owner_engine(ours)
    try:
        async with engine.begin() as connection:
            await _compare(connection, rows)
        await migrate.upgrade(ours)
        async with engine.begin() as connection:
            await connection.run_sync(finish)
    finally:
        await engine.dispose()
    await asyncio.to_thread(put_in_place, fresh, database_file(settings))


async def load_rows(
    settings: DatabaseSettings,
    revision: str,
    tables: Sequence[Table],
    rows: Mapping[str, int],
    read: Callable[[Table], AsyncIterator[bytes]],
    finish: Finish,
) -> None:
    """PostgreSQL: make the schema of `revision`, fill the tables with what `read` says, in the text format of COPY, and
    bring all of it to the newest schema; in one transaction, so that whoever dies on the way leaves nothing.

    Raises DatabaseError, also when the tables do not have these numbers of rows.
    """
    engine = owner_engine(settings)
    try:
        async with engine.begin() as connection:
            await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
            if list(await connection.scalars(text(_PUBLIC_TABLES))):
                raise DatabaseError("the database is not empty any more")
            for limit in ("statement_timeout", "idle_in_transaction_session_timeout"):
                await connection.execute(text(f"SET LOCAL {limit} = 0"))
            await connection.run_sync(migrate.apply, "upgrade", revision)
            await _fill(connection, tables, read)
            await _compare(connection, rows)
            await _protect_again(connection, tables)
            await connection.run_sync(migrate.apply, "upgrade", "head")
            await connection.run_sync(_finish, finish)
        await _analyze(engine)
    except DBAPIError as error:
        raise DatabaseError(f"the database cannot be restored: {error.orig}") from error
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise DatabaseError(f"the database cannot be restored: {error}") from error
    finally:
        await engine.dispose()


async def _fill(
    connection: AsyncConnection, tables: Sequence[Table], read: Callable[[Table], AsyncIterator[bytes]]
) -> None:
    for each in tables:
        # The owner is subject to the security that is forced, and COPY does not work under any; triggers have done
        # their part to the rows that are copied.
        await connection.execute(text(f'ALTER TABLE "{each.name}" NO FORCE ROW LEVEL SECURITY, DISABLE TRIGGER USER'))
    # What migrations entered is among the rows that come back.
    names = ", ".join(f'"{each.name}"' for each in tables)
    await connection.execute(text(f"TRUNCATE {names}"))
    driver: Any = (await connection.get_raw_connection()).driver_connection
    for each in await _in_order(connection, tables):
        await driver.copy_to_table(
            each.name, columns=each.columns, schema_name="public", source=read(each), timeout=None
        )


async def _in_order(connection: AsyncConnection, tables: Sequence[Table]) -> list[Table]:
    """Tables that others refer to come before those."""
    needs: dict[str, set[str]] = {each.name: set() for each in tables}
    for name, target in await connection.execute(text(_REFERENCES)):
        if name != target:
            needs[name].add(target)
    ordered: list[str] = []
    while len(ordered) < len(needs):
        ready = sorted(name for name in needs if name not in ordered and needs[name] <= set(ordered))
        if not ready:
            raise DatabaseError("tables refer to each other in a circle")
        ordered += ready
    by_name = {each.name: each for each in tables}
    return [by_name[name] for name in ordered]


async def _protect_again(connection: AsyncConnection, tables: Sequence[Table]) -> None:
    for each in tables:
        await connection.execute(text(f'ALTER TABLE "{each.name}" FORCE ROW LEVEL SECURITY, ENABLE TRIGGER USER'))


def _finish(connection: Connection, finish: Finish) -> None:
    bind_tenant(connection, None)
    finish(connection)


async def _compare(connection: AsyncConnection, rows: Mapping[str, int]) -> None:
    for name, expected in rows.items():
        found = await connection.scalar(select(func.count()).select_from(table(name)))
        if found != expected:
            raise DatabaseError(f"the table {name} has {found} rows instead of {expected}")


async def _analyze(engine: AsyncEngine) -> None:
    """Let the planner know the tables; it would find out by itself, later."""
    async with engine.connect() as connection:
        alone = await connection.execution_options(isolation_level="AUTOCOMMIT")
        await alone.execute(text("ANALYZE"))
