"""O4: the database that a backup is tried in."""

import asyncpg
import pytest
from sqlalchemy import text

from db.backup.scratch import scratch_database
from db.engine import normalise_url, owner_engine
from db.errors import DatabaseError
from db.settings import DatabaseSettings

_OURS = "FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'formstream-migrate'"
_TRIALS = "SELECT count(*) FROM pg_database WHERE starts_with(datname, 'formstream_drill_')"


async def test_a_trial_needs_no_connection_of_before_to_be_removed(postgres_database: str) -> None:
    """What stands between says nothing for hours, and is closed by a pooler or a firewall."""
    settings = DatabaseSettings(url=normalise_url(postgres_database))
    server = await asyncpg.connect(postgres_database)
    try:
        async with scratch_database(settings):
            await server.execute(f"SELECT pg_terminate_backend(pid) {_OURS}")
            assert await server.fetchval(_TRIALS) == 1
        assert await server.fetchval(_TRIALS) == 0
    finally:
        await server.close()


async def _divide_by_zero(server: DatabaseSettings) -> None:
    async with scratch_database(server) as trial:
        engine = owner_engine(trial)
        try:
            async with engine.connect() as connection:
                await connection.execute(text("SELECT 1 / 0"))
        finally:
            await engine.dispose()


async def test_what_fails_in_a_trial_is_not_said_of_its_making(postgres_database: str) -> None:
    with pytest.raises(DatabaseError, match=r"the trial failed in its database.*division by zero"):
        await _divide_by_zero(DatabaseSettings(url=normalise_url(postgres_database)))
