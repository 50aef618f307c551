"""Whether the processors of this machine have time to spare, by what the kernel counts."""

import time
from collections.abc import Callable
from typing import Final

import psutil

_LOOKED_S: Final = 0.1
"""The kernel counts in hundredths of a second."""

_SPARE: Final = 0.1


class Processors:
    """The processors, looked at ten times a second at most. In a container they are those of the machine."""

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, spent: Callable[[], tuple[float, float]] | None = None
    ) -> None:
        self._clock = clock
        self._spent = spent or _spent
        self._looked_at = clock()
        self._idle, self._all = self._spent()
        self._are_scarce = False

    @property
    def are_scarce(self) -> bool:
        """Whether less than a tenth of them was idle of late."""
        now = self._clock()
        if now - self._looked_at >= _LOOKED_S:
            idle, whole = self._spent()
            if whole > self._all:
                self._are_scarce = idle - self._idle < _SPARE * (whole - self._all)
            self._looked_at, self._idle, self._all = now, idle, whole
        return self._are_scarce


def _spent() -> tuple[float, float]:
    """Seconds in which processors were idle, and all seconds."""
    times = psutil.cpu_times()
    # Time of guests is in that of users already.
    return times.idle + getattr(times, "iowait", 0.0), sum(times[:8])
