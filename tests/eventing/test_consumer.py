"""Consumers against a real nats-server and real databases: effects once, failures aside, order kept."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import col

from db.errors import DatabaseUnavailable
from db.models.events import DeadLetter, FailedEvent, ProcessedEvent
from db.models.events import Event as EventRow
from db.models.jobs import Job
from db.session import Database, UnitOfWork
from db.types import utc_now
from eventing.consumer import Consumer, Poison, Subscription
from eventing.events.envelope import Event
from eventing.relay import Relay
from eventing.server import EmbeddedServer
from tests.eventing.harness import Transport, count, empty_stream, eventually, record_facts, rows, running

FAST_RETRIES = {"retry_delays_s": (0.05,), "retry_jitter": 0.0}


async def write_effect(unit: UnitOfWork, event: Event) -> None:
    """An effect that can be counted: one row per call, in the unit's transaction."""
    unit.session.add(
        Job(
            tenant_id=unit.tenant,
            id=f"job_{event.id}_{time.monotonic_ns()}",
            kind="effect",
            queue="none",
            payload={"event": event.id, "entity": event.entity_id},
            created_by="test",
            created_at=utc_now(),
            run_at=utc_now(),
        )
    )


async def effects(database: Database) -> list[str]:
    """The event ids of all effects, in order."""
    jobs = sorted(await rows(database, Job), key=lambda job: int(job.id.rpartition("_")[2]))
    return [job.payload["event"] for job in jobs]


def subscription(handle: Any = write_effect, **options: Any) -> Subscription:
    async def each(unit: UnitOfWork, events: Sequence[Event]) -> None:
        for event in events:
            await handle(unit, event)

    return Subscription("effects", ("form.deleted",), each, **options)


@asynccontextmanager
async def consuming(
    database: Database, transport: Transport, *subscriptions: Subscription
) -> AsyncIterator[list[Consumer]]:
    """A relay, and one consumer for each subscription."""
    consumers = [Consumer(database, transport.client, transport.settings, each) for each in subscriptions]
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(running(Relay(database, transport.client, transport.settings)))
        for consumer in consumers:
            await stack.enter_async_context(running(consumer))
        yield consumers


async def have(database: Database, table: type[Any], number: int) -> bool:
    return await count(database, table) == number


async def acknowledged(transport: Transport, name: str = "effects") -> bool:
    info = await transport.client.jetstream().consumer_info("EVENTS", name)
    return info.num_ack_pending == 0 and info.num_pending == 0


async def test_every_event_has_its_effect_once(database: Database, nats_server: str) -> None:
    """E3: two replicas share the events of several tenants; each effect happens once, under its tenant."""
    async with empty_stream(nats_server) as transport:
        events = []
        for tenant in ("acme", "globex", "initech"):
            events += await record_facts(database, tenant, *(f"frm_{n}" for n in range(60)))
        async with consuming(database, transport, subscription(), subscription()) as consumers:
            await eventually(lambda: have(database, ProcessedEvent, 180))
            await eventually(lambda: acknowledged(transport))
        assert sorted(await effects(database)) == sorted(event.id for event in events)
        assert {(job.tenant_id, job.payload["event"]) for job in await rows(database, Job)} == {
            (event.tenant_id, event.id) for event in events
        }
        assert sum(consumer.counters.handled for consumer in consumers) == 180


async def test_other_types_are_not_delivered(database: Database, nats_server: str) -> None:
    async with empty_stream(nats_server) as transport:
        await record_facts(database, "acme", "frm_1")
        other = Subscription("other", ("form.created",), write_effect)
        async with consuming(database, transport, subscription(), other) as (_, idle):
            await eventually(lambda: have(database, Job, 1))
        assert idle.counters.handled == 0


async def test_unselected_events_cost_no_write(database: Database, nats_server: str) -> None:
    async def select(unit: UnitOfWork, events: Sequence[Event]) -> Sequence[Event]:
        assert {event.tenant_id for event in events} == {unit.tenant}
        return [event for event in events if event.entity_id == "frm_wanted"]

    async with empty_stream(nats_server) as transport:
        await record_facts(database, "acme", "frm_1", "frm_wanted", "frm_2")
        async with consuming(database, transport, subscription(select=select)) as (consumer,):
            await eventually(lambda: have(database, Job, 1))
            await eventually(lambda: acknowledged(transport))
        assert await count(database, ProcessedEvent) == 1
        assert consumer.counters.unselected == 2


async def test_a_handler_that_fails_is_tried_again(database: Database, nats_server: str) -> None:
    """E3: the failed attempt leaves nothing behind; its neighbours are not held up; the retry succeeds."""
    failures = {"frm_2": 2}

    async def handle(unit: UnitOfWork, event: Event) -> None:
        await write_effect(unit, event)
        if failures.get(event.entity_id, 0) > 0 and await unit.session.connection():
            failures[event.entity_id] -= 1
            raise RuntimeError("not yet")

    async with empty_stream(nats_server, **FAST_RETRIES) as transport:
        # The first failure is seen in the common transaction, so three calls fail before the third attempt.
        failures["frm_2"] = 3
        events = await record_facts(database, "acme", "frm_1", "frm_2", "frm_3")
        async with consuming(database, transport, subscription(handle)) as (consumer,):
            await eventually(lambda: have(database, ProcessedEvent, 3))
            await eventually(lambda: have(database, FailedEvent, 0))
        assert sorted(await effects(database)) == sorted(event.id for event in events)
        assert consumer.counters.failed == 2
        assert await count(database, DeadLetter) == 0


async def test_a_selection_that_fails_is_an_attempt_of_its_event(database: Database, nats_server: str) -> None:
    """Nothing is taken for unselected because the question failed; other events are not held up."""
    failures = 2

    async def select(_unit: UnitOfWork, events: Sequence[Event]) -> Sequence[Event]:
        nonlocal failures
        if failures and any(event.entity_id == "frm_1" for event in events):
            failures -= 1
            raise RuntimeError("no answer")
        return events

    async with empty_stream(nats_server, **FAST_RETRIES) as transport:
        events = await record_facts(database, "acme", "frm_1", "frm_2")
        async with consuming(database, transport, subscription(select=select)) as (consumer,):
            await eventually(lambda: have(database, ProcessedEvent, 2))
        assert sorted(await effects(database)) == sorted(event.id for event in events)
        assert consumer.counters.failed == 1


async def test_poison_becomes_a_dead_letter_and_blocks_nobody(database: Database, nats_server: str) -> None:
    """E4: reason, attempts and payload are kept; every other event of the batch has its effect."""

    async def handle(unit: UnitOfWork, event: Event) -> None:
        if event.entity_id == "frm_2":
            raise Poison("no recipient can ever exist")
        await write_effect(unit, event)

    async with empty_stream(nats_server) as transport:
        events = await record_facts(database, "acme", "frm_1", "frm_2", "frm_3")
        async with consuming(database, transport, subscription(handle)):
            await eventually(lambda: have(database, DeadLetter, 1))
            await eventually(lambda: have(database, Job, 2))
            await eventually(lambda: acknowledged(transport))
        (letter,) = await rows(database, DeadLetter)
        assert (letter.event_id, letter.reason, letter.attempts) == (events[1].id, "no recipient can ever exist", 1)
        assert (letter.consumer, letter.event_type) == ("effects", "form.deleted")
        assert Event.decode(letter.envelope) == events[1]


async def test_attempts_end_in_a_dead_letter(database: Database, nats_server: str) -> None:
    """E4: after `max_attempts` the event is given up with its last error."""
    calls = 0

    async def handle(_unit: UnitOfWork, _event: Event) -> None:
        nonlocal calls
        calls += 1
        raise RuntimeError(f"call \0 {calls} \udc00")

    async with empty_stream(nats_server, max_attempts=3, **FAST_RETRIES) as transport:
        (event,) = await record_facts(database, "acme", "frm_1")
        async with consuming(database, transport, subscription(handle)) as (consumer,):
            await eventually(lambda: have(database, DeadLetter, 1))
        (letter,) = await rows(database, DeadLetter)
        assert (letter.attempts, Event.decode(letter.envelope)) == (3, event)
        assert letter.reason.startswith("RuntimeError: call")
        assert await count(database, FailedEvent) == 0
        assert consumer.counters.dead == 1


async def test_an_undecodable_message_is_buried_and_terminated(database: Database, nats_server: str) -> None:
    """E4: bytes that are no event, and an event under a foreign tenant's subject."""
    async with empty_stream(nats_server) as transport:
        (event,) = await record_facts(database, "acme", "frm_1")
        js = transport.client.jetstream()
        await js.publish("events.acme.form.deleted", b"\xff\x00{", headers={"Nats-Msg-Id": "evt_broken"})
        await js.publish("events.globex.form.deleted", event.encode().encode(), headers={"Nats-Msg-Id": "evt_forged"})
        async with consuming(database, transport, subscription()):
            await eventually(lambda: have(database, DeadLetter, 2))
            await eventually(lambda: have(database, Job, 1))
            await eventually(lambda: acknowledged(transport))
        letters = {letter.event_id: letter for letter in await rows(database, DeadLetter)}
        assert letters["evt_broken"].tenant_id == "acme"
        assert letters["evt_forged"].tenant_id == "globex"
        assert "another tenant" in letters["evt_forged"].reason
        assert await effects(database) == [event.id]


async def test_later_events_of_an_entity_wait_behind_a_failed_one(database: Database, nats_server: str) -> None:
    """E3: order per entity survives a failure; other entities overtake."""
    failing = asyncio.Event()
    failing.set()

    async def handle(unit: UnitOfWork, event: Event) -> None:
        if event.id == first[0].id and failing.is_set():
            raise RuntimeError("not yet")
        await write_effect(unit, event)

    async with empty_stream(nats_server, max_attempts=1000, **FAST_RETRIES) as transport:
        first = await record_facts(database, "acme", "frm_a", "frm_b", "frm_a")
        async with consuming(database, transport, subscription(handle)):
            await eventually(lambda: have(database, FailedEvent, 2))
            second = await record_facts(database, "acme", "frm_a", "frm_b")
            await eventually(lambda: have(database, FailedEvent, 3))
            await eventually(lambda: have(database, Job, 2))
            failing.clear()
            await eventually(lambda: have(database, Job, 5))
        done = await effects(database)
        ours = [first[0].id, first[2].id, second[0].id]
        assert [event_id for event_id in done if event_id in ours] == ours


async def test_a_crash_between_commit_and_acknowledgement_has_no_second_effect(
    database: Database, nats_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """E3: the message is delivered again and the inbox knows it."""
    async with empty_stream(nats_server, ack_wait_s=0.5) as transport:
        events = await record_facts(database, "acme", "frm_1", "frm_2")
        crashing = Consumer(database, transport.client, transport.settings, subscription())
        crashed = asyncio.Event()

        async def crash(*_: Any) -> None:
            crashed.set()
            await asyncio.Event().wait()

        monkeypatch.setattr(crashing, "_acknowledge", crash)
        async with running(Relay(database, transport.client, transport.settings)):
            task = asyncio.create_task(crashing.run())
            await asyncio.wait_for(crashed.wait(), 20)
            task.cancel()
            await asyncio.wait({task})
            async with consuming(database, transport, subscription()) as (survivor,):
                await eventually(lambda: have(database, Job, 2))
                await eventually(lambda: acknowledged(transport))
                assert survivor.counters.duplicates + survivor.counters.handled >= 2
                assert survivor.counters.duplicates >= 1
        assert sorted(await effects(database)) == sorted(event.id for event in events)


async def test_nothing_is_acknowledged_while_the_database_is_away(
    database: Database, nats_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """E7: the consumer backs off, stays alive, and has the effect once the database answers again."""
    async with empty_stream(nats_server, ack_wait_s=0.6) as transport:
        (event,) = await record_facts(database, "acme", "frm_1")
        away = asyncio.Event()
        asked = asyncio.Event()

        async def refuse(*_: Any) -> None:
            asked.set()
            raise DatabaseUnavailable("connection refused")

        consumer = Consumer(database, transport.client, transport.settings, subscription())
        apply = consumer._effects.apply

        async def apply_unless_away(events: Sequence[Event]) -> None:
            await (refuse() if away.is_set() else apply(events))

        monkeypatch.setattr(consumer._effects, "apply", apply_unless_away)
        away.set()
        async with running(Relay(database, transport.client, transport.settings)), running(consumer):
            await asyncio.wait_for(asked.wait(), 20)
            info = await transport.client.jetstream().consumer_info("EVENTS", "effects")
            assert info.num_ack_pending == 1
            before = consumer.last_progress
            await eventually(lambda: _later(consumer, before))
            away.clear()
            await eventually(lambda: have(database, Job, 1))
            await eventually(lambda: acknowledged(transport))
        assert await effects(database) == [event.id]


async def _later(consumer: Consumer, moment: float) -> bool:
    return consumer.last_progress > moment


async def test_a_faulty_statement_does_not_pass_for_an_absent_database(database: Database, nats_server: str) -> None:
    """A handler whose SQL fails gets its attempt counted; the rest flows."""

    async def handle(unit: UnitOfWork, event: Event) -> None:
        if event.entity_id == "frm_1":
            raise DatabaseUnavailable("no such column")
        await write_effect(unit, event)

    async with empty_stream(nats_server) as transport:
        await record_facts(database, "acme", "frm_1", "frm_2")
        async with consuming(database, transport, subscription(handle)):
            await eventually(lambda: have(database, FailedEvent, 1))
            await eventually(lambda: have(database, Job, 1))
            await eventually(lambda: acknowledged(transport))


async def test_slow_work_is_kept_alive(database: Database, nats_server: str) -> None:
    """Messages that take longer than the acknowledgement deadline in sum are not delivered twice."""
    async with empty_stream(nats_server, ack_wait_s=0.6) as transport:
        calls: list[str] = []

        async def handle(unit: UnitOfWork, event: Event) -> None:
            calls.append(event.id)
            await asyncio.sleep(0.4)  # the work itself
            if event.entity_id == "frm_1" and len(calls) == 1:
                raise RuntimeError("so that each is handled alone")
            await write_effect(unit, event)

        events = await record_facts(database, "acme", *(f"frm_{n}" for n in range(4)))
        async with consuming(database, transport, subscription(handle)) as (consumer,):
            await eventually(lambda: have(database, ProcessedEvent, 4))
            await eventually(lambda: acknowledged(transport))
            info = await transport.client.jetstream().consumer_info("EVENTS", "effects")
        assert info.num_redelivered in (0, None)
        assert info.delivered.consumer_seq == len(events)
        assert consumer.counters.duplicates == 0


async def test_survives_the_death_of_the_server(database: Database, tmp_path: Path) -> None:
    """E3, E7: nats-server is killed (SIGKILL) mid-way: no event without its effect, no effect twice."""
    with EmbeddedServer(tmp_path / "nats") as server:
        async with empty_stream(server.url, publish_timeout_s=1, ack_wait_s=1, relay_batch=64) as transport:
            events = await record_facts(database, "acme", *(f"frm_{n}" for n in range(400)))
            async with consuming(database, transport, subscription()) as (consumer,):
                for threshold in (40, 200):
                    async with asyncio.timeout(30):
                        # What was fetched before the first death is handled while no server runs.
                        while consumer.counters.handled < threshold or server.pid is None:
                            await asyncio.sleep(0.005)
                    assert server.pid is not None
                    os.kill(server.pid, signal.SIGKILL)
                await eventually(lambda: have(database, ProcessedEvent, 400), deadline_s=60)
                await eventually(lambda: acknowledged_or_away(transport))
        assert sorted(await effects(database)) == sorted(event.id for event in events)
        assert await count(database, EventRow, col(EventRow.published_at).is_(None)) == 0


async def acknowledged_or_away(transport: Transport) -> bool:
    try:
        return await acknowledged(transport)
    except Exception:  # noqa: BLE001 - the server is on its way back
        return False


async def test_stop_is_prompt_and_leaves_the_rest_for_others(database: Database, nats_server: str) -> None:
    async with empty_stream(nats_server) as transport:
        entered = asyncio.Event()

        async def hang(_unit: UnitOfWork, _event: Event) -> None:
            entered.set()
            await asyncio.Event().wait()

        events = await record_facts(database, "acme", "frm_1")
        async with running(Relay(database, transport.client, transport.settings)):
            consumer = Consumer(database, transport.client, transport.settings, subscription(hang))
            task = asyncio.create_task(consumer.run())
            await asyncio.wait_for(entered.wait(), 20)
            started = time.monotonic()
            await consumer.stop(timeout_s=0.3)
            await asyncio.wait({task}, timeout=5)
            assert task.done()
            assert time.monotonic() - started < 5
        assert await count(database, ProcessedEvent) == 0
        assert (await transport.client.jetstream().consumer_info("EVENTS", "effects")).num_ack_pending == len(events)
