"""O5: a database of any released version, with what is stored in it, is brought to the newest schema."""

import asyncio
import tomllib
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection

from db import migrate
from db.engine import owner_engine
from db.models import SQLModel
from db.settings import DatabaseSettings
from tests.architecture.rooms import ROOT
from tests.db.filled import Rows, changed, stored
from tests.db.released import kept, load


@pytest.fixture(params=[*kept("sqlite"), *kept("postgresql")], ids=lambda path: path.name.removesuffix(".sql.gz"))
def released(request: pytest.FixtureRequest, tmp_path: Path) -> DatabaseSettings:
    """The database of a released version."""
    if ".sqlite." in request.param.name:
        settings = DatabaseSettings(url=f"sqlite:///{tmp_path / 'released.db'}")
    else:
        # The roles of the platform are the server's: a migrated database has made them.
        request.getfixturevalue("postgres_database")
        settings = request.getfixturevalue("empty_postgres")
    asyncio.run(load(settings, request.param))
    return settings


async def test_what_was_stored_is_there_in_the_newest_schema(released: DatabaseSettings) -> None:
    before = await _stored(released)
    assert all(before.values()), "every table has a row"
    await migrate.upgrade(released)
    assert changed(before, await _stored(released)) == []
    engine = owner_engine(released)
    async with engine.connect() as connection:
        assert await connection.run_sync(_differences) == []
    await engine.dispose()


def test_every_released_version_is_kept() -> None:
    """At a release: python -m tests.db.released VERSION."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    released = {path.stem.removeprefix("openapi-") for path in (ROOT / "docs" / "reference").glob("openapi-*.json")}
    for dialect in ("sqlite", "postgresql"):
        assert {path.name.removesuffix(f".{dialect}.sql.gz") for path in kept(dialect)} == released
    assert max(released) <= version


def _differences(connection: Connection) -> list[object]:
    return list(compare_metadata(MigrationContext.configure(connection), SQLModel.metadata))


async def _stored(settings: DatabaseSettings) -> Rows:
    engine = owner_engine(settings)
    async with engine.connect() as connection:
        found = await connection.run_sync(stored)
    await engine.dispose()
    return found
