"""Taking jobs from a queue: what is due of which tenant, in turns, within every bound. For unscoped transactions."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Boolean, Connection, Executable, Integer, String, bindparam, text

from db.models.identity import PLATFORM_TENANT
from db.types import JsonColumn, UTCDateTime, json_dumps

# `lane` jumps in the index from one kind and priority of a tenant to the next, so very many jobs of one tenant, or of
# one kind that nobody takes now, cost no more than a few. Open are those that nobody holds: not the jobs of a suspended
# or deleted tenant, and nothing that is paused, for the tenant or by the platform for all.
_OPEN = """
WITH RECURSIVE lane(tenant_id, kind, priority) AS (
    SELECT first.tenant_id, first.kind, first.priority FROM (
        SELECT tenant_id, kind, priority FROM job WHERE queue = :queue AND state = 'queued'
        ORDER BY tenant_id, kind, priority LIMIT 1
    ) AS first
    UNION ALL
    SELECT following.tenant_id, following.kind, following.priority FROM lane {following}
),
open AS (
    SELECT lane.tenant_id, lane.kind, lane.priority, CAST(tenant.settings ->> 'max_running_jobs' AS integer) AS cap
    FROM lane LEFT JOIN tenant ON tenant.id = lane.tenant_id
    WHERE coalesce(tenant.status, 'active') = 'active' AND NOT EXISTS (
        SELECT 1 FROM job_pause WHERE job_pause.tenant_id IN (lane.tenant_id, '{everybody}')
        AND job_pause.queue = :queue AND job_pause.kind IN ('', lane.kind)
    )
)"""
_NEXT = "SELECT {columns} FROM job AS after WHERE after.queue = :queue AND after.state = 'queued' AND"
_FOLLOWING = f"""{_NEXT} (after.tenant_id, after.kind, after.priority) > (lane.tenant_id, lane.kind, lane.priority)
        ORDER BY after.tenant_id, after.kind, after.priority LIMIT 1"""
# SQLite finds the first row that is equal and goes through all of them, when several columns are compared together.
_FOLLOWING_ROW = f"""coalesce(
        ({_NEXT} after.tenant_id = lane.tenant_id AND after.kind = lane.kind AND after.priority > lane.priority
        ORDER BY after.priority LIMIT 1),
        ({_NEXT} after.tenant_id = lane.tenant_id AND after.kind > lane.kind
        ORDER BY after.kind, after.priority LIMIT 1),
        ({_NEXT} after.tenant_id > lane.tenant_id
        ORDER BY after.tenant_id, after.kind, after.priority LIMIT 1))"""
_DUE = """FROM job AS due WHERE due.queue = :queue AND due.state = 'queued' AND due.tenant_id = open.tenant_id
        AND due.kind = open.kind AND due.priority = open.priority AND due.run_at <= :now"""
_FIRST = "SELECT {columns} {due} ORDER BY due.run_at, due.id LIMIT (SELECT jobs FROM share)"
_HAS_WORK = "{open} SELECT EXISTS (SELECT 1 FROM open WHERE EXISTS (SELECT 1 {due}))"
_DEPTH = """{open} SELECT
    coalesce(sum((SELECT count(*) FROM (SELECT 1 {due} LIMIT 10000) AS few)), 0) AS waiting,
    min((SELECT due.run_at {due} ORDER BY due.run_at LIMIT 1)) AS oldest
FROM open"""

# A job's `turn` counts the jobs of its tenant that this worker has or would take before it: round-robin, and the share.
# `place` counts in the same way the jobs of its kind. `picked` is materialized, since a join that evaluates it twice
# would lock and take twice as many.
_CLAIM = """{open},
share(jobs) AS (
    -- Of many tenants a few jobs each are enough. Twice, for what other workers take at the same moment.
    SELECT 2 + coalesce(2 * :many / NULLIF(count(DISTINCT tenant_id), 0), 0) FROM open
),
running(tenant_id, here, everywhere) AS (
    -- An expression, or SQLite would go through all jobs by the index of tenants instead of through those.
    SELECT tenant_id || '', count(*) FILTER (WHERE queue = :queue AND worker = :worker), count(*)
    FROM job WHERE state = 'running' GROUP BY 1
),
head AS (
    SELECT waiting.tenant_id, waiting.id, waiting.kind, waiting.priority, waiting.run_at, wanted.places, open.cap,
        coalesce(running.here, 0) AS here, coalesce(running.everywhere, 0) AS everywhere,
        row_number() OVER (
            PARTITION BY waiting.tenant_id ORDER BY waiting.priority DESC, waiting.run_at, waiting.id
        ) AS nth
    FROM open JOIN {wanted} ON wanted.kind = open.kind {each_lanes_first}
    LEFT JOIN running ON running.tenant_id = open.tenant_id
),
ranked AS (
    SELECT tenant_id, id, priority, run_at, places, here + nth AS turn,
        row_number() OVER (PARTITION BY kind ORDER BY here + nth, priority DESC, run_at, id) AS place
    FROM head WHERE nth <= :at_once AND here + nth <= :per_tenant AND (cap IS NULL OR everywhere + nth <= cap)
),
picked AS MATERIALIZED (
    SELECT locked.tenant_id, locked.id
    FROM ranked JOIN job AS locked ON locked.tenant_id = ranked.tenant_id AND locked.id = ranked.id
    WHERE ranked.place <= ranked.places AND locked.state = 'queued'
    ORDER BY ranked.turn, ranked.priority DESC, ranked.run_at, ranked.id LIMIT :many {lock}
)
UPDATE job SET state = 'running', attempt = job.attempt + 1, started_at = :now, lease_until = :until, worker = :worker
FROM picked WHERE job.tenant_id = picked.tenant_id AND job.id = picked.id
RETURNING job.tenant_id, job.id, job.kind, job.payload, job.attempt, job.attempts, job.created_by,
    job.cancel_requested, job.run_at, job.started_at
"""


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
    run_at: datetime
    started_at: datetime


@dataclass(frozen=True, slots=True)
class QueueDepth:
    """How many jobs of a queue wait for a worker, since when the first of them is due, and how many run."""

    waiting: int
    running: int
    oldest: datetime | None


@dataclass(frozen=True, slots=True)
class _Statements:
    claim: Executable
    has_work: Executable
    depth: Executable


def _statements(following: str, wanted: str, each_lanes_first: str, lock: str) -> _Statements:
    opened = _OPEN.format(following=following, everybody=PLATFORM_TENANT)
    now = bindparam("now", type_=UTCDateTime())
    claim = _CLAIM.format(open=opened, wanted=wanted, each_lanes_first=each_lanes_first, lock=lock)
    return _Statements(
        claim=text(claim)
        .bindparams(now, bindparam("until", type_=UTCDateTime()))
        .columns(
            tenant_id=String,
            id=String,
            kind=String,
            payload=JsonColumn,
            attempt=Integer,
            attempts=JsonColumn,
            created_by=String,
            cancel_requested=Boolean,
            run_at=UTCDateTime,
            started_at=UTCDateTime,
        ),
        has_work=text(_HAS_WORK.format(open=opened, due=_DUE)).bindparams(now),
        depth=text(_DEPTH.format(open=opened, due=_DUE)).bindparams(now).columns(waiting=Integer, oldest=UTCDateTime),
    )


_STATEMENTS = {
    "sqlite": _statements(
        f"JOIN job AS following ON following.rowid = {_FOLLOWING_ROW.format(columns='after.rowid')}",
        "(SELECT key AS kind, value AS places FROM json_each(:places)) AS wanted",
        f"JOIN job AS waiting ON waiting.rowid IN ({_FIRST.format(columns='due.rowid', due=_DUE)})",
        "",
    ),
    "postgresql": _statements(
        f"CROSS JOIN LATERAL ({_FOLLOWING.format(columns='after.tenant_id, after.kind, after.priority')}) AS following",
        "(SELECT key AS kind, CAST(value AS integer) AS places FROM json_each_text(CAST(:places AS json))) AS wanted",
        f"CROSS JOIN LATERAL ({_FIRST.format(columns='due.*', due=_DUE)}) AS waiting",
        "FOR UPDATE OF locked SKIP LOCKED",
    ),
}

_RUNNING = text("SELECT count(*) FROM job WHERE queue = :queue AND state = 'running'")


def has_work(connection: Connection, queue: str, now: datetime) -> bool:
    """Whether a job of the queue is due that nobody holds."""
    statement = _STATEMENTS[connection.dialect.name].has_work
    return bool(connection.scalar(statement, {"queue": queue, "now": now}))


def depth_of(connection: Connection, queue: str, now: datetime) -> QueueDepth:
    """What is due in the queue that nobody holds, over all tenants; counted up to 10,000 of each tenant and kind."""
    found = connection.execute(_STATEMENTS[connection.dialect.name].depth, {"queue": queue, "now": now}).one()
    running = connection.scalar(_RUNNING, {"queue": queue})
    return QueueDepth(waiting=int(found.waiting), running=running or 0, oldest=found.oldest)


def depths_of(connection: Connection, queues: Iterable[str], now: datetime) -> dict[str, QueueDepth]:
    """The same of several queues."""
    return {queue: depth_of(connection, queue, now) for queue in queues}


def claim(
    connection: Connection,
    queue: str,
    places: Mapping[str, int],
    worker: str,
    *,
    now: datetime,
    until: datetime,
    limit: int,
    per_tenant: int,
    at_once: int | None = None,
) -> list[ClaimedJob]:
    """Take due jobs, at most `limit` and of each kind at most its `places`, the tenants in turn.

    `per_tenant` caps what one worker has of a tenant, `at_once` what it takes of one now, and the tenant's own
    `max_running_jobs` what all workers have; what several take in the same moment may exceed that until they end. Of a
    tenant's jobs those of higher priority come first, then those that are due the longest. Fewer may come although more
    are due, when few of many tenants have most of them: ask again. Two workers never get the same job: PostgreSQL skips
    what another is just taking, SQLite has one writer.
    """
    values = {
        "queue": queue,
        "places": json_dumps(dict(places)),
        "worker": worker,
        "now": now,
        "until": until,
        "many": limit,
        "per_tenant": per_tenant,
        "at_once": per_tenant if at_once is None else at_once,
    }
    return [ClaimedJob(*row) for row in connection.execute(_STATEMENTS[connection.dialect.name].claim, values)]
