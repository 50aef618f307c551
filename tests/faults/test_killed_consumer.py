"""E3, Z5: a consumer is killed at each point of its work."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from db.session import Database
from eventing.relay import Relay
from tests.eventing.harness import empty_stream, eventually, record_facts, running
from tests.eventing.test_consumer import acknowledged, effects
from tests.faults.consumer_process import QUICK

EVENTS = 200


@asynccontextmanager
async def consumer(
    database: Database, nats_url: str, point: str, number: int = 0, *, module: str = "tests.faults.consumer_process"
) -> AsyncIterator[int | None]:
    """The process; with a point it has killed itself when the block begins."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module, database.settings.url, nats_url, point, str(number)),
        stderr=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
    )
    try:
        yield await asyncio.wait_for(process.wait(), 60) if point else None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_every_event_has_its_effect_once(database: Database, nats_server: str) -> None:
    """Fault 1: SIGKILL before an effect, inside its transaction, and between its commit and the acknowledgement."""
    async with (
        empty_stream(nats_server, **QUICK) as transport,
        running(Relay(database, transport.client, transport.settings)),
    ):
        recorded = await record_facts(database, "acme", *(f"frm_{n % 40}" for n in range(EVENTS)))
        for point, number in (("before", 10), ("inside", 30), ("after", 20)):
            async with consumer(database, nats_server, point, number) as ended:
                assert ended == -signal.SIGKILL, point
        async with consumer(database, nats_server, ""):

            async def complete() -> bool:
                return len(await effects(database)) >= EVENTS and await acknowledged(transport)

            await eventually(complete)
    assert sorted(await effects(database)) == sorted(event.id for event in recorded)
