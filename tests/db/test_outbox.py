"""The outbox on both databases."""

from datetime import timedelta
from functools import partial

from sqlalchemy import insert

from db.models.events import Event
from db.repositories import outbox
from db.session import Database
from db.types import utc_now


async def add(database: Database, tenant_id: str, *event_ids: str, age_s: float = 0.0) -> None:
    async with database.write(tenant_id) as unit:
        for event_id in event_ids:
            await unit.session.execute(
                insert(Event).values(
                    tenant_id=tenant_id,
                    id=event_id,
                    type="form.deleted",
                    entity_id="frm_1",
                    envelope="{}",
                    occurred_at=utc_now() - timedelta(seconds=age_s),
                )
            )


async def unpublished(database: Database, limit: int = 10) -> list[tuple[str, str]]:
    return [event.key for event in (await database.view(partial(outbox.unpublished, limit=limit))).events]


async def test_unpublished_events_of_all_tenants_come_by_id(database: Database) -> None:
    await add(database, "globex", "evt_2")
    await add(database, "acme", "evt_3", "evt_1")
    assert await unpublished(database) == [("acme", "evt_1"), ("globex", "evt_2"), ("acme", "evt_3")]
    assert await unpublished(database, 2) == [("acme", "evt_1"), ("globex", "evt_2")]


async def test_a_tenant_that_queues_much_gets_its_share_and_no_more(database: Database) -> None:
    """T6: what another queued later goes with the next batch; of many tenants some go now and the others next."""
    await add(database, "noisy", *(f"evt_{number:02}" for number in range(10)))
    await add(database, "quiet", "evt_50")
    two_each = [("noisy", "evt_00"), ("noisy", "evt_01"), ("quiet", "evt_50")]
    assert await unpublished(database, 4) == two_each
    shared = await database.view(partial(outbox.unpublished, limit=30, share=2))
    assert [event.key for event in shared.events] == two_each
    assert shared.more
    but = await database.view(partial(outbox.unpublished, limit=30, but={"noisy", "nobody"}))
    assert [event.key for event in but.events] == [("quiet", "evt_50")]
    assert not but.more
    assert [key for _, key in await unpublished(database, 30)] == [f"evt_{number:02}" for number in (*range(10), 50)]
    await add(database, "ulme", "evt_60")
    found, after = [], ""
    for more in (True, True):
        batch = await database.view(partial(outbox.unpublished, limit=2, after=after))
        found.append([event.key for event in batch.events])
        assert batch.more is more
        after = batch.after
    assert found == [[("noisy", "evt_00"), ("quiet", "evt_50")], [("ulme", "evt_60")]]
    assert after == ""
    assert not (await database.view(partial(outbox.unpublished, limit=40))).more


async def test_marking_takes_exactly_the_named_events_out(database: Database) -> None:
    """E7: an id that becomes visible late is still found, because a flag is asked and not a position."""
    await add(database, "acme", "evt_2")
    await add(database, "globex", "evt_2")
    await database.transact(partial(outbox.mark_published, keys=[("acme", "evt_2")], at=utc_now()))
    await add(database, "acme", "evt_1")
    assert await unpublished(database) == [("acme", "evt_1"), ("globex", "evt_2")]


async def test_the_oldest_unpublished_event_is_known(database: Database) -> None:
    assert await database.view(outbox.oldest_unpublished_at) is None
    await add(database, "acme", "evt_1", age_s=60)
    await add(database, "acme", "evt_2")
    oldest = await database.view(outbox.oldest_unpublished_at)
    assert oldest is not None
    assert 59 < (utc_now() - oldest).total_seconds() < 120
