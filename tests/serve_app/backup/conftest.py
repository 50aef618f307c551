"""What the tests of backups share: a filled platform on each dialect, and empty places to restore into."""

import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from db.session import Database
from db.settings import DatabaseSettings
from deployments.kit.objects import ObjectStore
from serve_app.settings import Settings
from tests.conftest import _database_uri, sqlalchemy_url
from tests.serve_app.backup.scene import Place, fill
from tests.serve_app.one_process import SECRET, settings_for

_PLAIN_OWNER = """
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'plain_owner') THEN
        CREATE ROLE plain_owner LOGIN CREATEDB NOINHERIT;
        GRANT formstream_app, formstream_system TO plain_owner WITH ADMIN OPTION;
    END IF;
END $$
"""
"""An owner of databases who is no superuser, and whom forced row-level security binds."""


@pytest.fixture
def settings(database_settings: DatabaseSettings, tmp_path: Path) -> Settings:
    """Those of the platform that is backed up."""
    folder = tmp_path / "data"
    folder.mkdir()
    return settings_for(folder, database_settings)


@pytest.fixture
def store(settings: Settings) -> ObjectStore:
    """Its object store."""
    return ObjectStore(settings.object_store())


@pytest.fixture
async def filled(settings: Settings, database: Database, store: ObjectStore) -> Settings:
    """The platform with what `scene.fill` puts in."""
    await fill(database, store)
    return settings


@pytest.fixture
async def sqlite_filled(sqlite_settings: DatabaseSettings, tmp_path: Path) -> Settings:
    """The same on SQLite alone, for what does not depend on the database."""
    folder = tmp_path / "data"
    folder.mkdir()
    settings = settings_for(folder, sqlite_settings)
    database = Database(sqlite_settings)
    await fill(database, ObjectStore(settings.object_store()))
    await database.close()
    return settings


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    """Where backups go."""
    return tmp_path / "backups"


@pytest.fixture
async def place(
    database_settings: DatabaseSettings, tmp_path: Path, request: pytest.FixtureRequest
) -> AsyncIterator[Place]:
    """Makes settings of an empty place on the same dialect."""
    databases: list[str] = []

    async def make() -> Settings:
        name = f"place_{secrets.token_hex(4)}"
        url = f"sqlite:///{tmp_path / name / 'formstream.db'}"
        if not database_settings.is_sqlite:
            server: str = request.getfixturevalue("postgres_server")
            await _execute(server, _PLAIN_OWNER)
            await _execute(server, f"CREATE DATABASE {name} OWNER plain_owner")
            databases.append(name)
            url = sqlalchemy_url(_database_uri(server, name)).replace("//postgres:@", "//plain_owner@")
        return settings_for(tmp_path / name, DatabaseSettings(url=url), secret_key=SECRET)

    yield make
    for name in databases:
        await _execute(request.getfixturevalue("postgres_server"), f"DROP DATABASE {name} WITH (FORCE)")


async def _execute(server: str, statement: str) -> None:
    connection = await asyncpg.connect(server)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
