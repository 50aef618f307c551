"""Whether the processors of this machine have time to spare, by what the kernel counts."""

import time
from collections.abc import Callable
from typing import Final, NamedTuple

import psutil

_LOOKED_S: Final = 0.1
"""The kernel counts in hundredths of a second."""

_SPARE: Final = 0.1
"""With less of them idle, somebody waits for one."""

_OTHERS: Final = 0.5
"""With less of them used by others, it is this process that they wait for."""


class Spent(NamedTuple):
    """Seconds of processors: idle, used by this process, and all."""

    idle: float
    own: float
    whole: float


class Processors:
    """The processors, looked at ten times a second at most. In a container they are those of the machine."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, spent: Callable[[], Spent] | None = None) -> None:
        self._clock = clock
        self._spent = spent or _spent
        self._looked_at = clock()
        self._before = self._spent()
        self._are_scarce = False

    @property
    def are_scarce(self) -> bool:
        """Whether less than a tenth of them was idle of late, and more than half worked for others."""
        now = self._clock()
        if now - self._looked_at >= _LOOKED_S:
            spent = self._spent()
            idle, own, whole = (after - before for after, before in zip(spent, self._before, strict=True))
            if whole > 0:
                self._are_scarce = idle < _SPARE * whole and whole - idle - own > _OTHERS * whole
            self._looked_at, self._before = now, spent
        return self._are_scarce


def _spent() -> Spent:
    times = psutil.cpu_times()
    # Time of guests is in that of users already.
    return Spent(times.idle + getattr(times, "iowait", 0.0), time.process_time(), sum(times[:8]))
