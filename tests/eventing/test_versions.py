"""Two versions with one durable consumer: what only the newer one reacts to, the older one leaves to it."""

from collections.abc import Sequence
from typing import Any

from db.models.events import DeadLetter, FailedEvent
from db.session import Database, UnitOfWork
from eventing.effects import Effects
from eventing.events.envelope import Event
from eventing.settings import EventingSettings
from eventing.subscription import Subscription
from tests.eventing.harness import eventually, record_facts, rows
from tests.factories import make_tenant

QUICK: dict[str, Any] = {"nats_url": "nats://127.0.0.1:1", "retry_delays_s": (0.01,), "retry_jitter": 0.0}


class Reaction:
    """A subscription of one version, and what it got."""

    def __init__(self, database: Database, *types: str, **settings: Any) -> None:
        self.events: list[str] = []
        subscription = Subscription("effects", types, self.handle)
        self.effects = Effects(database, subscription, EventingSettings(**QUICK | settings))

    async def handle(self, _unit: UnitOfWork, events: Sequence[Event]) -> None:
        self.events += [event.id for event in events]


async def test_what_the_older_version_does_not_know_waits_for_the_newer_one(database: Database) -> None:
    await make_tenant(database)
    older, newer = Reaction(database, "form.created"), Reaction(database, "form.created", "form.deleted")
    (event,) = await record_facts(database, "acme", "frm_1")
    await older.effects.apply([event])
    (waiting,) = await rows(database, FailedEvent)
    assert "form.deleted" in waiting.error

    async def older_tried_again() -> bool:
        await older.effects.retry_due()
        (waiting,) = await rows(database, FailedEvent)
        return bool(waiting.attempts == 2)

    async def newer_has_it() -> bool:
        await newer.effects.retry_due()
        return bool(newer.events)

    await eventually(older_tried_again)
    await eventually(newer_has_it)
    assert (older.events, newer.events) == ([], [event.id])
    assert await rows(database, FailedEvent) == []


async def test_what_no_version_takes_is_a_dead_letter_to_be_given_to_it_later(database: Database) -> None:
    await make_tenant(database)
    older = Reaction(database, "form.created", max_attempts=2)
    (event,) = await record_facts(database, "acme", "frm_1")
    await older.effects.apply([event])

    async def given_up() -> bool:
        await older.effects.retry_due()
        return bool(await rows(database, DeadLetter))

    await eventually(given_up)
    (letter,) = await rows(database, DeadLetter)
    assert (letter.event_id, letter.event_type) == (event.id, "form.deleted")
    assert "ForNewerVersion" in letter.reason
