"""E7, Z5: networks that break, or worse, go quiet."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from urllib.parse import parse_qs, urlsplit

import pytest

from db.session import Database, UnitOfWork
from db.settings import DatabaseSettings
from eventing.connection import connect
from eventing.consumer import Consumer
from eventing.events.envelope import Event
from eventing.relay import Relay
from eventing.settings import EventingSettings
from tests.eventing.harness import DEADLINE_S, empty_stream, eventually, record_facts, running
from tests.eventing.test_consumer import effects, subscription, write_effect
from tests.faults.proxy import Mode, Proxy, proxied

QUICK = {
    "poll_interval_s": 0.2,
    "reconnect_wait_s": 0.1,
    "ping_interval_s": 1,
    "publish_timeout_s": 0.5,
    "connect_timeout_s": 1.0,
    "ack_wait_s": 2.0,
    "retry_delays_s": (0.1,),
}
# Longer than two pings without an answer, which is how a quiet connection is noticed.
QUIET_S = 3.5


# The client of NATS leaves the sockets of attempts that came to nothing to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@asynccontextmanager
async def behind_nats(url: str) -> AsyncIterator[tuple[Proxy, str]]:
    """A proxy before a NATS server, and the URL by which clients go through it."""
    parts = urlsplit(url)
    async with proxied(partial(asyncio.open_connection, parts.hostname, parts.port)) as proxy:
        credentials = parts.netloc.rpartition("@")[0]
        yield proxy, f"nats://{credentials}@127.0.0.1:{proxy.port}"


async def happened(database: Database, wanted: Sequence[Event]) -> None:
    """Wait for every effect, and see that each is there once."""

    async def complete() -> bool:
        return len(await effects(database)) >= len(wanted)

    await eventually(complete)
    assert sorted(await effects(database)) == sorted(event.id for event in wanted)


@pytest.mark.parametrize("mode", ["refuses", "swallows", "swallows answers"])
async def test_a_network_without_nats_costs_time_and_nothing_else(
    database: Database, nats_server: str, mode: Mode
) -> None:
    """Fault 17: relay and consumer are cut off, an acknowledgement is lost; events are recorded all the while."""
    async with empty_stream(nats_server), behind_nats(nats_server) as (proxy, url):
        settings = EventingSettings(nats_url=url, **QUICK)  # type: ignore[arg-type]
        client = await connect(settings, "test")
        try:
            consumer = Consumer(database, client, settings, subscription())
            async with running(Relay(database, client, settings)), running(consumer):
                recorded = await record_facts(database, "acme", *(f"frm_{n}" for n in range(20)))
                await happened(database, recorded)
                proxy.become(mode)
                for n in range(10):
                    recorded += await record_facts(database, "acme", f"frm_{n}", f"frm_new_{n}")
                    await asyncio.sleep(QUIET_S / 10)
                proxy.become("passes")
                await happened(database, recorded)
        finally:
            await client.close()


@pytest.mark.parametrize("mode", ["refuses", "swallows", "swallows answers"])
async def test_a_network_without_the_database_costs_time_and_nothing_else(
    postgres_settings: DatabaseSettings, nats_server: str, mode: Mode
) -> None:
    """Fault 17: the consumer's connections to PostgreSQL go quiet in the middle of its transactions."""
    uri = postgres_settings.url.replace("postgresql+asyncpg://", "postgresql://", 1)
    folder = parse_qs(urlsplit(uri).query)["host"][0]
    async with (
        empty_stream(nats_server, **{**QUICK, "fetch_batch": 3}) as transport,
        proxied(partial(asyncio.open_unix_connection, f"{folder}/.s.PGSQL.5432")) as proxy,
    ):
        near = Database(postgres_settings)
        through = uri.partition("?")[0].replace("@", f"@127.0.0.1:{proxy.port}", 1)
        far = Database(DatabaseSettings(url=through.replace("postgresql://", "postgresql+asyncpg://", 1), wait_s=1.0))
        entered = asyncio.Event()

        async def slow_effect(unit: UnitOfWork, event: Event) -> None:
            entered.set()
            await asyncio.sleep(0.02)
            await write_effect(unit, event)

        try:
            consumer = Consumer(far, transport.client, transport.settings, subscription(slow_effect))
            async with running(Relay(near, transport.client, transport.settings)), running(consumer):
                recorded = await record_facts(near, "acme", *(f"frm_{n}" for n in range(30)))
                async with asyncio.timeout(DEADLINE_S):
                    await entered.wait()
                proxy.become(mode)
                recorded += await record_facts(near, "acme", "frm_1", "frm_late")
                await asyncio.sleep(QUIET_S)
                proxy.become("passes")
                await happened(near, recorded)
        finally:
            proxy.become("refuses")
            await far.close()
            await near.close()
