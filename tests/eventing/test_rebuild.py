"""E5, fault 5: the stream is lost with its store and made again from the database; on both databases."""

import shutil
from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import update
from sqlmodel import col
from structlog.testing import capture_logs

from db.models.events import Event as EventRow
from db.models.events import FailedEvent, ProcessedEvent
from db.repositories import stream_state
from db.session import Database, UnitOfWork
from db.types import utc_now
from eventing.consumer import Consumer
from eventing.events.envelope import Event
from eventing.rebuild import StreamMemory, rebuild
from eventing.relay import Relay
from eventing.server import EmbeddedServer
from eventing.streams import EVENTS
from tests.eventing.harness import Transport, empty_stream, eventually, record_facts, running
from tests.eventing.test_consumer import acknowledged, effects, have, subscription
from tests.eventing.test_relay import all_published, read_stream

OLD = timedelta(days=3)


async def stored_ids(transport: Transport) -> list[str]:
    number = await transport.stored()
    return [Event.decode(message.data).id for message in await read_stream(transport, number)]


async def needed_since(database: Database) -> Any:
    known = await database.view(partial(stream_state.known, name=EVENTS))
    return None if known is None else known.needed_since


async def published(database: Database, transport: Transport, tenant: str, *entities: str) -> list[Event]:
    """Facts that a relay has brought to the stream."""
    facts = await record_facts(database, tenant, *entities)
    async with running(Relay(database, transport.client, transport.settings)):
        await eventually(lambda: all_published(database))
    return facts


async def make_old(database: Database, events: Sequence[Event]) -> None:
    """As if they had been published days ago."""
    async with database.unscoped_write() as unit:
        ids = [event.id for event in events]
        statement = update(EventRow).where(col(EventRow.id).in_(ids)).values(published_at=utc_now() - OLD)
        await unit.session.execute(statement)


async def test_a_wiped_store_loses_no_event_and_repeats_no_effect(database: Database, tmp_path: Path) -> None:
    """200 events of two tenants; the server's folder is deleted while it is down; nobody is asked to do anything."""
    server = EmbeddedServer(tmp_path / "nats")
    server.start()
    try:
        async with empty_stream(server.url, publish_timeout_s=1, ack_wait_s=2) as transport:
            names = [f"frm_{n % 10}" for n in range(100)]
            events = [*await record_facts(database, "acme", *names), *await record_facts(database, "globex", *names)]
            relay = Relay(database, transport.client, transport.settings)
            consumer = Consumer(database, transport.client, transport.settings, subscription())
            async with running(relay), running(consumer):
                await eventually(lambda: have(database, ProcessedEvent, 200))
                await eventually(lambda: acknowledged(transport))
                server.stop()
                shutil.rmtree(tmp_path / "nats" / "jetstream")
                waiting = await record_facts(database, "acme", "frm_0", "frm_new")
                server.start()
                await eventually(lambda: have(database, ProcessedEvent, 202), deadline_s=60)
                await eventually(lambda: all_published(database))
                await eventually(lambda: acknowledged(transport))
            expected = [event.id for event in (*events, *waiting)]
            found = await stored_ids(transport)
            assert relay.restored == 200
        assert sorted(found) == sorted(expected)
        for name in set(names):
            of_entity = {e.id for e in (*events, *waiting) if (e.tenant_id, e.entity_id) == ("acme", name)}
            assert [id_ for id_ in found if id_ in of_entity] == sorted(of_entity)
        assert sorted(await effects(database)) == sorted(expected)
    finally:
        server.stop()


async def test_only_what_somebody_may_need_comes_back_by_itself(database: Database, nats_server: str) -> None:
    async with empty_stream(nats_server) as transport:
        old = await record_facts(database, "acme", "frm_1", "frm_2")
        new = await record_facts(database, "acme", "frm_3")
        js = transport.client.jetstream()
        memory = StreamMemory(database, transport.settings)
        relay = Relay(database, transport.client, transport.settings)
        consumer = Consumer(database, transport.client, transport.settings, subscription())
        async with running(relay), running(consumer):
            await eventually(lambda: have(database, ProcessedEvent, 3))
            await eventually(lambda: acknowledged(transport))
        await make_old(database, old)
        await memory.observe(js)
        assert utc_now() - timedelta(minutes=62) < await needed_since(database) < utc_now() - timedelta(minutes=58)
        await js.delete_stream(EVENTS)
        again = Relay(database, transport.client, transport.settings)
        async with running(again):
            await eventually(lambda: _holds(transport, 1))
        assert (await stored_ids(transport), again.restored) == ([new[0].id], 1)


async def test_everything_comes_back_on_demand_and_is_no_news(database: Database, nats_server: str) -> None:
    """An event that had no effect then has none now, although somebody would want it now; what waits goes on."""
    wanted = False

    async def select(_unit: UnitOfWork, events: Sequence[Event]) -> Sequence[Event]:
        return [event for event in events if wanted or event.entity_id != "frm_unwanted"]

    async with empty_stream(nats_server) as transport:
        facts = await published(database, transport, "acme", "frm_1", "frm_unwanted", "frm_waiting")
        await make_old(database, facts)
        async with database.write("acme") as unit:
            failed = {"attempts": 1, "error": "not yet", "next_attempt_at": utc_now()}
            unit.session.add(
                FailedEvent(
                    tenant_id="acme", consumer="effects", event_id=facts[2].id, entity_id="frm_waiting", **failed
                )
            )
            unit.session.add(
                ProcessedEvent(tenant_id="acme", consumer="effects", event_id=facts[0].id, processed_at=utc_now())
            )
        await transport.client.jetstream().delete_stream(EVENTS)
        wanted = True
        since = utc_now() - timedelta(hours=1)
        for _ in range(2):
            assert await rebuild(database, since=None, consumers=["effects"], needed_since=since) in (3, 0)
        consumer = Consumer(database, transport.client, transport.settings, subscription(select=select))
        async with running(Relay(database, transport.client, transport.settings)), running(consumer):
            await eventually(lambda: _holds(transport, 3))
            await eventually(lambda: have(database, FailedEvent, 0))
            await eventually(lambda: acknowledged(transport))
        assert await effects(database) == [facts[2].id]


async def test_a_stream_that_is_shorter_than_what_it_acknowledged_is_lost(database: Database, nats_server: str) -> None:
    """A store from a backup: the same stream, without its end."""
    async with empty_stream(nats_server) as transport:
        facts = await published(database, transport, "acme", "frm_1", "frm_2")
        known = await database.view(partial(stream_state.known, name=EVENTS))
        assert known is not None
        assert known.last_seq == 2
        await database.transact(partial(stream_state.advance, name=EVENTS, last_seq=9))
        again = Relay(database, transport.client, transport.settings)
        async with running(again):
            await eventually(lambda: _was_restored(again, 2))
            await eventually(lambda: all_published(database))
        assert await stored_ids(transport) == [fact.id for fact in facts]


async def test_a_stream_that_was_made_later_is_lost_however_long_it_is(database: Database, nats_server: str) -> None:
    """Somebody made it anew and filled it before the relay looked."""
    async with empty_stream(nats_server) as transport:
        facts = await published(database, transport, "acme", "frm_1", "frm_2")
    async with empty_stream(nats_server) as transport:
        for _ in range(3):
            await transport.client.jetstream().publish("events.globex.form.deleted", b"{}", stream=EVENTS)
        again = Relay(database, transport.client, transport.settings)
        async with running(again):
            await eventually(lambda: _was_restored(again, len(facts)), deadline_s=10)


async def test_what_comes_back_goes_before_what_was_taken_already(database: Database, nats_server: str) -> None:
    """E3: a loss that is noticed late puts no event before an earlier one of its entity."""
    async with empty_stream(nats_server) as transport:
        facts = await published(database, transport, "acme", "frm_1", "frm_1")
    async with empty_stream(nats_server) as transport:
        facts += await record_facts(database, "acme", "frm_1")
        async with Relay(database, transport.client, transport.settings)._published(100):
            assert await stored_ids(transport) == [fact.id for fact in facts]


async def test_how_far_consumers_are_is_never_overestimated(database: Database, nats_server: str) -> None:
    """A consumer with a backlog needs everything since its last acknowledged event."""
    async with empty_stream(nats_server) as transport:
        (first,) = await record_facts(database, "acme", "frm_1")
        async with running(Relay(database, transport.client, transport.settings)):
            await eventually(lambda: all_published(database))
            consumer = Consumer(database, transport.client, transport.settings, subscription())
            async with running(consumer):
                await eventually(lambda: have(database, ProcessedEvent, 1))
                await eventually(lambda: acknowledged(transport))
            await record_facts(database, "acme", "frm_2")
            await eventually(lambda: all_published(database))
        await StreamMemory(database, transport.settings).observe(transport.client.jetstream())
        assert await needed_since(database) < first.timestamp


async def test_a_first_start_is_no_loss(database: Database, nats_server: str) -> None:
    async with empty_stream(nats_server) as transport:
        relay = Relay(database, transport.client, transport.settings)
        with capture_logs() as logs:
            async with running(relay):
                await record_facts(database, "acme", "frm_1")
                await eventually(lambda: all_published(database))
        assert relay.restored == 0
        assert not [log for log in logs if log["log_level"] == "error"]


async def test_a_loss_before_anything_was_noted_is_one(database: Database, nats_server: str) -> None:
    """An installation of before that upgrades with an empty store."""
    async with empty_stream(nats_server) as transport:
        facts = await record_facts(database, "acme", "frm_1")
        async with database.unscoped_write() as unit:
            await unit.session.execute(update(EventRow).values(published_at=utc_now()))
        relay = Relay(database, transport.client, transport.settings)
        async with running(relay):
            await eventually(lambda: _holds(transport, 1))
        assert (await stored_ids(transport), relay.restored) == ([facts[0].id], 1)


async def _holds(transport: Transport, number: int) -> bool:
    try:
        return await transport.stored() == number
    except Exception:  # noqa: BLE001 - the stream is being made
        return False


async def _was_restored(relay: Relay, number: int) -> bool:
    return relay.restored == number
