"""Leases of duties on both databases."""

from db.session import Database
from eventing.leadership import Leadership
from tests.eventing.harness import eventually


async def test_one_of_several_leads(database: Database) -> None:
    candidates = [Leadership(database, "relay") for _ in range(3)]
    assert [await each.acquire() for each in candidates] == [True, False, False]
    assert [each.is_held for each in candidates] == [True, False, False]


async def test_duties_are_independent(database: Database) -> None:
    assert await Leadership(database, "relay").acquire()
    assert await Leadership(database, "scheduler").acquire()


async def test_a_released_lease_is_free_at_once(database: Database) -> None:
    first, second = Leadership(database, "relay"), Leadership(database, "relay")
    assert await first.acquire()
    await first.release()
    assert not first.is_held
    assert await second.acquire()


async def test_an_expired_lease_is_taken_over(database: Database) -> None:
    """A leader that stops renewing loses the duty, and knows it without asking."""
    first, second = Leadership(database, "relay", lease_s=0.4), Leadership(database, "relay", lease_s=0.4)
    assert await first.acquire()
    await eventually(second.acquire)
    assert not first.is_held


async def test_a_renewed_lease_is_kept(database: Database) -> None:
    first, second = Leadership(database, "relay", lease_s=0.6), Leadership(database, "relay", lease_s=0.6)
    assert await first.acquire()
    for _ in range(5):
        first._ask_again_at = second._ask_again_at = 0.0
        assert await first.acquire()
        assert not await second.acquire()


async def test_only_the_holder_releases(database: Database) -> None:
    first, second = Leadership(database, "relay"), Leadership(database, "relay")
    assert await first.acquire()
    await second.release()
    assert not await second.acquire()
