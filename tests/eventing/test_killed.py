"""Processes that are killed at the worst moment, for real, against a real nats-server: facts §6, faults 8 and 13."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from sqlmodel import col

from db.models.events import DeadLetter, FailedEvent, ProcessedEvent
from db.models.events import Event as EventRow
from db.session import Database
from db.settings import DatabaseSettings
from eventing.consumer import Consumer
from eventing.relay import Relay
from eventing.settings import EventingSettings
from eventing.turns import redrive
from tests.eventing.harness import count, empty_stream, eventually, record_facts, rows, running
from tests.eventing.test_consumer import acknowledged, effects, have, subscription, write_effect
from tests.eventing.test_relay import all_published

UNPUBLISHED = col(EventRow.published_at).is_(None)

RELAY = """
import asyncio, os, signal, sys
from db.session import Database
from db.settings import DatabaseSettings
from eventing.connection import connect
from eventing.relay import Relay
from eventing.settings import EventingSettings

async def die(self, delivery):
    os.kill(os.getpid(), signal.SIGKILL)

async def main():
    settings = EventingSettings.model_validate_json(sys.argv[2])
    Relay._mark = die
    client = await connect(settings, "doomed")
    await Relay(Database(DatabaseSettings(url=sys.argv[1])), client, settings, lease_s=0.5).run()

asyncio.run(main())
"""

CONSUMER = """
import asyncio, os, sys
from db.session import Database
from db.settings import DatabaseSettings
from eventing.connection import connect
from eventing.consumer import Consumer
from eventing.settings import EventingSettings
from tests.eventing.test_consumer import subscription, write_effect

async def handle(unit, event):
    if event.entity_id == "frm_poison":
        os._exit(13)
    await write_effect(unit, event)

async def main():
    settings = EventingSettings.model_validate_json(sys.argv[2])
    client = await connect(settings, "doomed")
    await Consumer(Database(DatabaseSettings(url=sys.argv[1])), client, settings, subscription(handle)).run()

asyncio.run(main())
"""


@asynccontextmanager
async def process(
    script: str, database: Database, settings: EventingSettings
) -> AsyncIterator[asyncio.subprocess.Process]:
    started = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        script,
        database.settings.url,
        settings.model_dump_json(),
        cwd=Path(__file__).parents[2],
        stderr=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
    )
    try:
        yield started
    finally:
        if started.returncode is None:
            started.kill()
            await started.wait()


async def test_a_relay_killed_between_acknowledgement_and_mark(database: Database, nats_server: str) -> None:
    """E3, fault 8: published again behind the window of JetStream, they are there twice and have one effect."""
    async with empty_stream(nats_server, duplicate_window_s=1) as transport:
        facts = await record_facts(database, "acme", *(f"frm_{n}" for n in range(5)))
        async with process(RELAY, database, transport.settings) as doomed:
            assert await asyncio.wait_for(doomed.wait(), 60) == -9
        assert await transport.stored() == 5
        assert await count(database, EventRow, UNPUBLISHED) == 5
        await asyncio.sleep(2)  # the window and the lease of the dead run out
        consumer = Consumer(database, transport.client, transport.settings, subscription())
        async with running(Relay(database, transport.client, transport.settings)), running(consumer):
            await eventually(lambda: all_published(database))
            await eventually(lambda: have(database, ProcessedEvent, 5))
            await eventually(lambda: acknowledged(transport))
        assert await transport.stored() == 10
        assert sorted(await effects(database)) == [fact.id for fact in facts]


async def test_an_event_that_ends_every_process_is_given_up(
    sqlite_settings: DatabaseSettings, nats_server: str
) -> None:
    """E4, fault 13: the others have their effects, and so has this one when it is redriven to code that can bear it."""
    database = Database(sqlite_settings)
    async with empty_stream(nats_server, ack_wait_s=0.5, max_attempts=1, retry_delays_s=(0.1,)) as transport:
        facts = await record_facts(database, "acme", "frm_1", "frm_poison", "frm_2", "frm_poison")
        async with running(Relay(database, transport.client, transport.settings)):
            deaths = 0
            while not await count(database, DeadLetter):
                async with process(CONSUMER, database, transport.settings) as doomed:
                    deaths += await _died_or(doomed, lambda: have(database, DeadLetter, 1))
                assert deaths < 8
            later = await record_facts(database, "acme", "frm_3")
            (letter,) = await rows(database, DeadLetter)
            assert (letter.event_id, letter.attempts) == (facts[1].id, 1)
            assert letter.reason == "attempt 1 was lost with its process"
            consumer = Consumer(database, transport.client, transport.settings, subscription(write_effect))
            async with running(consumer):
                async with database.write("acme") as unit:
                    assert await redrive(unit, letter)
                await eventually(lambda: have(database, FailedEvent, 0))
                await eventually(lambda: acknowledged(transport))
        assert deaths >= 3
        assert sorted(await effects(database)) == sorted(fact.id for fact in (*facts, *later))
    await database.close()


async def _died_or(doomed: asyncio.subprocess.Process, is_over: Callable[[], Coroutine[Any, Any, bool]]) -> bool:
    """Whether the process ended by the event's hand, before it was over."""
    over = asyncio.create_task(eventually(is_over, deadline_s=60))
    death = asyncio.create_task(doomed.wait())
    await asyncio.wait({over, death}, return_when=asyncio.FIRST_COMPLETED)
    over.cancel()
    if not death.done():
        death.cancel()
        return False
    assert death.result() == 13
    return True
