"""What nobody can ask for any more is forgotten, a bounded batch at a time, and nothing sooner; on both databases."""

import secrets
from datetime import datetime, timedelta
from typing import Any

import pytest

from db.models.events import DeadLetter, Event, FailedEvent, ProcessedEvent
from db.session import Database
from db.types import new_id, utc_now
from deployments.events import pruning
from deployments.events.pruning import prune
from deployments.events.retention import Retention
from tests.eventing.harness import rows

DAY = timedelta(days=1)
RETENTION = Retention(stream=14 * DAY, log=60 * DAY, dead_letters=30 * DAY)


def id_made(at: datetime) -> str:
    return f"evt_{int(at.timestamp() * 1000):012x}{secrets.token_hex(10)}"


async def add(database: Database, age: timedelta, *, published: timedelta | None, tenant_id: str = "acme") -> str:
    """An event of this age that was published so long ago."""
    now = utc_now()
    event = Event(
        tenant_id=tenant_id,
        id=id_made(now - age),
        type="form.deleted",
        entity_id="frm_1",
        envelope="{}",
        occurred_at=now - age,
        published_at=None if published is None else now - published,
    )
    async with database.write(tenant_id) as unit:
        unit.session.add(event)
    return event.id


async def had(database: Database, event_id: str, age: timedelta, **changes: Any) -> None:
    async with database.write("acme") as unit:
        row = {"tenant_id": "acme", "consumer": "mail", "event_id": event_id, "processed_at": utc_now() - age}
        unit.session.add(ProcessedEvent(**row, **changes))


async def given_up(database: Database, event_id: str, age: timedelta) -> None:
    async with database.write("acme") as unit:
        unit.session.add(
            DeadLetter(
                tenant_id="acme",
                id=new_id("dlq"),
                consumer="mail",
                event_id=event_id,
                event_type="form.deleted",
                reason="no",
                attempts=8,
                envelope="{}",
                created_at=utc_now() - age,
            )
        )


async def pruned(database: Database) -> dict[str, int]:
    return await prune(database, RETENTION, lambda: False)


async def test_an_inbox_forgets_what_can_no_longer_be_delivered(database: Database) -> None:
    """E3: never before, also when the event was published again meanwhile, or is about to be."""
    long_ago, lately = 30 * DAY, 20 * DAY
    await had(database, "evt_gone", long_ago)
    await had(database, await add(database, long_ago, published=long_ago), long_ago)
    recent = await add(database, lately, published=lately)
    rebuilt = await add(database, long_ago, published=DAY)
    waiting = await add(database, long_ago, published=None)
    await had(database, recent, lately)
    for event_id in (rebuilt, waiting):
        await had(database, event_id, long_ago)
        await had(database, event_id, long_ago, generation="job_1")
    assert (await pruned(database))["processed"] == 2
    kept = {row.event_id for row in await rows(database, ProcessedEvent)}
    assert kept == {recent, rebuilt, waiting}
    assert (await pruned(database))["processed"] == 0


async def test_events_go_past_their_retention_unless_somebody_needs_them(database: Database) -> None:
    old = 90 * DAY
    await add(database, old, published=old)
    await add(database, old, published=old, tenant_id="globex")
    young = await add(database, 50 * DAY, published=50 * DAY)
    unpublished = await add(database, old, published=None)
    late = await add(database, old, published=DAY)
    waits = await add(database, old, published=old)
    dead = await add(database, old, published=old)
    await given_up(database, dead, DAY)
    async with database.write("acme") as unit:
        unit.session.add(
            FailedEvent(
                tenant_id="acme",
                consumer="mail",
                event_id=waits,
                entity_id="frm_1",
                attempts=1,
                error="no",
                next_attempt_at=utc_now(),
            )
        )
    assert (await pruned(database))["events"] == 2
    assert {row.id for row in await rows(database, Event)} == {young, unpublished, late, waits, dead}


async def test_dead_letters_go_and_then_their_events(database: Database) -> None:
    old = 90 * DAY
    event_id = await add(database, old, published=old)
    await given_up(database, event_id, 31 * DAY)
    await given_up(database, "evt_2", 29 * DAY)
    assert await pruned(database) == {"processed": 0, "dead_letters": 1, "events": 1}
    assert [letter.event_id for letter in await rows(database, DeadLetter)] == ["evt_2"]


async def test_many_go_in_batches(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pruning, "_BATCH", 3)
    old = 90 * DAY
    for n in range(8):
        await add(database, old + timedelta(hours=n), published=old)
        await had(database, f"evt_{n}", old)
    over = iter([False, False, True, True, True, True])
    assert (await prune(database, RETENTION, lambda: next(over)))["processed"] == 6
    assert await pruned(database) == {"processed": 2, "dead_letters": 0, "events": 8}


def test_the_log_outlives_the_stream() -> None:
    with pytest.raises(ValueError, match="longer than the stream"):
        Retention(stream=14 * DAY, log=20 * DAY, dead_letters=DAY)
