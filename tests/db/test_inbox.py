"""The inbox and the waiting room of failed events, on both databases."""

from datetime import datetime, timedelta

from db.repositories.inbox import Due, FailedEventsRepository, InboxRepository
from db.session import Database
from db.types import utc_now


async def park(database: Database, tenant_id: str, event_id: str, entity_id: str, at: datetime) -> None:
    async with database.write(tenant_id) as unit:
        inbox = InboxRepository(unit.session, tenant_id, "mail")
        await inbox.park(event_id, entity_id, attempts=1, error="no", next_attempt_at=at)


async def due(database: Database) -> list[Due]:
    async with database.unscoped_read() as unit:
        return await FailedEventsRepository(unit.session, "mail").due(utc_now(), 10)


async def test_an_event_is_claimed_once_per_consumer_and_tenant(database: Database) -> None:
    """E3: the inbox row decides; other consumers and tenants are not affected."""

    async def claim(tenant_id: str, consumer: str, *event_ids: str) -> set[str]:
        async with database.write(tenant_id) as unit:
            return await InboxRepository(unit.session, tenant_id, consumer).claim(event_ids, utc_now())

    assert await claim("acme", "mail", "evt_1", "evt_2") == {"evt_1", "evt_2"}
    assert await claim("acme", "mail", "evt_2", "evt_3", "evt_1") == {"evt_3"}
    assert await claim("acme", "hooks", "evt_1") == {"evt_1"}
    assert await claim("globex", "mail", "evt_1") == {"evt_1"}
    assert await claim("acme", "mail") == set()


async def test_only_the_oldest_failed_event_of_an_entity_is_due(database: Database) -> None:
    """E3: the second waits even when its own time has come and the first's has not."""
    past, future = utc_now() - timedelta(minutes=1), utc_now() + timedelta(hours=1)
    await park(database, "acme", "evt_1", "rsp_a", future)
    await park(database, "acme", "evt_2", "rsp_a", past)
    await park(database, "acme", "evt_3", "rsp_b", past)
    await park(database, "globex", "evt_4", "rsp_a", past)
    assert {(item.tenant_id, item.event_id) for item in await due(database)} == {("acme", "evt_3"), ("globex", "evt_4")}


async def test_a_second_parking_changes_nothing(database: Database) -> None:
    """A redelivered message must not reset the attempts of an event that waits already."""
    past = utc_now() - timedelta(minutes=1)
    await park(database, "acme", "evt_1", "rsp_a", past)
    async with database.write("acme") as unit:
        inbox = InboxRepository(unit.session, "acme", "mail")
        await inbox.fail_again("evt_1", 5, "still no", utc_now() + timedelta(hours=1))
    await park(database, "acme", "evt_1", "rsp_a", past)
    assert await due(database) == []
    async with database.write("acme") as unit:
        failed = await InboxRepository(unit.session, "acme", "mail").lock_failed("evt_1")
        assert failed is not None
        assert (failed.attempts, failed.error) == (5, "still no")


async def test_waiting_entities_are_those_of_this_tenant_and_consumer(database: Database) -> None:
    await park(database, "acme", "evt_1", "rsp_a", utc_now())
    async with database.read("acme") as unit:
        assert await InboxRepository(unit.session, "acme", "mail").waiting_entities(["rsp_a", "rsp_b"]) == {"rsp_a"}
        assert await InboxRepository(unit.session, "acme", "hooks").waiting_entities(["rsp_a"]) == set()
    async with database.read("globex") as unit:
        assert await InboxRepository(unit.session, "globex", "mail").waiting_entities(["rsp_a"]) == set()
