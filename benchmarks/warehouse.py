"""What a grouped query over one large form costs, through the warehouse: the lake's files and what changed since.

`python -m benchmarks.warehouse [--rows 1000000] [--tail 10000] [--rounds 40]`
"""

import argparse
import asyncio
import random
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np
import psutil
import pyarrow as pa  # type: ignore[import-untyped]
from sqlalchemy import insert, update
from sqlmodel import col

from benchmarks.machine import describe
from benchmarks.queries import SURVEY
from db.migrate import upgrade
from db.models.exports import LakeTable
from db.models.forms import FormCounter
from db.models.responses import Response
from db.session import Database
from db.settings import DatabaseSettings
from db.types import new_id, utc_now
from deployments.analytics.warehouse.copies import COLUMNS, rows_of
from deployments.analytics.warehouse.settings import WarehouseSettings
from deployments.analytics.warehouse.warehouse import Warehouse
from deployments.exports.packing.parquet import ParquetFile
from deployments.kit.objects import LAKE, ObjectStore, object_key
from deployments.kit.principal import Principal
from deployments.responses.deployment import Responses
from tests.factories import make_form, make_tenant

_START: Final = datetime(2025, 1, 1, tzinfo=UTC)
_MONTHS: Final = 12
_PIECE: Final = 5_000
_TEAMS: Final = ("often", "some", "old", "rare", "never")
_SIDES: Final = (["corn"], ["yams"], ["corn", "yams"], ["rice", "corn"])

GROUPED: Final = {
    "one option": "SELECT team, count(*) AS n, avg(score) AS mean FROM {t} GROUP BY team",
    "two options, a filter": "SELECT team, side, count(*) AS n, sum(amount) AS total FROM {t} "
    "WHERE score >= 7 GROUP BY ALL",
    "by day": "SELECT date_trunc('day', _submitted_at) AS date, count(*) AS n FROM {t} GROUP BY date",
    "percentiles": "SELECT team, quantile_cont(amount, [0.5, 0.9, 0.99]) AS q FROM {t} GROUP BY team",
    "several choices": "SELECT dish, count(*) AS n FROM (SELECT unnest(side) AS dish FROM {t}) GROUP BY dish",
}


class _Lake:
    """Months of responses, straight as the files that the lake would write."""

    def __init__(self, objects: ObjectStore, form_id: str, schema: Any, rows: int) -> None:
        self._objects = objects
        self._form_id = form_id
        self._schema = schema
        self._rows = rows
        self._dice = np.random.default_rng(1)
        self.ids: list[str] = []

    async def write(self) -> list[dict[str, Any]]:
        """The entries of the manifest."""
        entries = []
        for month in range(_MONTHS):
            first, last = (self._rows * each // _MONTHS for each in (month, month + 1))
            file, name = ParquetFile(), f"2025-{month + 1:02d}"
            path = f"{name}/{name}-benchmark.parquet"
            async with self._objects.writer(object_key("acme", LAKE, self._form_id, *path.split("/"))) as writer:
                for start in range(first, last, _PIECE):
                    await writer.write(file.add(self._piece(start, min(start + _PIECE, last))))
                await writer.write(file.end())
            entries.append({"path": path, "month": name, "rows": last - first})
        return entries

    def _piece(self, start: int, end: int) -> bytes:
        count, dice = end - start, self._dice
        ids = [new_id("rsp") for _ in range(count)]
        self.ids += ids
        seconds = 360 * 86_400 / self._rows
        at = [_START + timedelta(seconds=place * seconds) for place in range(start, end)]
        words = dice.integers(0, 100_000, (count, 8)).astype(str)
        given: dict[str, Any] = {
            "_id": ids,
            "_submitted_at": at,
            "_version": np.ones(count, "int64"),
            "_status": ["complete"] * count,
            "_submitted_by": ["anonymous"] * count,
            "_revision": np.ones(count, "int64"),
            "_review": ["none"] * count,
            "_assignee": [""] * count,
            "_change": np.arange(start + 1, end + 1),
            "name": [f"Person {place}" for place in range(start, end)],
            "email": [f"person{place}@example.com" for place in range(start, end)],
            "score": dice.integers(0, 11, count),
            "amount": dice.integers(0, 1_000_000, count) / 100,
            "day": [(_START + timedelta(days=int(n))).date() for n in dice.integers(0, 700, count)],
            "team": dice.choice(_TEAMS, count, p=[0.5, 0.3, 0.15, 0.05, 0.0]),
            "side": [_SIDES[n] for n in dice.integers(0, len(_SIDES), count)],
            "note": [" ".join(row) for row in words],
        }
        arrays = [
            pa.array(given[field.name], field.type) if field.name in given else pa.nulls(count, field.type)
            for field in self._schema
        ]
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, self._schema) as stream:
            stream.write_batch(pa.record_batch(arrays, schema=self._schema))
        return bytes(sink.getvalue().to_pybytes())


async def _change(database: Database, form_id: str, ids: list[str], after: int) -> None:
    """Rows of responses that changed last, as the database has them."""
    dice = random.Random(2)
    rows = [
        {
            "tenant_id": "acme",
            "id": response_id,
            "form_id": form_id,
            "version": 1,
            "status": "complete",
            "answers": {"team": dice.choice(_TEAMS), "score": 9, "amount": 1.5, "side": ["corn"]},
            "meta": {},
            "submitted_by": "anonymous",
            "submitted_at": _START + timedelta(days=350, seconds=place),
            "deleted_at": None,
            "change": after + place,
        }
        for place, response_id in enumerate(ids, 1)
    ]
    async with database.write("acme") as unit:
        await (await unit.session.connection()).execute(insert(Response), rows)
        counter = update(FormCounter).where(col(FormCounter.form_id) == form_id)
        await unit.session.execute(counter.values(changes=after + len(rows)))


async def _timed(ask: Callable[[], Awaitable[Any]]) -> float:
    began = time.perf_counter()
    await ask()
    return (time.perf_counter() - began) * 1_000


async def _measure(database: Database, folder: Path, rows: int, tail: int, rounds: int) -> None:
    objects, responses = ObjectStore((folder / "objects").as_uri()), Responses(database)
    acme = await make_tenant(database)
    form_id = (await make_form(database, acme, definition=SURVEY)).id
    nothing = await responses.changed_rows(Principal.system("acme", "benchmark"), form_id, 0, COLUMNS, 1)
    lake = _Lake(objects, form_id, rows_of(nothing).schema, rows)
    files = await lake.write()
    async with database.write("acme") as unit:
        table: dict[str, Any] = {
            "number": 1,
            "change": rows,
            "version": 1,
            "columns": [],
            "files": files,
            "updated_at": utc_now(),
        }
        unit.session.add(LakeTable(tenant_id="acme", form_id=form_id, **table))
    warehouse = Warehouse(database, objects, responses, WarehouseSettings(folder=folder / "warehouse"))

    async def ask(sql: str) -> Any:
        return await warehouse.run(acme, [form_id], sql.format(t=form_id))

    try:
        first = next(iter(GROUPED.values()))
        cold = await _timed(_of(ask, first))
        print(f"{rows:,} responses; the first query, with a process and copies to begin: {cold:,.0f} ms")
        await _rounds("in the lake alone", ask, rounds)
        edited = lake.ids[:: max(1, 2 * rows // tail)][: tail // 2]
        await _change(database, form_id, [*edited, *(new_id("rsp") for _ in range(tail - len(edited)))], rows)
        then = await _timed(_of(ask, first))
        print(f"the next query after {tail:,} changes, half of them of rows in the lake: {then:,.0f} ms")
        await _rounds(f"with a tail of {tail:,}", ask, rounds)
        late = []
        for number in range(rounds):
            await _change(database, form_id, [new_id("rsp")], rows + tail + number)
            late.append(await _timed(_of(ask, first)))
        print(f"  {'a submission before each query':<34} {_figures(late)}")
        counted = (await ask("SELECT count(*) AS n, count(DISTINCT _id) AS ids FROM {t}")).to_pylist()
        expected = rows + tail - len(edited) + rounds
        assert counted == [{"n": expected, "ids": expected}], (counted, expected)
        here = psutil.Process()
        memory = [process.memory_info().rss >> 20 for process in (here, *here.children())]
        print(f"  {expected:,} rows, each once; memory of the processes in MiB: {memory}")
    finally:
        await warehouse.close()


def _of(ask: Callable[[str], Awaitable[Any]], sql: str) -> Callable[[], Awaitable[Any]]:
    return lambda: ask(sql)


async def _rounds(what: str, ask: Callable[[str], Awaitable[Any]], rounds: int) -> None:
    print(what)
    for name, sql in GROUPED.items():
        times = [await _timed(_of(ask, sql)) for _ in range(rounds)]
        print(f"  {name:<34} {_figures(times)}", flush=True)


def _figures(times: list[float]) -> str:
    p95 = statistics.quantiles(times, n=20)[-1] if len(times) > 1 else times[0]
    return f"p50 {statistics.median(times):6.0f} ms   p95 {p95:6.0f} ms"


async def _run(arguments: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory(prefix="formstream-bench-") as folder:
        settings = DatabaseSettings(url=f"sqlite:///{folder}/bench.db")
        await upgrade(settings)
        async with Database(settings) as database:
            await _measure(database, Path(folder), arguments.rows, arguments.tail, arguments.rounds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--tail", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=40)
    arguments = parser.parse_args()
    print(describe())
    print(f"the machine was at {psutil.getloadavg()[0]:.1f} of {psutil.cpu_count()} before", flush=True)
    asyncio.run(_run(arguments))


if __name__ == "__main__":
    main()
