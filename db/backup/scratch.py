"""A database for a trial, beside others on a PostgreSQL server, that does not stay."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

from sqlalchemy import make_url, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from db.engine import owner_engine
from db.errors import DatabaseError
from db.settings import DatabaseSettings

_PREFIX: Final = "formstream_drill_"
_LEFT: Final = """
SELECT datname FROM pg_database d WHERE starts_with(datname, :prefix)
AND NOT EXISTS (SELECT FROM pg_stat_activity a WHERE a.datid = d.oid)
"""


@asynccontextmanager
async def scratch_database(server: DatabaseSettings) -> AsyncIterator[DatabaseSettings]:
    """A new, empty database on the server that the settings name, removed at the end; what is left of trials that were
    killed is removed at the beginning. Raises DatabaseError when the role may not make any."""
    name = f"{_PREFIX}{secrets.token_hex(6)}"
    mine = server.model_copy(
        update={"url": make_url(server.url).set(database=name).render_as_string(hide_password=False)}
    )
    async with _outside(server) as connection:
        await _remove_left(connection)
        await connection.execute(text(f'CREATE DATABASE "{name}" TEMPLATE template0'))
    try:
        async with _kept(mine):
            yield mine
    except DBAPIError as error:
        raise DatabaseError(f"the trial failed in its database: {error.orig}") from error
    finally:
        async with _outside(server) as connection:
            await connection.execute(text(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'))


@asynccontextmanager
async def _outside(server: DatabaseSettings) -> AsyncIterator[AsyncConnection]:
    """A connection beside the trial, in no transaction. A new one each time: a trial takes hours, and one that says
    nothing for so long may be closed on the way."""
    engine = owner_engine(server)
    try:
        async with engine.connect() as connection:
            yield await connection.execution_options(isolation_level="AUTOCOMMIT")
    except DBAPIError as error:
        raise DatabaseError(f"the trial database cannot be made or removed: {error.orig}") from error
    except OSError as error:
        raise DatabaseError(f"the server of the trial database cannot be reached: {error}") from error
    finally:
        await engine.dispose()


@asynccontextmanager
async def _kept(settings: DatabaseSettings) -> AsyncIterator[None]:
    """Stay connected, by which other trials see that this one is not over."""
    engine = owner_engine(settings)
    connection = await engine.connect()
    try:
        await connection.execute(text("SET idle_in_transaction_session_timeout = 0"))
        yield
    finally:
        await connection.close()
        await engine.dispose()


async def _remove_left(connection: AsyncConnection) -> None:
    for left in list(await connection.scalars(text(_LEFT), {"prefix": _PREFIX})):
        with suppress(DBAPIError):  # another trial is removing it, or belongs to another role
            await connection.execute(text(f'DROP DATABASE IF EXISTS "{left}"'))
