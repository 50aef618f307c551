"""Another turn at an event, on both databases: once in effect, in order, and counted before it begins."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from db.models.events import DeadLetter, FailedEvent, ProcessedEvent
from db.models.jobs import Job
from db.session import Database, UnitOfWork
from db.types import utc_now
from eventing.effects import Effects
from eventing.events.envelope import Event
from eventing.settings import EventingSettings
from eventing.subscription import Poison, Subscription
from eventing.turns import grant, redrive
from tests.eventing.harness import count, record_facts, rows
from tests.eventing.test_consumer import effects as effects_of
from tests.eventing.test_consumer import write_effect

Handle = Callable[[UnitOfWork, Event], Awaitable[None]]


def consumer(database: Database, handle: Handle = write_effect, **settings: Any) -> Effects:
    async def each(unit: UnitOfWork, events: Sequence[Event]) -> None:
        for event in events:
            await handle(unit, event)

    subscription = Subscription("effects", ("form.deleted",), each)
    options = {"retry_delays_s": (0.001,), "retry_jitter": 0.0, "ack_wait_s": 5.0, **settings}
    return Effects(database, subscription, EventingSettings(nats_url="nats://127.0.0.1:1", **options))


async def refuse(_unit: UnitOfWork, event: Event) -> None:
    raise Poison(f"nobody can handle {event.entity_id}")


async def redriven(database: Database, letter: DeadLetter) -> bool:
    async with database.write(letter.tenant_id) as unit:
        return await redrive(unit, letter)


async def granted(database: Database, replay_id: str, *events: Event) -> int:
    async with database.write("acme") as unit:
        return await grant(unit, "effects", events, replay_id)


async def make_due(database: Database) -> None:
    async with database.unscoped_write() as unit:
        await unit.session.execute(update(FailedEvent).values(next_attempt_at=utc_now() - timedelta(seconds=1)))


async def dead(database: Database, *form_ids: str) -> tuple[list[Event], list[DeadLetter]]:
    events = await record_facts(database, "acme", *form_ids)
    await consumer(database, refuse).apply(events)
    return events, sorted(await rows(database, DeadLetter), key=lambda letter: letter.event_id)


class TestRedrive:
    async def test_it_has_its_effect_once(self, database: Database) -> None:
        """E3, E4: whatever is delivered again meanwhile, before or after."""
        (event,), (letter,) = await dead(database, "frm_1")
        cured = consumer(database)
        await cured.apply([event])
        assert await effects_of(database) == []
        assert await redriven(database, letter)
        await cured.apply([event])
        await cured.retry_due()
        await cured.apply([event])
        await cured.retry_due()
        assert await effects_of(database) == [event.id]
        assert await count(database, DeadLetter) == await count(database, FailedEvent) == 0

    async def test_a_redelivery_at_the_same_time_makes_no_second_effect(self, database: Database) -> None:
        (event,), (letter,) = await dead(database, "frm_1")
        assert await redriven(database, letter)
        cured = consumer(database)
        await asyncio.gather(cured.retry_due(), cured.apply([event]), consumer(database).retry_due())
        await make_due(database)
        await cured.retry_due()
        assert await effects_of(database) == [event.id]

    async def test_it_goes_before_what_came_later_and_behind_what_came_before(self, database: Database) -> None:
        """E3: by id among those of its entity that wait."""
        events = await record_facts(database, "acme", "frm_1", "frm_1", "frm_1", "frm_2")

        async def only_the_second_is_poison(_unit: UnitOfWork, event: Event) -> None:
            raise Poison("never") if event.id == events[1].id else RuntimeError("not yet")

        await consumer(database, only_the_second_is_poison).apply([events[1]])
        await consumer(database, only_the_second_is_poison).apply([events[0], events[2]])
        (letter,) = await rows(database, DeadLetter)
        assert await redriven(database, letter)
        cured = consumer(database)
        await cured.apply([events[3]])
        await make_due(database)
        for _ in range(3):
            await cured.retry_due()
        done = await effects_of(database)
        assert [id_ for id_ in done if id_ != events[3].id] == [event.id for event in events[:3]]

    async def test_it_may_die_again(self, database: Database) -> None:
        (event,), (letter,) = await dead(database, "frm_1")
        assert await redriven(database, letter)
        await consumer(database, refuse).retry_due()
        (again,) = await rows(database, DeadLetter)
        assert (again.event_id, again.reason) == (event.id, "nobody can handle frm_1")
        assert again.id != letter.id

    async def test_what_is_not_in_the_log_stays_a_letter(self, database: Database) -> None:
        await consumer(database).bury("acme", "seq_7", "form.deleted", "[]", "no event")
        (letter,) = await rows(database, DeadLetter)
        assert not await redriven(database, letter)
        assert await count(database, DeadLetter) == 1


class TestReplay:
    async def test_each_replay_is_one_more_effect(self, database: Database) -> None:
        """E5: the inbox knows the turns apart; what JetStream delivers again adds nothing."""
        (event,) = await record_facts(database, "acme", "frm_1")
        effects = consumer(database)
        await effects.apply([event])
        for replay in ("job_1", "job_2"):
            assert await granted(database, replay, event) == 1
            await effects.retry_due()
            await effects.apply([event])
        assert await effects_of(database) == [event.id] * 3
        turns = {row.generation for row in await rows(database, ProcessedEvent)}
        assert turns == {"", "job_1", "job_2"}

    async def test_the_same_replay_gives_no_second_turn(self, database: Database) -> None:
        (event,) = await record_facts(database, "acme", "frm_1")
        effects = consumer(database)
        await effects.apply([event])
        for _ in range(3):
            await granted(database, "job_1", event)
            await effects.retry_due()
        assert await effects_of(database) == [event.id] * 2

    async def test_an_event_that_was_not_had_yet_has_one_effect(self, database: Database) -> None:
        """Through the replay or the stream, whichever comes first."""
        early, late = await record_facts(database, "acme", "frm_1", "frm_2")
        effects = consumer(database)
        await granted(database, "job_1", early)
        await effects.retry_due()
        await effects.apply([early, late])
        assert sorted(await effects_of(database)) == sorted([early.id, late.id])

    async def test_what_waits_already_is_not_put_in_twice(self, database: Database) -> None:
        (event,) = await record_facts(database, "acme", "frm_1")

        async def not_yet(_unit: UnitOfWork, _event: Event) -> None:
            raise RuntimeError("not yet")

        await consumer(database, not_yet).apply([event])
        assert await granted(database, "job_1", event) == 0
        await make_due(database)
        await consumer(database).retry_due()
        assert await effects_of(database) == [event.id]


class TestAttempts:
    async def test_an_attempt_that_ends_the_process_counts(self, database: Database) -> None:
        """E4, fault 13: after `max_attempts` of them the event is a dead letter, and nobody tries it again."""
        (event,) = await record_facts(database, "acme", "frm_1")
        began = asyncio.Event()

        async def die(_unit: UnitOfWork, _event: Event) -> None:
            began.set()
            await asyncio.Event().wait()

        doomed = consumer(database, die, max_attempts=2)
        await doomed.suspect([event], "was delivered 3 times without an answer")
        for _ in range(2):
            began.clear()
            process = asyncio.create_task(doomed.retry_due())
            await began.wait()
            process.cancel()
            await asyncio.wait({process})
            await make_due(database)
        began.clear()
        await consumer(database, die, max_attempts=2).retry_due()
        assert not began.is_set()
        (letter,) = await rows(database, DeadLetter)
        assert (letter.attempts, letter.reason) == (2, "attempt 2 was lost with its process")
        assert await redriven(database, letter)
        await consumer(database).retry_due()
        assert await effects_of(database) == [event.id]

    async def test_while_one_is_at_work_no_other_begins(self, database: Database) -> None:
        (event,) = await record_facts(database, "acme", "frm_1")
        began, go_on = asyncio.Event(), asyncio.Event()

        async def slow(unit: UnitOfWork, event: Event) -> None:
            began.set()
            await go_on.wait()
            await write_effect(unit, event)

        first = consumer(database, slow)
        await first.suspect([event], "may be poison")
        at_work = asyncio.create_task(first.retry_due())
        if database.is_sqlite:
            # One writer: the other cannot even ask, so it asks as the first begins to write.
            go_on.set()
        await began.wait()
        await consumer(database).retry_due()
        go_on.set()
        await at_work
        assert await effects_of(database) == [event.id]

    @pytest.mark.parametrize("known", [True, False])
    async def test_a_suspect_has_no_second_effect(self, database: Database, known: bool) -> None:
        (event,) = await record_facts(database, "acme", "frm_1")
        effects = consumer(database)
        if known:
            await effects.apply([event])
        await effects.suspect([event, event], "was delivered 3 times")
        await effects.retry_due()
        assert await effects_of(database) == [event.id]
        assert await count(database, FailedEvent) == 0
        assert await count(database, Job) == 1
