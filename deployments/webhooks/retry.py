"""When to try again: the retry schedule of a webhook, as data."""

import math
import random
from dataclasses import dataclass

_MINUTE = 60.0
_HOUR = 60 * _MINUTE


@dataclass(frozen=True, slots=True)
class Schedule:
    """Seconds to wait before each attempt, the first included, and the share by which each wait may differ.

    The default is the example of Standard Webhooks 1.0: ten attempts within 75.6 hours. Raises ValueError for
    no attempt at all, a negative or infinite wait, or a jitter outside [0, 1].
    """

    delays: tuple[float, ...] = (
        *(0, 5, 5 * _MINUTE, 30 * _MINUTE, 2 * _HOUR),
        *(5 * _HOUR, 10 * _HOUR, 14 * _HOUR, 20 * _HOUR, 24 * _HOUR),
    )
    jitter: float = 0.2

    def __post_init__(self) -> None:
        if not self.delays:
            raise ValueError("a schedule has at least one attempt")
        if not all(math.isfinite(delay) and delay >= 0 for delay in self.delays):
            raise ValueError("a delay is a number of seconds, zero or more")
        if not 0 <= self.jitter <= 1:
            raise ValueError("jitter is a share between 0 and 1")


def next_delay(schedule: Schedule, attempts_made: int, retry_after: float | None, rng: random.Random) -> float | None:
    """Seconds from now to the next attempt, or None when the schedule is exhausted.

    `retry_after` is the receiver's wish: it can only lengthen the wait, and it grants no further attempt.
    """
    if attempts_made >= len(schedule.delays):
        return None
    delay = schedule.delays[attempts_made] * rng.uniform(1 - schedule.jitter, 1 + schedule.jitter)
    return max(delay, retry_after or 0.0)
