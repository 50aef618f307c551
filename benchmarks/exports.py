"""Rows a second and memory of exports of one large form, in each format, on both databases, as a job makes them; each
in a process of its own, so that the memory is its own.

`python -m benchmarks.exports [--rows 100000] [--formats csv jsonl parquet xlsx] [--databases sqlite postgresql]`

The 2,000,000 rows of the requirement take a while to make: `--rows 2000000`.
"""

import argparse
import asyncio
import multiprocessing
import threading
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import psutil

from benchmarks.databases import analyze, scratch
from benchmarks.machine import describe
from benchmarks.queries import SURVEY, _fill
from db.migrate import upgrade
from db.session import Database
from db.settings import DatabaseSettings
from deployments.exports.contracts import ExportFormat
from deployments.exports.packing import FORMATS, packed
from deployments.kit.principal import Principal
from deployments.responses.contracts import ExportChunk, ExportResponses
from deployments.responses.deployment import Responses
from tests.factories import make_form, make_tenant

_SAMPLE_S = 0.02


@contextmanager
def _memory() -> Iterator[list[int]]:
    """The greatest memory of this process while the block runs, in bytes."""
    process, peak, over = psutil.Process(), [0], threading.Event()

    def watch() -> None:
        while not over.wait(_SAMPLE_S):
            peak[0] = max(peak[0], process.memory_info().rss)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield peak
    finally:
        over.set()
        thread.join()


async def _chunks(
    responses: Responses, principal: Principal, form_id: str, form: ExportFormat
) -> AsyncIterator[ExportChunk]:
    cursor: str | None = None
    while True:
        chunk = await responses.export_chunk(principal, form_id, cursor, ExportResponses(), FORMATS[form].rows)
        yield chunk
        cursor = chunk.next_cursor
        if cursor is None:
            return


@dataclass(frozen=True, slots=True)
class _Export:
    """What one export took."""

    seconds: float
    cpu_seconds: float
    size: int
    before: int
    peak: int


async def _exported(settings: DatabaseSettings, principal: Principal, form_id: str, form: ExportFormat) -> _Export:
    database = Database(settings)
    responses, size = Responses(database), 0
    before = psutil.Process().memory_info().rss
    began, worked = time.perf_counter(), time.process_time()
    with _memory() as peak:
        async for piece in packed(form, _chunks(responses, principal, form_id, form)):
            size += len(piece)
    taken, worked = time.perf_counter() - began, time.process_time() - worked
    await database.close()
    return _Export(taken, worked, size, before, peak[0])


def _export(settings: DatabaseSettings, principal: Principal, form_id: str, form: ExportFormat) -> _Export:
    return asyncio.run(_exported(settings, principal, form_id, form))


async def _filled(settings: DatabaseSettings, rows: int) -> tuple[Principal, str]:
    await upgrade(settings)
    async with Database(settings) as database:
        principal = await make_tenant(database)
        made = await make_form(database, principal, definition=SURVEY)
        began = time.perf_counter()
        await _fill(database, principal, made.id, rows)
        await analyze(settings)
        print(f"filled in {time.perf_counter() - began:.0f} s")
        return principal, made.id


def _measure(settings: DatabaseSettings, rows: int, formats: list[ExportFormat]) -> None:
    principal, form_id = asyncio.run(_filled(settings, rows))
    print(
        "| format | rows/s | rows/s of CPU time | MB | memory before, MB | peak memory MB |\n|---|---|---|---|---|---|"
    )
    for form in formats:
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
            made = process.submit(_export, settings, principal, form_id, form).result()
        speeds = (f"{rows / made.seconds:,.0f}", f"{rows / made.cpu_seconds:,.0f}")
        sizes = (f"{made.size / 2**20:,.1f}", f"{made.before / 2**20:,.0f}", f"{made.peak / 2**20:,.0f}")
        print(f"| {form} | {' | '.join((*speeds, *sizes))} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000])
    parser.add_argument("--formats", nargs="+", choices=list(FORMATS), default=list(FORMATS))
    parser.add_argument("--databases", nargs="+", default=["sqlite", "postgresql"])
    arguments = parser.parse_args()
    print(describe())
    for database in arguments.databases:
        for rows in arguments.rows:
            print(f"\n{database}, {rows:,} responses of one form:")
            with scratch(database) as settings:
                _measure(settings, rows, arguments.formats)


if __name__ == "__main__":
    main()
