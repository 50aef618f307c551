"""What a job is: its kind, the order to do it, and what the code that does it gets to see."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from eventing.events.envelope import Origin
from eventing.jobs.outcomes import Done, JobCancelled, SoftLimitExceeded

_REPORT_EVERY_S: Final = 0.5

LOWEST: Final = -10
"""The priority of what may wait for everything that people wait for."""

Report: TypeAlias = Callable[[int, int | None], Awaitable[bool]]


class JobRun:
    """One attempt at a job, as the code of its kind sees it. `attempt` counts from 1; when `is_last`, no other follows
    by itself. `origin` is the request that it comes of, with its ids only."""

    def __init__(
        self,
        *,
        tenant_id: str,
        id: str,  # noqa: A002 - a job has an id
        payload: dict[str, Any],
        attempt: int,
        created_by: str,
        soft_limit_s: float,
        max_attempts: int = 0,
        origin: Origin | None = None,
        report: Report,
    ) -> None:
        self.tenant_id = tenant_id
        self.id = id
        self.payload = payload
        self.attempt = attempt
        self.created_by = created_by
        self.origin = origin or Origin()
        self.is_last = 0 < max_attempts <= attempt
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


def exponential(first_s: float = 5.0, factor: float = 4.0, most_s: float = 600.0) -> tuple[float, ...]:
    """Pauses in seconds that grow by `factor`, up to `most_s`."""
    delays = [first_s]
    while delays[-1] < most_s:
        delays.append(min(delays[-1] * factor, most_s))
    return tuple(delays)


@dataclass(frozen=True, slots=True)
class JobKind:
    """How jobs of one kind are done. Times in seconds. An operator may say otherwise, see `eventing.job_policy`.

    `queue` is where they wait; a runner serves the kinds of its queues. `delays` are the pauses before attempt 2, 3, …,
    the last one repeats; each varies by a fifth at random. Past `soft_limit_s` `JobRun.progress` raises; at
    `hard_limit_s` the code is cancelled. `places` bounds how many of them a runner does at once, below the places of
    the queue. With `own_schedule` the code itself says when to try again and when to give up.
    A job may run again after its worker died, so its effects must be idempotent. Nothing below a job tries again by
    itself: attempts of two layers multiply.
    """

    name: str
    queue: str
    run: Callable[[JobRun], Awaitable[Done | None]]
    max_attempts: int = 3
    delays: tuple[float, ...] = exponential()
    soft_limit_s: float = 240.0
    hard_limit_s: float = 300.0
    places: int | None = None
    own_schedule: bool = False


@dataclass(frozen=True, slots=True)
class JobSpec:
    """The order for a job. `queue` must be that of the kind.

    With `unique_key` a second order is the same job, as long as that is kept; with `active_key` while it is queued or
    running. Of a tenant's due jobs in a queue those of higher `priority` go first. `origin` is the request that it
    comes of, where that is not the one that is carried out.
    """

    kind: str
    payload: dict[str, Any]
    created_by: str
    unique_key: str | None = None
    run_after_s: float = 0.0
    queue: str = "default"
    active_key: str | None = None
    priority: int = 0
    origin: Origin | None = None
