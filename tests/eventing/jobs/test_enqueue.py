"""Ordering jobs: unique keys, delays, tenants."""

import asyncio

from db.models.jobs import Job
from db.session import Database
from db.types import utc_now
from eventing.jobs import JobSpec, enqueue
from tests.eventing.harness import count
from tests.eventing.jobs.harness import fetch, order


async def test_a_unique_key_names_one_job(database: Database) -> None:
    """J2: the second order gets the first job's id, whatever else waits, and its transaction goes on."""
    await order(database, "acme")
    (first,) = await order(database, "acme", unique_key="import:abc")
    async with database.write("acme") as unit:
        again = await enqueue(unit, JobSpec("work", {"n": 2}, created_by="usr_2", unique_key="import:abc"))
        other = await enqueue(unit, JobSpec("work", {"n": 3}, created_by="usr_2"))
    assert again == first
    assert (await fetch(database, first)).payload == {"n": 0}
    assert (await fetch(database, other)).payload == {"n": 3}
    assert await count(database, Job) == 3


async def test_unique_keys_belong_to_their_tenant(database: Database) -> None:
    """T4: another tenant's key is not seen."""
    (ours,) = await order(database, "acme", unique_key="same")
    (theirs,) = await order(database, "globex", unique_key="same")
    assert ours != theirs


async def test_orders_with_one_key_at_once_make_one_job(database: Database) -> None:
    orders = await asyncio.gather(*(order(database, "acme", unique_key="same") for _ in range(5)))
    assert len({job_id for (job_id,) in orders}) == 1
    assert await count(database, Job) == 1


async def test_a_delayed_order_is_due_later(database: Database) -> None:
    (job_id,) = await order(database, "acme", run_after_s=60)
    job = await fetch(database, job_id)
    assert 50 < (job.run_at - utc_now()).total_seconds() <= 60


async def test_the_commit_announces_the_queue(database: Database) -> None:
    heard: list[frozenset[str]] = []
    database.listen(heard.append)
    await order(database, "acme", queue="high")
    assert heard == [frozenset({"jobs.high"})]
