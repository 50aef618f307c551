"""The lobby: requests for which there is no room wait here, unread, until they are refused or let in, a few at a time.

Refusing at once whoever comes keeps the loop from those who were let in: at three times what a platform can do, each of
its turns would be long, and a message to a context and back takes several. Here refusals have a share of the time, and
whoever is not refused yet does not ask again.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import Final

_REST_S: Final = 0.005
_AT_ONCE: Final = 16
_LONGEST_S: Final = 1.0
"""Nobody waits longer, however many do."""


class Lobby:
    """Those who wait leave in the order they came. One per event loop."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._waiting: deque[tuple[float, Callable[[], None]]] = deque()

    def enter(self, leave: Callable[[], None]) -> None:
        """Wait; `leave` is called when it is time."""
        if not self._waiting:
            self._rest()
        self._waiting.append((self._clock() + _LONGEST_S, leave))

    def _rest(self) -> None:
        asyncio.get_running_loop().call_later(_REST_S, self._let_go)

    def _let_go(self) -> None:
        now, gone = self._clock(), 0
        try:
            while self._waiting and (gone < _AT_ONCE or self._waiting[0][0] <= now):
                _, leave = self._waiting.popleft()
                gone += 1
                leave()
        finally:
            if self._waiting:
                self._rest()
