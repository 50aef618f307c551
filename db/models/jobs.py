"""Work to be done later, its retries and its outcome."""

from datetime import datetime
from typing import Any

from sqlalchemy import Index, text
from sqlmodel import SQLModel

from db.models.columns import document, key, moment

_QUEUED = text("state = 'queued'")
_RUNNING = text("state = 'running'")
_UNIQUE = text("unique_key IS NOT NULL")


class Job(SQLModel, table=True):
    """A unit of work. Due when `state` is queued and `run_at` is past, or running with an expired lease.

    `attempt` numbers the attempt that runs or ran last, from 1; 0 before the first and after a retry by hand.
    Together with `worker` it fences writes of a worker that lost its lease. `attempts` is the bounded history.
    """

    __tablename__ = "job"
    __table_args__ = (
        # Partial, so that finished jobs cost a claim nothing.
        Index("ix_job_due", "queue", "tenant_id", "run_at", "id", sqlite_where=_QUEUED, postgresql_where=_QUEUED),
        Index("ix_job_running", "queue", "tenant_id", "lease_until", sqlite_where=_RUNNING, postgresql_where=_RUNNING),
        Index(
            "uq_job_unique",
            "tenant_id",
            "unique_key",
            unique=True,
            sqlite_where=_UNIQUE,
            postgresql_where=_UNIQUE,
        ),
    )

    tenant_id: str = key()
    id: str = key()
    kind: str
    queue: str
    state: str = "queued"
    payload: dict[str, Any] = document()
    unique_key: str | None = None
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
