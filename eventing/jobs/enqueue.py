"""Order a job in the transaction of the change that wants it."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from db.repositories.jobs import JobRepository
from db.session import UnitOfWork
from db.types import new_id, utc_now
from eventing.caller import current_origin
from eventing.events.envelope import Origin
from eventing.jobs.kind import JobSpec

_ORIGIN: Final = "_origin"


async def enqueue(unit: UnitOfWork, spec: JobSpec) -> str:
    """The id of the job, which starts after the commit; of the earlier one that has one of the keys."""
    unit.announce(jobs_topic(spec.queue))
    return await JobRepository(unit.session, unit.tenant).add(_row(spec))


async def enqueue_again(unit: UnitOfWork, spec: JobSpec) -> str:
    """The same for an order whose work must get done: an earlier job that failed or was cancelled starts anew."""
    job_id = await enqueue(unit, spec)
    job = await JobRepository(unit.session, unit.tenant).find(job_id, for_update=True)
    if job is not None and job.state in ("failed", "cancelled"):
        job.state, job.attempt, job.run_at = "queued", 0, utc_now()
        job.error, job.finished_at, job.cancel_requested = None, None, False
    return job_id


async def enqueue_all(unit: UnitOfWork, specs: Sequence[JobSpec]) -> None:
    """Order many jobs without keys, as one statement."""
    for queue in {spec.queue for spec in specs}:
        unit.announce(jobs_topic(queue))
    await JobRepository(unit.session, unit.tenant).add_all([_row(spec) for spec in specs])


def _row(spec: JobSpec) -> dict[str, Any]:
    now = utc_now()
    return {
        "id": new_id("job"),
        "kind": spec.kind,
        "queue": spec.queue,
        "state": "queued",
        "payload": spec.payload | _marked(spec.origin or current_origin()),
        "unique_key": spec.unique_key,
        "active_key": spec.active_key,
        "priority": spec.priority,
        "progress_done": 0,
        "attempt": 0,
        "attempts": [],
        "cancel_requested": False,
        "created_by": spec.created_by,
        "created_at": now,
        "run_at": now + timedelta(seconds=spec.run_after_s),
    }


def _marked(origin: Origin) -> dict[str, Any]:
    """What tells the job's logs and spans whose it is. The ids only: an address would be kept as long as the job."""
    ids = {"request_id": origin.request_id, "traceparent": origin.traceparent}
    return {_ORIGIN: {name: value for name, value in ids.items() if value}} if any(ids.values()) else {}


def opened(payload: Mapping[str, Any]) -> tuple[dict[str, Any], Origin]:
    """The payload as it was ordered, and the request that the order came of."""
    plain = dict(payload)
    return plain, Origin(**plain.pop(_ORIGIN, {}))


def jobs_topic(queue: str) -> str:
    """The topic of `Database.listen` that tells of new jobs of a queue."""
    return f"jobs.{queue}"
