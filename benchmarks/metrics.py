"""How far live figures are behind submissions that arrive at a rate, and how fast they are counted anew.

`python -m benchmarks.metrics [--seconds 30] [--rate 500] [--rows 100000] [--databases sqlite postgresql]`

The way is the real one: submissions through their context, the outbox, the relay, JetStream, the consumer and the
keeper beside it, all in one process. The lag of a submission lies between its answer and the moment in which the
figures have it, seen every 10 ms.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import orjson

from benchmarks.databases import scratch
from benchmarks.machine import describe
from benchmarks.queries import SURVEY, _fill
from db.migrate import upgrade
from db.repositories.metrics import MetricRepository
from db.session import Database
from db.settings import DatabaseSettings
from deployments.analytics.metrics.keeping import Counting, MetricKeeper, Nudges
from deployments.analytics.metrics.recounting import Recounting
from deployments.kit.principal import Principal
from deployments.responses.contracts import SubmitResponse
from deployments.responses.deployment import Responses
from eventing import connection
from eventing.consumer import Consumer
from eventing.events.envelope import Origin
from eventing.nudges import Nudges as Carried
from eventing.outbox import EVENTS_TOPIC
from eventing.relay import Relay
from eventing.server import EmbeddedServer
from eventing.settings import EventingSettings
from tests.factories import ANSWERS, make_form, make_tenant

_LOOK_S = 0.01
_TAIL_S = 30.0


@asynccontextmanager
async def _platform(database: Database, nats_url: str) -> AsyncIterator[None]:
    """What brings events to the figures."""
    settings = EventingSettings(nats_url=nats_url)
    client = await connection.connect(settings, "benchmark")
    carried, relay, keeper = Carried(database, client), Relay(database, client, settings), MetricKeeper(database)
    carried.wake(EVENTS_TOPIC, relay.nudge)
    (subscription,) = Nudges(Counting(database)).subscriptions()
    consumer = Consumer(database, client, settings, subscription)
    tasks = [asyncio.create_task(part.run()) for part in (relay, consumer, keeper)]
    try:
        yield
    finally:
        for part in (keeper, relay, consumer):
            await part.stop()
        await asyncio.gather(*tasks)
        await carried.stop()
        await connection.close(client)


async def _lags(database: Database, tenant_id: str, form_id: str, answered: list[float], total: int) -> list[float]:
    """The lag of each submission, in the order of their answers."""
    lags: list[float] = []
    ends = time.perf_counter() + _TAIL_S + total
    while len(lags) < total and time.perf_counter() < ends:
        await asyncio.sleep(_LOOK_S)
        async with database.read(tenant_id) as unit:
            state = await MetricRepository(unit.session, tenant_id, form_id).shown()
        seen, now = 0 if state is None else state.change, time.perf_counter()
        # What is counted before its answer has come has no lag.
        lags += [max(0.0, now - at) for at in answered[len(lags) : seen]]
    return lags


async def _live(database: Database, nats_url: str, seconds: int, rate: int) -> None:
    acme = await make_tenant(database, "live")
    form = await make_form(database, acme)
    responses, answered = Responses(database), list[float]()
    command = SubmitResponse(body=orjson.dumps({"answers": ANSWERS}), slug="party", idempotency_key=None)
    visitor = Principal.anonymous("live", Origin())

    async def submit() -> None:
        await responses.submit(visitor, command)
        answered.append(time.perf_counter())

    async with _platform(database, nats_url):
        watching = asyncio.create_task(_lags(database, "live", form.id, answered, seconds * rate))
        began = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for number in range(seconds * rate):
                await asyncio.sleep(max(0.0, began + number / rate - time.perf_counter()))
                group.create_task(submit())
        taken = time.perf_counter() - began
        lags = await watching
    cuts = statistics.quantiles(lags, n=100)
    print(
        f"{len(lags):,} of {seconds * rate:,} submissions at {seconds * rate / taken:,.0f}/s: live lag "
        f"p50 {cuts[49] * 1e3:.0f} ms, p99 {cuts[98] * 1e3:.0f} ms, most {max(lags) * 1e3:.0f} ms",
        flush=True,
    )


async def _recount(database: Database, rows: int) -> None:
    acme = await make_tenant(database, "many")
    form = await make_form(database, acme, slug="many", definition=SURVEY)
    await _fill(database, acme, form.id, rows)
    recounting = Recounting(database)

    async def report(_done: int, _total: int) -> None:
        return

    for what in ("counted", "counted anew, and what was shown before deleted"):
        began = time.perf_counter()
        await recounting.recount("many", form.id, report)
        taken = time.perf_counter() - began
        print(f"{rows:,} responses of {len(SURVEY['pages'][0]['elements'])} fields {what}: {rows / taken:,.0f}/s")
    began = time.perf_counter()
    verified = await recounting.verify("many", form.id)
    print(f"compared with a recount in {time.perf_counter() - began:.1f} s; different: {len(verified.wrong)}")


async def _measure(settings: DatabaseSettings, nats_url: str, arguments: argparse.Namespace) -> None:
    await upgrade(settings)
    async with Database(settings) as database:
        await _live(database, nats_url, arguments.seconds, arguments.rate)
        await _recount(database, arguments.rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=30)
    parser.add_argument("--rate", type=int, default=500)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--databases", nargs="+", default=["sqlite", "postgresql"])
    arguments = parser.parse_args()
    print(describe())
    for database in arguments.databases:
        print(f"\n{database}:")
        with (
            tempfile.TemporaryDirectory(prefix="formstream-", ignore_cleanup_errors=True) as folder,
            EmbeddedServer(Path(folder)) as server,
            scratch(database) as settings,
        ):
            asyncio.run(_measure(settings, server.url, arguments))


if __name__ == "__main__":
    main()
