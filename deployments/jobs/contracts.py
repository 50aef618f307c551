"""What crosses the door of jobs: the state of work that outlives its request."""

from datetime import datetime
from typing import Any, Literal, Protocol, TypeAlias

from pydantic import Field

from deployments.kit.contract import Contract, Page
from deployments.kit.principal import Principal

JobState: TypeAlias = Literal["queued", "running", "succeeded", "failed", "cancelled"]


class Progress(Contract):
    """How far the work is; `total` is null until it is known."""

    done: int
    total: int | None


class JobAttempt(Contract):
    """One attempt that ended. `error` is null when it succeeded."""

    started_at: datetime
    ended_at: datetime
    error: str | None


class Job(Contract):
    """A unit of work and what became of it."""

    id: str
    kind: str
    state: JobState
    progress: Progress
    attempts: list[JobAttempt] = Field(description="The latest attempts, oldest first.")
    result: dict[str, Any] | None = Field(description="What the kind of job reports when it succeeded.")
    error: str | None = Field(description="Why the latest attempt failed.")
    created_by: str
    created_at: datetime
    run_at: datetime = Field(description="When the next attempt is due, or the latest one was.")
    finished_at: datetime | None


class JobsApi(Protocol):
    """A tenant's jobs."""

    async def get(self, principal: Principal, job_id: str) -> Job: ...

    async def list_jobs(
        self,
        principal: Principal,
        cursor: str | None = None,
        limit: int = 20,
        kind: str | None = None,
        state: JobState | None = None,
    ) -> Page[Job]: ...

    async def cancel(self, principal: Principal, job_id: str) -> Job: ...

    async def retry(self, principal: Principal, job_id: str) -> Job: ...
