"""How an attempt may end: the named outcomes that a job returns or raises."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from db.session import UnitOfWork

Effect: TypeAlias = Callable[[UnitOfWork], Awaitable[None]]
"""Writes that belong to an outcome; run in the transaction that ends the attempt, so they happen once."""


@dataclass(frozen=True, slots=True)
class Done:
    """The job succeeded. `result` is what its owner gets to see."""

    result: dict[str, Any] | None = None
    effect: Effect | None = None


class Retry(Exception):
    """The attempt failed and may be repeated: after `after_s` seconds, else by the delays of the kind.

    The last attempt of a kind fails with this too; the effect runs either way.
    """

    def __init__(self, reason: str, after_s: float | None = None, effect: Effect | None = None) -> None:
        super().__init__(reason)
        self.after_s = after_s
        self.effect = effect


class GiveUp(Exception):
    """The job failed and no further attempt can help."""

    def __init__(self, reason: str, effect: Effect | None = None) -> None:
        super().__init__(reason)
        self.effect = effect


class JobCancelled(Exception):
    """Raised inside a job, by `JobRun.progress`, when its end was asked for or its lease was lost."""


class SoftLimitExceeded(TimeoutError):
    """Raised inside a job, by `JobRun.progress`, past the soft time limit; some time is left to tidy up."""
