"""The job table as a runner sees it once it has taken jobs: leases, ends, and who lost theirs. For unscoped units."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, bindparam, exists, select, text, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from db.models.jobs import Job
from db.repositories.job_claims import has_work

_EXPIRED_AT_ONCE: Final = 100
# Spelled out, because a partial index is only used for a condition that the planner can read.
_IS_RUNNING = text("job.state = 'running'")


@dataclass(frozen=True, slots=True)
class AttemptEnd:
    """The row after an attempt. Written only while `worker` still has this `attempt`."""

    tenant_id: str
    id: str
    worker: str
    attempt: int
    state: str
    attempts_made: int
    attempts: list[dict[str, Any]]
    result: dict[str, Any] | None
    error: str | None
    progress_done: int
    progress_total: int | None
    run_at: datetime
    finished_at: datetime | None


_END = (
    update(Job)
    .where(
        col(Job.tenant_id) == bindparam("b_tenant_id"),
        col(Job.id) == bindparam("b_id"),
        col(Job.worker) == bindparam("b_worker"),
        col(Job.attempt) == bindparam("b_attempt"),
        _IS_RUNNING,
    )
    .values(
        state=bindparam("b_state"),
        attempt=bindparam("b_attempts_made"),
        attempts=bindparam("b_attempts"),
        result=bindparam("b_result"),
        error=bindparam("b_error"),
        progress_done=bindparam("b_progress_done"),
        progress_total=bindparam("b_progress_total"),
        run_at=bindparam("b_run_at"),
        finished_at=bindparam("b_finished_at"),
        lease_until=None,
        worker=None,
    )
    .execution_options(synchronize_session=False)
)


class JobQueueRepository:
    """The jobs of every tenant, by queue."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def lost(self, queue: str, now: datetime) -> Sequence[Job]:
        """Some running jobs whose lease ran out, locked for this transaction."""
        statement = (
            select(Job)
            .where(col(Job.queue) == queue, col(Job.lease_until) < now, _IS_RUNNING)
            .limit(_EXPIRED_AT_ONCE)
            .with_for_update(skip_locked=True)
        )
        return (await self._session.scalars(statement)).all()

    async def renew(self, queues: Sequence[str], worker: str, until: datetime) -> dict[tuple[str, str], bool]:
        """Prolong every lease of the worker: the jobs it still has, and whether the end of each was asked for."""
        statement = (
            update(Job)
            .where(col(Job.queue).in_(queues), col(Job.worker) == worker, _IS_RUNNING)
            .values(lease_until=until)
            .returning(col(Job.tenant_id), col(Job.id), col(Job.cancel_requested))
            .execution_options(synchronize_session=False)
        )
        rows = await self._session.execute(statement)
        return {(tenant_id, job_id): cancel for tenant_id, job_id, cancel in rows}


def look(connection: Connection, queue: str, now: datetime) -> tuple[bool, bool]:
    """Whether a worker of the queue has lost its lease, and whether there is work."""
    expired = select(exists().where(col(Job.queue) == queue, col(Job.lease_until) < now, _IS_RUNNING))
    return bool(connection.scalar(expired)), has_work(connection, queue, now)


def end_many(connection: Connection, ends: Sequence[AttemptEnd]) -> None:
    """Write the ends of attempts, passing over those that the worker does not have any more."""
    if ends:
        connection.execute(_END, [_bound(end) for end in ends])


def end_held(connection: Connection, ends: Sequence[AttemptEnd]) -> set[tuple[str, str]]:
    """The same; of which jobs, by tenant and id."""
    attempt = tuple_(col(Job.tenant_id), col(Job.id), col(Job.worker), col(Job.attempt))
    mine = attempt.in_([(end.tenant_id, end.id, end.worker, end.attempt) for end in ends])
    locked = select(col(Job.tenant_id), col(Job.id)).where(mine, _IS_RUNNING).with_for_update()
    held = {(tenant_id, job_id) for tenant_id, job_id in connection.execute(locked)}
    end_many(connection, [end for end in ends if (end.tenant_id, end.id) in held])
    return held


_COLUMNS = tuple((f"b_{field.name}", field.name) for field in fields(AttemptEnd))


def _bound(end: AttemptEnd) -> dict[str, Any]:
    return {parameter: getattr(end, name) for parameter, name in _COLUMNS}
