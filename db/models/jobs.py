"""Work to be done later, what holds it up, what starts it by the clock, and what it came to."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Index, text
from sqlmodel import Field, SQLModel

from db.models.columns import document, key, moment, sealed
from db.types import JsonColumn

_QUEUED = text("state = 'queued'")
_RUNNING = text("state = 'running'")
_UNIQUE = text("unique_key IS NOT NULL")
_ACTIVE = text("active_key IS NOT NULL AND state IN ('queued', 'running')")
_ENABLED = text("is_enabled")


class Job(SQLModel, table=True):
    """A unit of work. Due when `state` is queued and `run_at` is past, or running with an expired lease.

    `attempt` numbers the attempt that runs or ran last, from 1; 0 before the first and after a retry by hand.
    Together with `worker` it fences writes of a worker that lost its lease. `attempts` is the bounded history.
    Of the jobs of a tenant in a queue that are due, those of higher `priority` go first. `unique_key` names one job as
    long as that is kept, `active_key` one at a time that is queued or running.
    """

    __tablename__ = "job"
    __table_args__ = (
        # Partial, so that finished jobs cost a claim nothing.
        Index(
            "ix_job_due",
            "queue",
            "tenant_id",
            "kind",
            "priority",
            "run_at",
            "id",
            sqlite_where=_QUEUED,
            postgresql_where=_QUEUED,
        ),
        Index("ix_job_running", "queue", "tenant_id", "lease_until", sqlite_where=_RUNNING, postgresql_where=_RUNNING),
        Index(
            "uq_job_unique",
            "tenant_id",
            "unique_key",
            unique=True,
            sqlite_where=_UNIQUE,
            postgresql_where=_UNIQUE,
        ),
        Index(
            "uq_job_active",
            "tenant_id",
            "active_key",
            unique=True,
            sqlite_where=_ACTIVE,
            postgresql_where=_ACTIVE,
        ),
    )

    tenant_id: str = key()
    id: str = key()
    kind: str
    queue: str
    state: str = "queued"
    payload: dict[str, Any] = sealed(sa_type=JsonColumn)
    unique_key: str | None = None
    active_key: str | None = None
    priority: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    progress_done: int = 0
    progress_total: int | None = None
    attempts: list[dict[str, Any]] = document(default_factory=list)
    result: dict[str, Any] | None = document(default=None)
    error: str | None = None
    cancel_requested: bool = False
    created_by: str
    created_at: datetime = moment()
    run_at: datetime = moment()
    attempt: int = 0
    started_at: datetime | None = moment(default=None)
    lease_until: datetime | None = moment(default=None)
    worker: str | None = None
    finished_at: datetime | None = moment(default=None)


class JobPause(SQLModel, table=True):
    """A queue, or one kind of job in it, of which nothing is started. One of the platform's own tenant is for all."""

    __tablename__ = "job_pause"

    tenant_id: str = key()
    queue: str = key()
    kind: str = key()
    """Empty for the whole queue."""
    reason: str
    paused_by: str
    paused_at: datetime = moment()


class Schedule(SQLModel, table=True):
    """What starts a job by the clock. `next_run_at` is the next time that was not dealt with yet; it never goes back
    by itself, so a clock that is set back starts nothing twice."""

    __tablename__ = "schedule"
    __table_args__ = (
        Index("ix_schedule_due", "next_run_at", sqlite_where=_ENABLED, postgresql_where=_ENABLED),
        Index("uq_schedule_name", "tenant_id", "name", unique=True),
    )

    tenant_id: str = key()
    id: str = key()
    name: str
    kind: str
    payload: dict[str, Any] = document()
    cron: str
    time_zone: str
    missed: str
    is_enabled: bool
    next_run_at: datetime = moment()
    last_run_at: datetime | None = moment(default=None)
    last_job_id: str | None = None
    created_by: str
    created_at: datetime = moment()
    updated_at: datetime = moment()


class JobTally(SQLModel, table=True):
    """How many attempts at jobs of a kind ended how, over all tenants and workers, and what they took in seconds:
    `duration_s` from start to end, `lag_s` from due to start."""

    __tablename__ = "job_tally"

    kind: str = Field(primary_key=True)
    outcome: str = Field(primary_key=True)
    attempts: int = Field(sa_type=BigInteger)
    duration_s: float
    lag_s: float
