"""L4: whatever a statement tries, it is refused or ended; the platform is unhurt, and the next one works."""

import asyncio
import json
import os
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import duckdb
import psutil
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]
import pytest

from db.session import Database
from db.settings import DatabaseSettings
from deployments.analytics.warehouse.engine import Engine
from deployments.analytics.warehouse.errors import TooManyStatements
from deployments.analytics.warehouse.pool import Pool
from deployments.analytics.warehouse.process import Process, ProcessGone
from deployments.analytics.warehouse.settings import WarehouseSettings
from deployments.analytics.warehouse.warehouse import Limits, Warehouse
from deployments.kit.objects import ObjectStore
from deployments.responses.deployment import Responses
from tests.architecture.rooms import ROOT
from tests.factories import make_tenant

MEMORY = 256 << 20


def question(sql: str, *parameters: Any, **tables: Path) -> dict[str, Any]:
    """A statement as a warehouse sends it, on files."""
    return {
        "do": "run",
        "views": {name: f"SELECT * FROM read_parquet(['{path}'])" for name, path in tables.items()},
        "paths": [str(path) for path in tables.values()],
        "sql": sql,
        "parameters": list(parameters),
        "max_rows": 1_000,
        "max_bytes": 1 << 20,
        "format": "json",
    }


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """A file of the tenant's own, and one of another's."""
    paths = tmp_path / "acme.parquet", tmp_path / "globex.parquet"
    for path in paths:
        pq.write_table(pa.table({"owner": [path.stem]}), path)
    return paths


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM read_parquet('{other}')",
        "SELECT * FROM read_parquet('{own}/../globex.parquet')",
        "SELECT * FROM '{other}'",
        "SELECT * FROM glob('/etc/*')",
        "COPY (SELECT 1) TO '{other}.csv'",
        "COPY (SELECT 1) TO '{own}.csv'",
        "ATTACH '/tmp/x.db' AS x",
        "INSTALL httpfs",
        "LOAD httpfs",
        "LOAD '/tmp/x.duckdb_extension'",
        "SELECT * FROM read_csv('https://example.org/x.csv')",
        "SET enable_external_access = true",
        "SET allowed_paths = ['/etc/passwd']",
        "SET memory_limit = '1TB'",
        "SET temp_directory = '/tmp'",
        "RESET lock_configuration",
        "PRAGMA temp_directory='/tmp'",
        "CREATE PERSISTENT SECRET s (TYPE s3, KEY_ID 'x', SECRET 'y')",
        "EXPORT DATABASE '/tmp/x'",
        "IMPORT DATABASE '/tmp/x'",
        "SELECT * FROM files",
    ],
)
def test_the_engine_refuses_by_itself(files: tuple[Path, Path], sql: str) -> None:
    """Also what the reading of statements would let through; `files` is a variable of Python here."""
    own, other = files
    engine = Engine(MEMORY, 1, [str(own)])
    try:
        with pytest.raises(duckdb.Error):
            engine._connection.execute(sql.format(own=own, other=other)).fetchall()
        assert engine._connection.execute(f"SELECT owner FROM read_parquet('{own}')").fetchall() == [("acme",)]
        assert not list(own.parent.glob("*.csv"))
    finally:
        engine.close()


@pytest.fixture
async def pool() -> AsyncIterator[Pool]:
    made = Pool(WarehouseSettings(memory=MEMORY, threads=1, processes=2, per_tenant=1))
    yield made
    await made.rest()


async def said(pool: Pool, asked: dict[str, Any], *, tenant_id: str = "acme", within_s: float = 10.0) -> Any:
    """The rows, the code of the refusal, or that it was ended."""
    async with pool.borrowed(tenant_id) as process:
        try:
            async with asyncio.timeout(within_s):
                head, content = await process.ask(asked)
        except TimeoutError:
            assert not process.is_running
            return "ended"
    return head["refused"]["code"] if "refused" in head else content


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT count(*) FROM range(1000000000000)",
        "SELECT count(*) FROM range(1000000) a, range(1000000) b WHERE a.range * b.range = 7",
        "WITH RECURSIVE r(a) AS (SELECT 1 UNION ALL SELECT a + 1 FROM r) SELECT count(*) FROM r",
        "SELECT levenshtein(repeat('a', 100000), repeat('b', 100000))",
    ],
)
async def test_what_does_not_end_is_ended(pool: Pool, sql: str) -> None:
    """And the next statement works, in another process."""
    assert await said(pool, question("SELECT 1")) == b"[[1]]"
    assert await said(pool, question(sql), within_s=0.5) == "ended"
    assert await said(pool, question("SELECT 2")) == b"[[2]]"


async def test_what_takes_too_much_is_refused(pool: Pool) -> None:
    """Memory of the engine and beside it, rows and bytes of answers, expressions that explode elsewhere."""
    for hog in (
        "SELECT string_agg(repeat('x', 1000), '') FROM range(10000000)",
        "SELECT repeat('x', 2000000000)",
        "SELECT list_resize([1], 4000000000)",
    ):
        assert await said(pool, question(hog)) == "sql.memory", hog
    assert (await said(pool, question("SELECT * FROM range(1000000000000)"))).count(b"],[") == 999
    assert (await said(pool, question("SELECT repeat('x', 10000) FROM range(1000000)"))).count(b"],[") == 103
    assert await said(pool, question("SELECT repeat('x', 1000000) FROM range(1000000)")) == "sql.memory"
    assert await said(pool, question("SELECT regexp_matches(repeat('a', 100000), '(a*)*b')")) == b"[[false]]"
    async with pool.borrowed("acme") as process:
        peak = _text(process.pid, "status").partition("VmHWM:")[2].split()[0]
        assert int(peak) < 1 << 20  # KiB


async def test_a_statement_leaves_nothing_behind(pool: Pool, files: tuple[Path, Path]) -> None:
    """Neither a table nor the right to read its file, though the process is the same."""
    own, _ = files
    assert await said(pool, question("SELECT owner FROM mine", mine=own)) == b'[["acme"]]'
    assert await said(pool, question("SELECT owner FROM mine")) == "sql.unknown_table"
    sneaking = question("SELECT owner FROM mine", mine=own) | {"paths": []}
    assert await said(pool, sneaking) == "sql.failed"


async def test_a_process_serves_one_tenant(pool: Pool) -> None:
    """And knows nothing of the platform: no variable, no file that it could write, no descriptor of ours."""

    async def process_of(tenant_id: str) -> tuple[int, str]:
        async with pool.borrowed(tenant_id) as process:
            await process.ask(question("SELECT 1"))
            return process.pid, process.tenant_id

    os.environ["FORMSTREAM_SECRET_KEY"] = "not for them"
    try:
        found = {tenant_id: await process_of(tenant_id) for tenant_id in ("acme", "globex")}
        assert await process_of("acme") == found["acme"]
        assert len({pid for pid, _ in found.values()}) == 2
        pid, _ = found["acme"]
        environment = {part.partition("=")[0] for part in _text(pid, "environ").split("\0") if part}
        assert environment <= {
            "PYTHONPATH",
            "PATH",
            "LANG",
            "MALLOC_ARENA_MAX",
            "OMP_NUM_THREADS",
            "OPENBLAS_NUM_THREADS",
        }
        limits = {line[:26].strip(): line[26:].split()[0] for line in _text(pid, "limits").splitlines()[1:]}
        assert limits["Max file size"] == "0"
        assert int(limits["Max address space"]) < MEMORY + (2 << 30)
    finally:
        del os.environ["FORMSTREAM_SECRET_KEY"]
    # A third tenant takes the place of the one that asked least recently.
    await process_of("initech")
    with pytest.raises(ProcessLookupError):
        os.kill(found["globex"][0], 0)


def _text(pid: int, name: str) -> str:
    return Path(f"/proc/{pid}/{name}").read_text()


_UNSHARE = (
    "import ctypes, sys; unshare = ctypes.CDLL(None).unshare; "
    "sys.exit(unshare(0x40000000) != 0 and unshare(0x50000000) != 0)"
)


_ASKING = """
import asyncio
from deployments.analytics.warehouse.process import Process
from tests.security.test_sql_sandbox import MEMORY, question

async def main():
    process = await Process.start("acme", MEMORY, 1)
    await process.ask(question("SELECT 1"))
    asked = asyncio.create_task(process.ask(question("SELECT count(*) FROM range(1000000000000)")))
    await asyncio.sleep(0)
    print(process.pid, flush=True)
    await asked

asyncio.run(main())
"""


async def exit_code(*arguments: str) -> tuple[int | None, bytes]:
    """How a process of Python ends, and what it says."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, *arguments), stdout=asyncio.subprocess.PIPE, cwd=ROOT, env={"PYTHONPATH": str(ROOT)}
    )
    said, _ = await process.communicate()
    return process.returncode, said


async def test_a_statement_has_no_network() -> None:
    """A listening socket of this machine is out of reach once the process is confined, where the kernel has namespaces;
    where it has none, the process knows."""
    refused, _ = await exit_code("-c", _UNSHARE)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        _, said = await exit_code("-m", "tests.security.network_probe", str(port))
    is_offline = refused == 0
    assert json.loads(said) == {"before": True, "offline": is_offline, "after": not is_offline}
    process = await Process.start("acme", MEMORY, 1)
    try:
        await process.ask(question("SELECT 1"))
        assert process.is_offline is is_offline
        own = os.readlink(f"/proc/{os.getpid()}/ns/net")
        assert (os.readlink(f"/proc/{process.pid}/ns/net") != own) is is_offline
    finally:
        await process.stop()


async def test_a_kernel_without_namespaces_is_told_of(
    sqlite_settings: DatabaseSettings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Once, and statements work."""
    monkeypatch.setattr("deployments.analytics.warehouse.process._WORKER", "tests.security.networked_worker")
    database = Database(sqlite_settings)
    acme = await make_tenant(database)
    warehouse = Warehouse(database, ObjectStore(tmp_path.as_uri()), Responses(database))
    try:
        for _ in range(2):
            answer = await warehouse.ask(acme, "SELECT 1", (), Limits(), "json")
            assert answer.content == b"[[1]]"
    finally:
        await warehouse.close()
        await database.close()
    told = [record.levelname for record in caplog.records if "without a network namespace" in record.getMessage()]
    assert told == ["WARNING"]


async def test_a_tenant_has_so_many_statements_at_once(pool: Pool) -> None:
    async with pool.borrowed("acme"):
        with pytest.raises(TooManyStatements) as refused:
            await said(pool, question("SELECT 1"))
        assert refused.value.retry_after
        assert await said(pool, question("SELECT 1"), tenant_id="globex") == b"[[1]]"
    assert await said(pool, question("SELECT 1")) == b"[[1]]"


async def test_a_process_that_dies_hurts_nobody_else(pool: Pool) -> None:
    async with pool.borrowed("acme") as process:
        waiting = asyncio.create_task(process.ask(question("SELECT count(*) FROM range(1000000000000)")))
        await asyncio.sleep(0)
        os.kill(process.pid, 9)
        with pytest.raises(ProcessGone):
            await waiting
        assert not process.is_running
    assert await said(pool, question("SELECT 1")) == b"[[1]]"


async def test_a_platform_that_is_killed_takes_its_statements_with_it() -> None:
    """Whoever asks may be killed: what was asked must not run on."""
    asking = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _ASKING), stdout=asyncio.subprocess.PIPE, cwd=ROOT, env={"PYTHONPATH": str(ROOT)}
    )
    assert asking.stdout is not None
    statement = psutil.Process(int(await asking.stdout.readline()))
    assert statement.is_running()
    asking.kill()
    await asking.wait()
    async with asyncio.timeout(10):
        while statement.is_running() and statement.status() != psutil.STATUS_ZOMBIE:
            await asyncio.sleep(0.02)


async def test_a_caller_that_goes_away_ends_its_statement() -> None:
    process = await Process.start("acme", MEMORY, 1)
    waiting = asyncio.create_task(process.ask(question("SELECT count(*) FROM range(1000000000000)")))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert not process.is_running
