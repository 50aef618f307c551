"""Whether several tenants have something at the same place, so that no batch may be mostly one's."""

import time
from collections.abc import Callable
from typing import Final

_LASTS_S: Final = 10.0
_SHARES: Final = 6


class Sharing:
    """Remembers for ten seconds that more than one tenant had something at once."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen_at = float("-inf")

    @property
    def is_on(self) -> bool:
        return self._clock() - self._seen_at < _LASTS_S

    def see(self, tenants: int) -> None:
        """So many have something now."""
        if tenants > 1:
            self._seen_at = self._clock()

    def share(self, limit: int, tenants: int = 1) -> int:
        """How many one of so many tenants gets of `limit`: a sixth at most, where others may come meanwhile."""
        return max(1, limit // max(_SHARES if self.is_on else 1, tenants))
