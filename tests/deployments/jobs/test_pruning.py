"""J2: finished jobs and their results expire, on both databases."""

from datetime import timedelta

import pytest
from sqlalchemy import update
from sqlmodel import col

from db.models.jobs import Job
from db.session import Database
from db.types import utc_now
from deployments.jobs import pruning
from deployments.jobs.deployment import Jobs
from deployments.jobs.settings import JobsSettings
from tests.deployments.jobs.test_jobs import principal
from tests.eventing.harness import rows
from tests.eventing.jobs.harness import order, reaches, serving

SETTINGS = JobsSettings(kept_days=10, failed_kept_days=20)


async def ended(database: Database, tenant_id: str, state: str, *, days: int) -> str:
    (job_id,) = await order(database, tenant_id)
    async with database.unscoped_write() as unit:
        then = None if state in ("queued", "running") else utc_now() - timedelta(days=days)
        mine = update(Job).where(col(Job.id) == job_id)
        await unit.session.execute(mine.values(state=state, finished_at=then, run_at=utc_now() + timedelta(hours=1)))
    return job_id


async def test_finished_jobs_are_removed_when_their_time_is_over(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that failed are kept longer, what is not over stays; each tenant's in small batches."""
    monkeypatch.setattr(pruning, "_BATCH", 3)
    kept = [
        await ended(database, tenant_id, state, days=days)
        for tenant_id in ("acme", "globex")
        for state, days in (("succeeded", 9), ("failed", 19), ("queued", 99), ("cancelled", 1))
    ]
    for tenant_id in ("acme", "globex"):
        for state, days in (("succeeded", 11), ("failed", 21), ("cancelled", 11), ("succeeded", 99)):
            await ended(database, tenant_id, state, days=days)
    async with serving(database, *pruning.job_kinds(database, SETTINGS)):
        (job_id,) = await order(database, "_platform", kind=pruning.PRUNE)
        done = await reaches(database, job_id, "succeeded")
    assert done.result == {"removed": 8}
    assert {job.id for job in await rows(database, Job)} == {*kept, job_id}


async def test_a_job_says_when_it_expires(database: Database) -> None:
    jobs = Jobs(database, settings=SETTINGS)
    for state, days in (("succeeded", 10), ("cancelled", 10), ("failed", 20)):
        shown = await jobs.get(principal(), await ended(database, "acme", state, days=1))
        assert shown.finished_at is not None
        assert shown.expires_at == shown.finished_at + timedelta(days=days)
