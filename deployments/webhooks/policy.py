"""How deliveries are paced and when an endpoint counts as broken, as data."""

from dataclasses import dataclass, field
from datetime import timedelta

from deployments.webhooks.retry import Schedule


@dataclass(frozen=True, slots=True)
class Policy:
    """The operator's choices.

    After `failures_to_open` failures in a row nothing is sent for `pauses_s` (the last repeats), then one delivery at a
    time until one is heard. An endpoint is disabled when nothing reached it for `disable_after` and at least
    `failures_to_disable` attempts. `concurrency` is how many requests at once one endpoint gets that names no number.
    """

    schedule: Schedule = field(default_factory=Schedule)
    failures_to_open: int = 5
    pauses_s: tuple[float, ...] = (10.0, 30.0, 60.0, 120.0, 300.0, 600.0)
    disable_after: timedelta = timedelta(days=5)
    failures_to_disable: int = 10
    warn_at_percent: tuple[int, ...] = (50, 70, 90)
    concurrency: int = 10
    keep: timedelta = timedelta(days=90)
    shift_s: float = 10.0
    """How long a lane starts new attempts before it lets others have its place."""
