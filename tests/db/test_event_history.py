"""E3, E6: the places of published events, on both dialects."""

import asyncio
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from sqlalchemy import delete, func, select
from sqlmodel import col

from db.models.events import Event, EventCounter
from db.repositories.event_history import EventHistoryRepository, EventQuery
from db.repositories.outbox import mark_published
from db.session import Database

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def event(number: int, tenant_id: str = "acme", **changes: Any) -> Event:
    at = NOW + timedelta(minutes=number)
    values: dict[str, Any] = {
        "tenant_id": tenant_id,
        "id": f"evt_{int(at.timestamp() * 1000):012x}{number:020x}",
        "type": "form.updated",
        "entity_id": "frm_1",
        "form_id": "frm_1",
        "envelope": str(number),
        "occurred_at": at,
    }
    return Event(**values | changes)


async def store(database: Database, *events: Event) -> list[tuple[str, str]]:
    """Commit them; their keys."""
    async with database.unscoped_write() as unit:
        unit.session.add_all(events)
    return [(each.tenant_id, each.id) for each in events]


async def publish(database: Database, keys: list[tuple[str, str]]) -> None:
    await database.transact(partial(mark_published, keys=keys, at=NOW))


async def followed(database: Database, after: int = 0, tenant_id: str = "acme", **query: Any) -> list[tuple[int, str]]:
    async with database.read(tenant_id) as unit:
        history = EventHistoryRepository(unit.session, tenant_id)
        wanted = EventQuery(**query)
        return list(await history.following(wanted, after, await history.last_place(), 1_000))


async def test_an_event_that_is_committed_late_is_not_missed(database: Database) -> None:
    """E6: trap 8. An older id becomes visible after a younger one was read; a cursor on ids would lose it."""
    keys = await store(database, event(2), event(3))
    await publish(database, keys)
    assert await followed(database) == [(1, "2"), (2, "3")]
    await publish(database, await store(database, event(1)))
    assert await followed(database, after=2) == [(3, "1")]


async def test_places_are_visible_in_their_order_whoever_gives_them(database: Database) -> None:
    """E6: relays at the same time, several tenants, a reader between them: nothing appears behind what was read."""
    keys = {
        tenant: await store(database, *(event(number, tenant) for number in range(60))) for tenant in ("acme", "other")
    }
    stop = asyncio.Event()
    seen: list[int] = []

    async def read() -> None:
        while not stop.is_set():
            seen.extend(place for place, _ in await followed(database, after=seen[-1] if seen else 0))
            await asyncio.sleep(0)

    reader = asyncio.create_task(read())
    batches = [keys["acme"][at : at + 5] + keys["other"][at : at + 5] for at in range(0, 60, 5)]
    await asyncio.gather(*(publish(database, batch) for batch in batches), *(publish(database, b) for b in batches[:3]))
    stop.set()
    await reader
    seen.extend(place for place, _ in await followed(database, after=seen[-1] if seen else 0))
    assert seen == sorted(set(seen))
    assert len(seen) == 60
    assert len(await followed(database, tenant_id="other")) == 60


async def test_what_is_marked_twice_keeps_its_place(database: Database) -> None:
    """E6: a relay that was late marks again what another has marked; whoever has read on is told nothing twice."""
    keys = await store(database, event(1), event(2))
    await publish(database, keys)
    await publish(database, keys)
    assert await followed(database) == [(1, "1"), (2, "2")]
    await publish(database, await store(database, event(3)))
    assert [text for _, text in await followed(database, after=2)] == ["3"]


async def test_an_erased_tenant_gets_no_counter_back(database: Database) -> None:
    """T7: a relay that had read the tenant's events before leaves nothing of it behind."""
    keys = await store(database, event(1))
    async with database.unscoped_write() as unit:
        await unit.session.execute(delete(Event))
    await publish(database, keys)
    async with database.unscoped_read() as unit:
        assert await unit.session.scalar(select(func.count()).select_from(EventCounter)) == 0


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, ["4", "3", "2", "1"]),
        ({"types": {"form.deleted"}}, ["2"]),
        ({"types": {"form.deleted", "form.updated"}, "forms": {"frm_1"}}, ["4", "2", "1"]),
        ({"forms": set()}, []),
        ({"entity_id": "frm_2"}, ["3"]),
        ({"since": NOW + timedelta(minutes=2), "until": NOW + timedelta(minutes=4)}, ["3", "2"]),
    ],
)
async def test_looking_up(database: Database, query: dict[str, Any], expected: list[str]) -> None:
    """E6: by type, form, entity and time, newest first, whether or not an event is published; one tenant's only."""
    await store(
        database,
        event(1),
        event(2, type="form.deleted"),
        event(3, form_id="frm_2", entity_id="frm_2"),
        event(4),
        event(2, "other", type="form.deleted"),
    )
    async with database.read("acme") as unit:
        history = EventHistoryRepository(unit.session, "acme")
        found = await history.page(EventQuery(**query), None, 10)
        assert [text for _, text in found] == expected
        if len(found) > 1:
            rest = await history.page(EventQuery(**query), found[0][0], 10)
            assert [text for _, text in rest] == expected[1:]
        assert await history.place_of(found[0][0] if found else "evt_0") is None


async def test_places_are_of_one_tenant(database: Database) -> None:
    """T5: another tenant's event has no place, and its number is nobody's business."""
    mine, theirs = await store(database, event(1), event(1, "other", id="evt_theirs"))
    await publish(database, [mine, theirs])
    async with database.read("acme") as unit:
        history = EventHistoryRepository(unit.session, "acme")
        assert await history.place_of(mine[1]) == 1
        assert await history.place_of("evt_theirs") is None
        assert await history.last_place() == 1
    async with database.unscoped_read() as unit:
        assert set(await unit.session.scalars(select(col(EventCounter.tenant_id)))) == {"acme", "other"}
