"""The job table as a runner sees it: what is due, over all tenants, and who has it. For unscoped units."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Boolean, Integer, String, bindparam, exists, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from db.models.identity import Tenant
from db.models.jobs import Job
from db.types import JsonColumn, UTCDateTime

_EXPIRED_AT_ONCE: Final = 100
_COUNTED: Final = 10_000
# Spelled out, because a partial index is only used for a condition that the planner can read.
_IS_QUEUED = text("job.state = 'queued'")
_IS_RUNNING = text("job.state = 'running'")

# `due` jumps from tenant to tenant in the index, so a tenant with very many jobs costs no more than one with few.
# A job's `turn` counts the jobs of its tenant that this worker has or would take before it: round-robin, and the cap.
# `picked` is materialized, since a join that evaluates it twice would lock and take twice as many.
_CLAIM = """
WITH RECURSIVE due(tenant_id) AS (
    SELECT min(tenant_id) FROM job WHERE queue = :queue AND state = 'queued'
    UNION ALL
    SELECT (
        SELECT min(job.tenant_id) FROM job
        WHERE job.queue = :queue AND job.state = 'queued' AND job.tenant_id > due.tenant_id
    ) FROM due WHERE due.tenant_id IS NOT NULL
),
share(jobs) AS (
    -- Of many tenants a few jobs each are enough. Twice, for what other workers take at the same moment.
    SELECT 2 + 2 * :many / count(*) FROM due
),
running(tenant_id, jobs) AS (
    SELECT tenant_id, count(*) FROM job
    WHERE queue = :queue AND state = 'running' AND worker = :worker GROUP BY tenant_id
),
head AS (
    SELECT waiting.tenant_id, waiting.id, waiting.run_at,
        coalesce(running.jobs, 0)
        + row_number() OVER (PARTITION BY waiting.tenant_id ORDER BY waiting.run_at, waiting.id) AS turn
    FROM due {each_tenants_first}
    LEFT JOIN running ON running.tenant_id = due.tenant_id
    -- What is queued of a suspended or deleted tenant is held until the tenant is active again.
    WHERE NOT EXISTS (SELECT 1 FROM tenant WHERE tenant.id = due.tenant_id AND tenant.status <> 'active')
),
picked AS MATERIALIZED (
    SELECT locked.tenant_id, locked.id
    FROM head JOIN job AS locked ON locked.tenant_id = head.tenant_id AND locked.id = head.id
    WHERE head.turn <= :per_tenant AND locked.state = 'queued'
    ORDER BY head.turn, head.run_at, head.id LIMIT :many {lock}
)
UPDATE job SET state = 'running', attempt = job.attempt + 1, started_at = :now, lease_until = :until, worker = :worker
FROM picked WHERE job.tenant_id = picked.tenant_id AND job.id = picked.id
RETURNING job.tenant_id, job.id, job.kind, job.payload, job.attempt, job.attempts, job.created_by,
    job.cancel_requested, job.started_at
"""
_FIRST = """SELECT {columns} FROM job AS first
    WHERE first.queue = :queue AND first.state = 'queued' AND first.tenant_id = due.tenant_id
    AND first.run_at <= :now AND first.kind IN :kinds
    ORDER BY first.run_at, first.id LIMIT (SELECT jobs FROM share)"""


def _claim(each_tenants_first: str, lock: str) -> Any:
    return (
        text(_CLAIM.format(each_tenants_first=each_tenants_first, lock=lock))
        .bindparams(
            bindparam("kinds", expanding=True),
            bindparam("now", type_=UTCDateTime()),
            bindparam("until", type_=UTCDateTime()),
        )
        .columns(
            tenant_id=String,
            id=String,
            kind=String,
            payload=JsonColumn,
            attempt=Integer,
            attempts=JsonColumn,
            created_by=String,
            cancel_requested=Boolean,
            started_at=UTCDateTime,
        )
    )


_CLAIM_SQLITE = _claim(
    f"JOIN job AS waiting ON waiting.tenant_id = due.tenant_id AND waiting.id IN ({_FIRST.format(columns='first.id')})",
    "",
)
_CLAIM_POSTGRESQL = _claim(
    f"CROSS JOIN LATERAL ({_FIRST.format(columns='first.tenant_id, first.id, first.run_at')}) AS waiting",
    "FOR UPDATE OF locked SKIP LOCKED",
)


@dataclass(frozen=True, slots=True)
class ClaimedJob:
    """A job that a worker has until its lease runs out. `attempt` is the one that begins, from 1."""

    tenant_id: str
    id: str
    kind: str
    payload: dict[str, Any]
    attempt: int
    attempts: list[dict[str, Any]]
    created_by: str
    cancel_requested: bool
    started_at: datetime


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

    async def has_work(self, queue: str, now: datetime) -> bool:
        """Whether a job of the queue is due, of a tenant that is not held."""
        held = exists().where(col(Tenant.id) == col(Job.tenant_id), col(Tenant.status) != "active")
        statement = select(exists().where(col(Job.queue) == queue, col(Job.run_at) <= now, _IS_QUEUED, ~held))
        return bool(await self._session.scalar(statement))

    async def count_due(self, queues: Sequence[str], now: datetime) -> int:
        """How many jobs of the queues are due, counted up to 10,000. What is held of closed tenants is not."""
        closed = exists().where(col(Tenant.id) == col(Job.tenant_id), col(Tenant.status) != "active")
        due = select(col(Job.id)).where(col(Job.queue).in_(queues), col(Job.run_at) <= now, _IS_QUEUED, ~closed)
        counted = select(func.count()).select_from(due.limit(_COUNTED).subquery())
        return await self._session.scalar(counted) or 0

    async def has_expired(self, queue: str, now: datetime) -> bool:
        """Whether a worker of the queue has lost its lease."""
        statement = select(exists().where(col(Job.queue) == queue, col(Job.lease_until) < now, _IS_RUNNING))
        return bool(await self._session.scalar(statement))

    async def claim(
        self,
        queue: str,
        kinds: Sequence[str],
        worker: str,
        *,
        now: datetime,
        until: datetime,
        limit: int,
        per_tenant: int,
    ) -> list[ClaimedJob]:
        """Take due jobs of these kinds, at most `limit`, the tenants in turn; `per_tenant` caps what one worker has.

        Fewer may come although more are due, when few of many tenants have most of them: ask again.
        Two workers never get the same job: PostgreSQL skips what another is just taking, SQLite has one writer.
        """
        is_sqlite = self._session.get_bind().dialect.name == "sqlite"
        rows = await (await self._session.connection()).execute(
            _CLAIM_SQLITE if is_sqlite else _CLAIM_POSTGRESQL,
            {
                "queue": queue,
                "kinds": list(kinds),
                "worker": worker,
                "now": now,
                "until": until,
                "many": limit,
                "per_tenant": per_tenant,
            },
        )
        return [ClaimedJob(*row) for row in rows]

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

    async def end(self, end: AttemptEnd) -> bool:
        """Write the end of an attempt; False when the worker does not have it any more."""
        result = await (await self._session.connection()).execute(_END, _bound(end))
        return result.rowcount == 1

    async def end_many(self, ends: Sequence[AttemptEnd]) -> None:
        """Write the ends of attempts, passing over those that the worker does not have any more."""
        if ends:
            await (await self._session.connection()).execute(_END, [_bound(end) for end in ends])


_COLUMNS = tuple((f"b_{field.name}", field.name) for field in fields(AttemptEnd))


def _bound(end: AttemptEnd) -> dict[str, Any]:
    return {parameter: getattr(end, name) for parameter, name in _COLUMNS}
