"""The rules of jobs: who may see, end and repeat them, and when."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.exc import IntegrityError

from db.models.jobs import Job
from db.repositories.jobs import JobRepository
from db.session import UnitOfWork
from db.types import utc_now
from deployments.jobs.errors import JobFinished, JobNotFound, JobNotRetryable, JobSuperseded
from deployments.kit.principal import Principal
from eventing.jobs import jobs_topic


async def get(unit: UnitOfWork, principal: Principal, job_id: str) -> Job:
    """The job. Raises JobNotFound, Forbidden."""
    principal.require("jobs:read")
    return await _find(unit, job_id)


async def page(
    unit: UnitOfWork,
    principal: Principal,
    *,
    kind: str | None,
    state: str | None,
    queue: str | None,
    created_since: datetime | None,
    before_id: str | None,
    limit: int,
) -> Sequence[Job]:
    """The tenant's jobs, newest first. Raises Forbidden."""
    principal.require("jobs:read")
    return await _jobs(unit).page(
        kind=kind, state=state, queue=queue, created_since=created_since, before_id=before_id, limit=limit
    )


async def cancel(unit: UnitOfWork, principal: Principal, job_id: str) -> Job:
    """End a job: at once while it waits, at its next progress report while it runs.

    Asking again is harmless. Raises JobNotFound, JobFinished, Forbidden.
    """
    principal.require("jobs:write")
    job = await _find(unit, job_id, for_update=True)
    if job.state in ("succeeded", "failed"):
        raise JobFinished
    if job.state == "queued":
        job.state, job.finished_at = "cancelled", utc_now()
    job.cancel_requested = True
    return job


async def retry(unit: UnitOfWork, principal: Principal, job_id: str) -> Job:
    """Run a failed or cancelled job again, with all its attempts.

    Raises JobNotFound, JobNotRetryable, JobSuperseded, Forbidden.
    """
    principal.require("jobs:write")
    job = await _find(unit, job_id, for_update=True)
    if job.state not in ("failed", "cancelled"):
        raise JobNotRetryable
    job.state, job.attempt, job.run_at = "queued", 0, utc_now()
    job.error, job.finished_at, job.cancel_requested = None, None, False
    job.progress_done, job.progress_total = 0, None
    try:
        async with unit.session.begin_nested():
            await unit.session.flush()
    except IntegrityError as error:
        raise JobSuperseded from error
    unit.announce(jobs_topic(job.queue))
    return job


async def _find(unit: UnitOfWork, job_id: str, *, for_update: bool = False) -> Job:
    job = await _jobs(unit).find(job_id, for_update=for_update)
    if job is None:
        raise JobNotFound
    return job


def _jobs(unit: UnitOfWork) -> JobRepository:
    return JobRepository(unit.session, unit.tenant)
