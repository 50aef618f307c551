"""O5: kill -9 in the middle of a migration leaves nothing half done, and the next attempt ends it, on both dialects."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import orjson
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, create_engine
from sqlalchemy.pool import StaticPool

from db import migrate
from db.engine import owner_engine
from db.models import SQLModel
from db.settings import DatabaseSettings
from tests.db.further import Lineage
from tests.faults.migrating_process import schema

# Each goes on where the last one was killed; PostgreSQL has more of them, for roles and policies.
STATEMENTS = {"sqlite": (30, 80, 140, 100), "postgresql": (100, 270, 300, 150)}


@pytest.fixture(params=["sqlite", "postgresql"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> DatabaseSettings:
    """A database without a schema."""
    if request.param == "sqlite":
        return DatabaseSettings(url=f"sqlite:///{tmp_path / 'killed.db'}")
    settings: DatabaseSettings = request.getfixturevalue("empty_postgres")
    return settings


def test_a_killed_migration_is_done_or_not_begun(empty: DatabaseSettings) -> None:
    command = [sys.executable, "-m", "tests.faults.migrating_process", empty.url, *map(str, _statements(empty))]
    process = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert process.returncode == 0, process.stderr
    left = [orjson.loads(line) for line in process.stdout.splitlines()]
    revisions = [each["revision"] or "base" for each in left]
    assert revisions[0] == "base", "the first one was killed within the first migration"
    assert revisions[1:] == sorted(set(revisions[1:])), "each goes on where the last one was killed"
    assert revisions[-1] < migrate.head_revision()
    assert left == list(_whole(revisions))

    asyncio.run(migrate.upgrade(empty))
    assert asyncio.run(_differences(empty)) == []


_MIGRATE = """
import asyncio, sys
from pathlib import Path
from db import migrate
from db.settings import DatabaseSettings
from tests.db.further import Lineage

migrate.config = Lineage(Path(sys.argv[2])).config
asyncio.run(migrate.upgrade(DatabaseSettings(url=sys.argv[1])))
"""
_IS_VALID = "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('ix_further')"
_END_ITS_SESSION = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'formstream-migrate'"
)


async def test_an_index_whose_building_was_killed_is_built_anew(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    postgres_settings: DatabaseSettings,
    postgres_database: str,
) -> None:
    lineage = Lineage(tmp_path)
    before, revision = lineage.revisions[0], lineage.add_index("ix_further", "tenant", ["name"])
    user, other = await asyncpg.connect(postgres_database), await asyncpg.connect(postgres_database)
    async with user.transaction():
        await user.execute("LOCK TABLE tenant IN ROW EXCLUSIVE MODE")
        process = subprocess.Popen([sys.executable, "-c", _MIGRATE, postgres_settings.url, str(tmp_path)])
        async with asyncio.timeout(60):
            while await other.fetchval(_IS_VALID) is not False:
                await asyncio.sleep(0.05)
        process.kill()
        process.wait()
        # What the server does once it notices that nobody waits for the answer.
        await other.execute(_END_ITS_SESSION)
    assert await other.fetchval(_IS_VALID) is False

    monkeypatch.setattr(migrate, "config", lineage.config)
    await migrate.upgrade(postgres_settings)
    assert await migrate.current_revision(postgres_settings) == revision
    assert await other.fetchval(_IS_VALID)
    await migrate.downgrade(postgres_settings, before)
    await user.close()
    await other.close()


def _statements(settings: DatabaseSettings) -> tuple[int, ...]:
    return STATEMENTS["sqlite" if settings.is_sqlite else "postgresql"]


def _whole(revisions: list[str]) -> Iterator[dict[str, Any]]:
    """What migrations to the revisions make that nobody disturbs."""
    engine = create_engine("sqlite://", poolclass=StaticPool)
    with engine.connect() as connection:
        for revision in revisions:
            if revision != "base":
                migrate.apply(connection, "upgrade", revision)
            yield schema(connection)
    engine.dispose()


async def _differences(settings: DatabaseSettings) -> list[Any]:
    def compare(connection: Connection) -> list[Any]:
        return list(compare_metadata(MigrationContext.configure(connection), SQLModel.metadata))

    engine = owner_engine(settings)
    try:
        async with engine.connect() as connection:
            return await connection.run_sync(compare)
    finally:
        await engine.dispose()
