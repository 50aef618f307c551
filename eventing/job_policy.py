"""What an operator says about jobs: attempts, pauses, limits and how many at once, by kind and by queue.

Beside the package of the jobs and not in it: whoever reads the settings need not load what runs jobs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, Final, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

if TYPE_CHECKING:
    from eventing.jobs.kind import JobKind

QUEUES: Final = ("high", "default", "batch")
"""What somebody waits for, what nobody waits for, and what takes its time."""

Seconds = Annotated[float, Field(gt=0, le=7 * 86_400, allow_inf_nan=False)]
AtOnce = Annotated[int, Field(ge=1, le=1_000)]


class _Policy(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class KindPolicy(_Policy):
    """What is different for one kind. Times in seconds; see `JobKind` for their meaning."""

    attempts: int | None = Field(default=None, ge=1, le=1_000)
    delays_s: Annotated[tuple[Seconds, ...], Field(min_length=1, max_length=50)] | None = None
    soft_limit_s: Seconds | None = None
    hard_limit_s: Seconds | None = None
    at_once: AtOnce | None = Field(default=None, description="Of this kind, in one runner.")

    def applied(self, kind: JobKind) -> JobKind:
        """The kind with what this says. Raises ValueError where that makes no sense for it."""
        if kind.own_schedule and (self.attempts is not None or self.delays_s is not None):
            raise ValueError(f"jobs of the kind {kind.name} have a schedule of their own: no attempts, no delays_s")
        given: dict[str, Any] = {
            "max_attempts": self.attempts,
            "delays": self.delays_s,
            "soft_limit_s": self.soft_limit_s,
            "hard_limit_s": self.hard_limit_s,
            "places": self.at_once,
        }
        changed = replace(kind, **{name: value for name, value in given.items() if value is not None})
        if changed.soft_limit_s > changed.hard_limit_s:
            raise ValueError(f"the soft limit of {kind.name} is beyond its hard limit of {changed.hard_limit_s:g} s")
        return changed


class QueuePolicy(_Policy):
    """What is different for one queue."""

    at_once: AtOnce = Field(description="Jobs that one runner does at once, instead of what it is deployed with.")


class JobPolicy(_Policy):
    """What is different from what the code says. Kinds and queues that are not named stay as they are."""

    kinds: dict[str, KindPolicy] = Field(default_factory=dict)
    queues: dict[str, QueuePolicy] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if unknown := sorted(self.queues.keys() - set(QUEUES)):
            raise ValueError(f"there is no queue {unknown[0]!r}; there are {', '.join(QUEUES)}")
        for name, policy in self.kinds.items():
            soft, hard = policy.soft_limit_s, policy.hard_limit_s
            if soft is not None and hard is not None and soft > hard:
                raise ValueError(f"the soft limit of {name} is beyond its hard limit")
        return self

    def applied(self, kinds: Iterable[JobKind]) -> tuple[JobKind, ...]:
        """These kinds, each with what is said of it. Raises ValueError, also for one that is none of them."""
        known = {kind.name: kind for kind in kinds}
        if unknown := sorted(self.kinds.keys() - known.keys()):
            raise ValueError(f"there is no kind of job {unknown[0]!r}; there are {', '.join(sorted(known))}")
        return tuple(self.kinds[name].applied(kind) if name in self.kinds else kind for name, kind in known.items())

    def places(self, queues: Mapping[str, int]) -> dict[str, int]:
        """How many jobs a runner of these queues does at once in each; one that it does not serve stays unserved."""
        return {
            queue: self.queues[queue].at_once if queue in self.queues and places else places
            for queue, places in queues.items()
        }
