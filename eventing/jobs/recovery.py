"""Jobs whose worker is gone: the lost attempt is recorded and the job goes back to its queue, or fails."""

from collections.abc import Mapping

from db.models.jobs import Job
from db.repositories.job_queue import JobQueueRepository
from db.session import Database
from db.types import utc_now
from eventing.events.envelope import Origin
from eventing.events.jobs import JobFailed
from eventing.jobs.kind import JobKind
from eventing.jobs.settlement import attempt_record, history
from eventing.outbox import record

_LOST = "the worker was lost"


async def recover_lost(database: Database, queue: str, kinds: Mapping[str, JobKind]) -> int:
    """Take the expired leases of a queue back; how many. An attempt that kills its worker counts like any other."""
    async with database.unscoped_write() as unit:
        lost = await JobQueueRepository(unit.session).lost(queue, utc_now())
        for job in lost:
            _take_back(job, kinds.get(job.kind))
        for job in lost:
            if job.state == "failed":
                # Entering the tenant flushes the rows above while every tenant is still in scope.
                await unit.enter_tenant(job.tenant_id)
                fact = JobFailed(job_id=job.id, kind=job.kind, reason=_LOST)
                record(unit, fact, actor="system:jobs", origin=Origin())
    return len(lost)


def _take_back(job: Job, kind: JobKind | None) -> None:
    now = utc_now()
    job.attempts = history(job.attempts, attempt_record(job.started_at or now, now, _LOST))
    job.error, job.worker, job.lease_until, job.run_at = _LOST, None, None, now
    if job.cancel_requested:
        job.state, job.finished_at = "cancelled", now
    elif kind is not None and job.attempt >= kind.max_attempts:
        job.state, job.finished_at = "failed", now
    else:
        job.state = "queued"
