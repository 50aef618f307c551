"""What a job is: its kind, the order to do it, and what the code that does it gets to see."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from eventing.jobs.outcomes import Done, JobCancelled, SoftLimitExceeded

_REPORT_EVERY_S: Final = 0.5

Report: TypeAlias = Callable[[int, int | None], Awaitable[bool]]


class JobRun:
    """One attempt at a job, as the code of its kind sees it. `attempt` counts from 1."""

    def __init__(
        self,
        *,
        tenant_id: str,
        id: str,  # noqa: A002 - a job has an id
        payload: dict[str, Any],
        attempt: int,
        created_by: str,
        soft_limit_s: float,
        report: Report,
    ) -> None:
        self.tenant_id = tenant_id
        self.id = id
        self.payload = payload
        self.attempt = attempt
        self.created_by = created_by
        self.done = 0
        self.total: int | None = None
        self.is_cancelled = False
        self._soft_deadline = time.monotonic() + soft_limit_s
        self._report = report
        self._reported_at = float("-inf")

    @property
    def remaining(self) -> float:
        """Seconds until the soft time limit, never negative."""
        return max(0.0, self._soft_deadline - time.monotonic())

    async def progress(self, done: int, total: int | None = None) -> None:
        """Say how far the work is; call it often, it is written twice a second at most.

        Raises JobCancelled when the job is to end, SoftLimitExceeded past the soft limit.
        """
        self.done, self.total = done, total
        now = time.monotonic()
        if not self.is_cancelled and now - self._reported_at >= _REPORT_EVERY_S:
            self._reported_at = now
            self.is_cancelled = await self._report(done, total)
        if self.is_cancelled:
            raise JobCancelled("the job was cancelled")
        if now > self._soft_deadline:
            raise SoftLimitExceeded("the soft time limit is over")


@dataclass(frozen=True, slots=True)
class JobKind:
    """How jobs of one kind are done. Times in seconds.

    `queue` is where they wait; a runner serves the kinds of its queues. `delays` are the pauses before attempt 2, 3, …,
    the last one repeats; each varies by a fifth at random. Past `soft_limit_s` `JobRun.progress` raises; at
    `hard_limit_s` the code is cancelled. A job may run again after its worker died, so its effects must be idempotent.
    """

    name: str
    queue: str
    run: Callable[[JobRun], Awaitable[Done | None]]
    max_attempts: int = 3
    delays: tuple[float, ...] = (5.0, 30.0, 120.0, 600.0)
    soft_limit_s: float = 240.0
    hard_limit_s: float = 300.0


@dataclass(frozen=True, slots=True)
class JobSpec:
    """The order for a job. `queue` must be that of the kind; `unique_key` makes a second order the same job."""

    kind: str
    payload: dict[str, Any]
    created_by: str
    unique_key: str | None = None
    run_after_s: float = 0.0
    queue: str = "default"
