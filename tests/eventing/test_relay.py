"""The relay against a real nats-server and real databases."""

import asyncio
import os
import signal
from collections import defaultdict
from pathlib import Path

import nats.errors
import pytest
from nats.aio.msg import Msg
from nats.js.api import DeliverPolicy, Header
from sqlmodel import col

from db.models.events import DeadLetter
from db.models.events import Event as EventRow
from db.session import Database
from eventing.events.envelope import Event, Origin
from eventing.headway import Headway
from eventing.relay import Relay
from eventing.server import EmbeddedServer
from eventing.streams import ConsumerSpec, ensure_consumer
from eventing.subjects import event_subject
from tests.eventing.harness import Transport, count, empty_stream, eventually, is_true, record_facts, rows, running

UNPUBLISHED = col(EventRow.published_at).is_(None)


async def read_stream(transport: Transport, number: int) -> list[Msg]:
    """The first messages of the stream, in its order."""
    subscription = await transport.client.jetstream().subscribe(
        "events.>", ordered_consumer=True, deliver_policy=DeliverPolicy.ALL
    )
    messages = [await subscription.next_msg(timeout=10) for _ in range(number)]
    await subscription.unsubscribe()
    return messages


async def all_published(database: Database) -> bool:
    return await count(database, EventRow, UNPUBLISHED) == 0


async def test_publishes_committed_events_with_cloudevents_headers(database: Database, nats_server: str) -> None:
    """E1, E2: the envelope as stored, on the tenant's subject, with id, CloudEvents attributes and trace."""
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    async with empty_stream(nats_server) as transport:
        (event,) = await record_facts(database, "acme", "frm_1", origin=Origin(traceparent=trace))
        relay = Relay(database, transport.client, transport.settings)
        async with running(relay):
            (message,) = await read_stream(transport, 1)
            await eventually(lambda: all_published(database))
        assert message.subject == "events.acme.form.deleted"
        assert Event.decode(message.data) == event
        assert message.headers is not None
        expected = {
            "Nats-Msg-Id": event.id,
            "ce-id": event.id,
            "ce-type": "form.deleted",
            "ce-source": "/tenants/acme",
            "ce-subject": "frm_1",
            "ce-specversion": "1.0",
            "ce-time": event.timestamp.isoformat(),
            "traceparent": trace,
            "ce-traceparent": trace,
        }
        assert {name: message.headers.get(name) for name in expected} == expected
        assert relay.published == 1


async def stored(transport: Transport, number: int) -> bool:
    """Whether so many messages are in the stream."""
    return await transport.stored() >= number


async def test_a_nudge_wakes_the_relay_long_before_its_poll(database: Database, nats_server: str) -> None:
    async with empty_stream(nats_server, poll_interval_s=60) as transport:
        relay = Relay(database, transport.client, transport.settings)
        async with running(relay):
            database.listen(lambda _topics: relay.nudge())
            await record_facts(database, "acme", "frm_1")
            await eventually(lambda: all_published(database), deadline_s=10)


async def test_the_events_of_who_has_few_come_before_those_of_who_has_many(
    database: Database, nats_server: str
) -> None:
    """T6: they are committed to the stream first, by themselves."""
    async with empty_stream(nats_server) as transport:
        noisy = await record_facts(database, "noisy", *(f"frm_{number}" for number in range(20)))
        quiet = await record_facts(database, "quiet", "frm_1", "frm_2")
        async with running(Relay(database, transport.client, transport.settings)):
            messages = await read_stream(transport, 22)
        assert [Event.decode(message.data).id for message in messages] == [event.id for event in [*quiet, *noisy]]


async def test_who_has_many_waits_for_consumers_that_are_behind_and_others_do_not(
    database: Database, nats_server: str
) -> None:
    """T6: what waits in the stream stands in one line, so the many wait in the database."""
    async with empty_stream(nats_server, fetch_batch=50) as transport:
        await ensure_consumer(transport.client.jetstream(), ConsumerSpec("behind"))
        await record_facts(database, "noisy", *(f"frm_{number}" for number in range(1_000)))
        async with running(Relay(database, transport.client, transport.settings)):
            await eventually(lambda: stored(transport, 100))
            await record_facts(database, "quiet", "frm_1")
            messages = await read_stream(transport, 500)
        tenants = [message.subject.split(".")[1] for message in messages]
        assert "quiet" in tenants


async def test_another_tenant_does_not_wait_for_a_batch_under_way(database: Database, nats_server: str) -> None:
    """T6: and of the tenant of that batch nothing overtakes it."""
    async with empty_stream(nats_server) as transport:
        relay = Relay(database, transport.client, transport.settings)
        await record_facts(database, "noisy", "frm_1")
        async with relay._published(100) as first:
            await record_facts(database, "noisy", "frm_2")
            await record_facts(database, "quiet", "frm_3")
            async with relay._published(100) as second:
                assert [event.entity_id for event in first.events] == ["frm_1"]
                assert [event.entity_id for event in second.events] == ["frm_3"]
        async with relay._published(100) as third:
            assert [event.entity_id for event in third.events] == ["frm_2"]


async def test_consumers_that_nobody_runs_hold_up_nobody(database: Database, nats_server: str) -> None:
    async with empty_stream(nats_server) as transport:
        js = transport.client.jetstream()
        await ensure_consumer(js, ConsumerSpec("abandoned"))
        await record_facts(database, "noisy", *(f"frm_{number}" for number in range(300)))
        async with running(Relay(database, transport.client, transport.settings)):
            await eventually(lambda: stored(transport, 300))
        assert await Headway(100).is_used_up(js)
        assert not await Headway(301).is_used_up(js)
        assert not await Headway(100, hopeless=299).is_used_up(js)


async def test_an_unpublishable_row_becomes_a_dead_letter_and_blocks_nobody(
    database: Database, nats_server: str
) -> None:
    """E4: rows that no subject can carry, or that are no event, are set aside with the reason."""
    async with empty_stream(nats_server, relay_batch=2) as transport:
        bad = [
            *await record_facts(database, "Bad Tenant", "frm_1"),
            *await record_facts(database, "acme.evil", "frm_2"),
            *await record_facts(database, "*", "frm_3"),
        ]
        broken = await record_facts(database, "acme", "frm_4")
        async with database.write("acme") as unit:
            row = await unit.session.get(EventRow, ("acme", broken[0].id))
            assert row is not None
            row.envelope = "[]"
        (good,) = await record_facts(database, "acme", "frm_5")
        relay = Relay(database, transport.client, transport.settings)
        async with running(relay):
            (message,) = await read_stream(transport, 1)
            await eventually(lambda: all_published(database))
        assert Event.decode(message.data) == good
        letters = await rows(database, DeadLetter)
        assert {letter.event_id for letter in letters} == {event.id for event in [*bad, *broken]}
        assert all(letter.reason and letter.consumer == "relay" for letter in letters)
        assert relay.rejected == 4


async def test_a_failed_event_holds_back_later_ones_of_its_entity(
    database: Database, nats_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """E3: whatever fails, the stream has the events of each entity in their order."""
    async with empty_stream(nats_server) as transport:
        events = []
        for _ in range(5):
            events += await record_facts(database, "acme", "frm_a", "frm_b", "frm_c")
        # One that is in the stream already has all of them published apart.
        subject, known = event_subject("acme", events[0].type), events[0]
        headers = {str(Header.MSG_ID.value): known.id}
        await transport.client.jetstream().publish(subject, known.encode().encode(), headers=headers)
        relay = Relay(database, transport.client, transport.settings)
        publish, refused = relay._publish, {events[1].id}

        async def flaky(event):  # type: ignore[no-untyped-def]
            if event.id in refused:
                refused.discard(event.id)
                raise nats.errors.TimeoutError
            return await publish(event)

        monkeypatch.setattr(relay, "_publish", flaky)
        async with running(relay):
            messages = await read_stream(transport, len(events))
        assert not refused
        order = defaultdict(list)
        for message in messages:
            event = Event.decode(message.data)
            order[event.entity_id].append(event.id)
        for entity in ("frm_a", "frm_b", "frm_c"):
            assert order[entity] == [event.id for event in events if event.entity_id == entity]


async def test_two_relays_publish_everything_once(database: Database, nats_server: str) -> None:
    """E3: one leads; the other takes over when the first is gone; nothing is lost or doubled."""
    async with empty_stream(nats_server) as transport:
        relays = [Relay(database, transport.client, transport.settings, lease_s=0.6) for _ in range(2)]
        async with running(relays[1]):
            async with running(relays[0]):
                await record_facts(database, "acme", *(f"frm_{n}" for n in range(50)))
                await eventually(lambda: all_published(database))
                # A lease may run out for a moment when the machine is busy.
                await eventually(lambda: is_true(lambda: sum(relay.is_leader for relay in relays) == 1))
            await record_facts(database, "acme", *(f"frm_{n}" for n in range(50)))
            await eventually(lambda: all_published(database))
        assert await transport.stored() == 100
        assert sum(relay.published for relay in relays) == 100


async def test_two_leaders_are_harmless(database: Database, nats_server: str) -> None:
    """A lease believed by two (a paused process): every event is in the stream once all the same."""
    async with empty_stream(nats_server) as transport:
        await record_facts(database, "acme", *(f"frm_{n}" for n in range(200)))
        relays = [Relay(database, transport.client, transport.settings) for _ in range(2)]

        async def more(relay: Relay) -> bool:
            async with relay._published(64) as taken:
                return taken.more

        while any(await asyncio.gather(*map(more, relays))):
            pass
        assert await transport.stored() == 200
        assert await all_published(database)


async def test_survives_the_death_of_the_server_mid_drain(database: Database, tmp_path: Path) -> None:
    """E7: nats-server is killed (SIGKILL) twice while the outbox drains; every event arrives."""
    total = 600
    with EmbeddedServer(tmp_path / "nats") as server:
        async with empty_stream(server.url, publish_timeout_s=1, relay_batch=64) as transport:
            relay = Relay(database, transport.client, transport.settings)
            await record_facts(database, "acme", *(f"frm_{n}" for n in range(total)))
            async with running(relay):
                for threshold in (64, 256):
                    await eventually(
                        lambda threshold=threshold: _reached(relay, threshold)  # type: ignore[misc]
                    )
                    pid = server.pid
                    assert pid is not None
                    os.kill(pid, signal.SIGKILL)
                    await eventually(lambda pid=pid: _restarted(server, pid))  # type: ignore[misc]
                await eventually(lambda: all_published(database))
                assert await relay.oldest_unpublished_age() == 0
            messages = await read_stream(transport, await transport.stored())
        ids = [Event.decode(message.data).id for message in messages]
        assert len(set(ids)) == total == len(ids)


async def _reached(relay: Relay, number: int) -> bool:
    return relay.published >= number


async def _restarted(server: EmbeddedServer, pid: int) -> bool:
    return server.pid not in (None, pid)


async def test_a_lost_stream_is_declared_and_filled_again(database: Database, nats_server: str) -> None:
    """E5: what was published to it goes before what is new."""
    async with empty_stream(nats_server) as transport:
        relay = Relay(database, transport.client, transport.settings)
        async with running(relay):
            await record_facts(database, "acme", "frm_1")
            await eventually(lambda: all_published(database))
            await transport.client.jetstream().delete_stream("EVENTS")
            await record_facts(database, "acme", "frm_2")
            await eventually(lambda: all_published(database))
        ids = [Event.decode(message.data).entity_id for message in await read_stream(transport, 2)]
        assert ids == ["frm_1", "frm_2"]
        assert (await transport.stored(), relay.restored) == (2, 1)


async def test_shows_how_long_the_oldest_event_waits(database: Database, nats_server: str) -> None:
    """E7: the age of the oldest event is visible."""
    async with empty_stream(nats_server) as transport:
        relay = Relay(database, transport.client, transport.settings)
        assert await relay.oldest_unpublished_age() == 0
        await record_facts(database, "acme", "frm_1")
        assert await relay.oldest_unpublished_age() > 0


async def test_stop_publishes_what_is_there(database: Database, nats_server: str) -> None:
    async with empty_stream(nats_server, poll_interval_s=60) as transport:
        relay = Relay(database, transport.client, transport.settings)
        task = asyncio.create_task(relay.run())
        await eventually(lambda: is_true(lambda: relay.is_leader))
        await record_facts(database, "acme", "frm_1")
        await relay.stop()
        await task
        assert await all_published(database)
        assert not relay.is_leader
