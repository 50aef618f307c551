"""Databases and object stores of the tests of exports."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from db.session import Database
from db.settings import DatabaseSettings
from deployments.kit.objects import ObjectStore


@pytest.fixture
async def sqlite_database(sqlite_settings: DatabaseSettings) -> AsyncIterator[Database]:
    """An open SQLite database."""
    database = Database(sqlite_settings)
    yield database
    await database.close()


@pytest.fixture
def objects(tmp_path: Path) -> ObjectStore:
    """A folder of files."""
    return ObjectStore((tmp_path / "objects").as_uri())
