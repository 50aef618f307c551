"""O5: a database is migrated while it is used: nobody waits for long, and what is left unfinished is begun anew."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest

from db import migrate, migration_plan
from db.errors import DatabaseError
from db.migrate import Patience
from db.settings import DatabaseSettings
from tests.db.further import BUILT_IN, Lineage

SHORT = Patience(lock_s=0.2, pause_s=0.05, attempts=2, turn_s=0.2)
STUBBORN = Patience(lock_s=0.1, pause_s=0.05, attempts=1_000)
_TENANTS = (
    "INSERT INTO tenant (id, name, status, settings, created_at, updated_at)"
    " SELECT 't' || n, 'Same', 'active', '{}', now(), now() FROM generate_series(1, 2) AS n"
)
_IS_VALID = "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('ix_further')"
_MIGRATION_WAITS = (
    "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'formstream-migrate' AND wait_event_type = 'Lock'"
)


@pytest.fixture
def lineage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, postgres_settings: DatabaseSettings) -> Iterator[Lineage]:
    """To be added to; the database is brought back."""
    head = migrate.head_revision()
    lineage = Lineage(tmp_path)
    for module in (migrate, migration_plan):
        monkeypatch.setattr(module, "config", lineage.config)
    yield lineage
    asyncio.run(migrate.downgrade(postgres_settings, head))


@asynccontextmanager
async def connected(uri: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(uri)
    try:
        yield connection
    finally:
        await connection.close()


async def becomes(connection: asyncpg.Connection, query: str, value: object) -> None:
    async with asyncio.timeout(20):
        while await connection.fetchval(query) != value:
            await asyncio.sleep(0.01)


async def test_a_table_that_stays_in_use_is_left_alone_and_the_migration_says_so(
    lineage: Lineage, postgres_settings: DatabaseSettings, postgres_database: str
) -> None:
    first, second = lineage.add_column("form", "further"), lineage.add_column("response", "further")
    async with connected(postgres_database) as user, connected(postgres_database) as other:
        transaction = user.transaction()
        await transaction.start()
        await user.fetch("SELECT * FROM response")
        migrating = asyncio.create_task(migrate.upgrade(postgres_settings, patience=SHORT))
        await becomes(other, _MIGRATION_WAITS, 1)
        began = time.monotonic()
        await other.fetch("SELECT * FROM response")
        assert time.monotonic() - began < 2, "who comes after the migration waits for it no longer than it may wait"
        with pytest.raises(DatabaseError, match="a table is in use: it was tried 2 times"):
            await migrating
        assert await migrate.current_revision(postgres_settings) == first
        await transaction.rollback()
    await migrate.upgrade(postgres_settings, patience=SHORT)
    assert await migrate.current_revision(postgres_settings) == second


async def test_another_attempt_passes_when_the_table_is_free(
    lineage: Lineage, postgres_settings: DatabaseSettings, postgres_database: str
) -> None:
    revision = lineage.add_column("response", "further")
    async with connected(postgres_database) as user, connected(postgres_database) as other:
        async with user.transaction():
            await user.fetch("SELECT * FROM response")
            migrating = asyncio.create_task(migrate.upgrade(postgres_settings, patience=STUBBORN))
            await becomes(other, _MIGRATION_WAITS, 1)
            await becomes(other, _MIGRATION_WAITS, 0)
        await migrating
    assert await migrate.current_revision(postgres_settings) == revision


async def test_one_process_migrates_at_a_time(
    lineage: Lineage, postgres_settings: DatabaseSettings, postgres_database: str
) -> None:
    """Of the machines that start together, the others find it done."""
    revision = lineage.add_index("ix_further", "tenant", ["name"])
    async with connected(postgres_database) as another:
        await another.execute("SELECT pg_advisory_lock($1)", migrate._LOCK)
        with pytest.raises(DatabaseError, match="another process migrates"):
            await migrate.upgrade(postgres_settings, patience=SHORT)
    await asyncio.gather(*(migrate.upgrade(postgres_settings) for _ in range(3)))
    assert await migrate.current_revision(postgres_settings) == revision


async def test_an_index_is_built_while_others_write(
    lineage: Lineage, postgres_settings: DatabaseSettings, postgres_database: str
) -> None:
    revision = lineage.add_index("ix_further", "tenant", ["name"])
    (step,) = (await migration_plan.plan(postgres_settings)).steps
    assert step.statements == ("CREATE INDEX CONCURRENTLY IF NOT EXISTS ix_further ON tenant (name)",)
    async with connected(postgres_database) as writer, connected(postgres_database) as other:
        async with writer.transaction():
            await writer.execute(_TENANTS)
            migrating = asyncio.create_task(migrate.upgrade(postgres_settings, patience=SHORT))
            await becomes(other, _IS_VALID, False)
            await other.execute(_TENANTS.replace("'t'", "'u'"), timeout=2)
            assert not migrating.done()
        await migrating
        assert await other.fetchval(_IS_VALID)
    assert await migrate.current_revision(postgres_settings) == revision
    await migrate.downgrade(postgres_settings, lineage.revisions[0])
    async with connected(postgres_database) as other:
        assert await other.fetchval(_IS_VALID) is None


async def test_an_index_that_was_left_unfinished_is_built_anew(
    lineage: Lineage, postgres_settings: DatabaseSettings, postgres_database: str
) -> None:
    revision = lineage.add_index("ix_further", "tenant", ["name"], unique=True)
    async with connected(postgres_database) as other:
        await other.execute(_TENANTS)
        with pytest.raises(DatabaseError, match="could not create unique index"):
            await migrate.upgrade(postgres_settings, patience=SHORT)
        assert await other.fetchval(_IS_VALID) is False
        await other.execute("DELETE FROM tenant WHERE id = 't2'")
        await migrate.upgrade(postgres_settings, patience=SHORT)
        assert await other.fetchval(_IS_VALID)
    assert await migrate.current_revision(postgres_settings) == revision


async def test_an_older_version_works_with_the_schema_of_a_newer_one(
    lineage: Lineage, postgres_settings: DatabaseSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A version that is brought back starts, as a container does: by migrating first."""
    newer = lineage.add_column("form", "further")
    await migrate.upgrade(postgres_settings)
    with monkeypatch.context() as older:
        older.setattr(migrate, "config", BUILT_IN)
        await migrate.upgrade(postgres_settings)
        assert migrate.is_ahead(newer)
    assert await migrate.current_revision(postgres_settings) == newer
