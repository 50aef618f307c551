"""Jobs of a tenant that is suspended or deleted wait until it is resumed; on both databases."""

import asyncio
from functools import partial

import pytest
from sqlalchemy import update
from sqlmodel import col

from db.models.identity import Tenant as TenantRow
from db.repositories import job_claims as claims
from db.session import Database
from db.types import utc_now
from eventing.jobs import Done, JobRun
from tests.eventing.jobs.harness import all_in, kind, order, reaches, serving


@pytest.mark.parametrize("status", ["suspended", "deleted"])
async def test_jobs_of_a_closed_tenant_are_held_until_it_is_resumed(database: Database, status: str) -> None:
    """T1: a suspended or deleted tenant has no effects; what it queued runs once it is active again."""
    async with database.write("acme") as unit:
        now = utc_now()
        unit.session.add(TenantRow(id="acme", name="Acme", status=status, settings={}, created_at=now, updated_at=now))
    held = await order(database, "acme", 3)
    ran: list[str] = []

    async def run(job: JobRun) -> None:
        ran.append(job.tenant_id)

    async with serving(database, kind(run)):
        await all_in(database, await order(database, "globex", 3), "succeeded")
        # A second order, so that the runner has looked at the queue with nothing else in it.
        await all_in(database, await order(database, "globex", 1), "succeeded")
        assert ran == ["globex"] * 4
        async with database.unscoped_read() as unit:
            assert not await database.view(partial(claims.has_work, queue="default", now=utc_now()))
        async with database.write("acme") as unit:
            await unit.session.execute(update(TenantRow).where(col(TenantRow.id) == "acme").values(status="active"))
        await all_in(database, held, "succeeded")
    assert ran[4:] == ["acme"] * 3


@pytest.mark.parametrize("status", ["suspended", "deleted"])
async def test_a_running_job_of_a_closed_tenant_goes_back_to_its_queue(database: Database, status: str) -> None:
    """T1: at its next progress; that attempt does not count, and the job runs again when the tenant is resumed."""
    mine = col(TenantRow.id) == "acme"
    async with database.write("acme") as unit:
        now = utc_now()
        unit.session.add(TenantRow(id="acme", name="Acme", settings={}, created_at=now, updated_at=now))
    entered, closed, reopened = asyncio.Event(), asyncio.Event(), asyncio.Event()
    attempts: list[int] = []

    async def run(job: JobRun) -> Done:
        attempts.append(job.attempt)
        entered.set()
        await closed.wait()
        await job.progress(1, 2)
        return Done({"finished": reopened.is_set()})

    async with serving(database, kind(run)):
        (job_id,) = await order(database, "acme")
        await asyncio.wait_for(entered.wait(), 10)
        async with database.write("acme") as unit:
            await unit.session.execute(update(TenantRow).where(mine).values(status=status))
        closed.set()
        held = await reaches(database, job_id, "queued")
        assert (held.attempt, held.attempts, held.cancel_requested) == (0, [], False)
        async with database.write("acme") as unit:
            await unit.session.execute(update(TenantRow).where(mine).values(status="active"))
        reopened.set()
        done = await reaches(database, job_id, "succeeded")
    assert done.result == {"finished": True}
    assert attempts == [1, 1]
