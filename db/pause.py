"""What a process that works in the background leaves to others: the processors, while they need nearly all of them."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from db.processors import Processors

_TIMES: Final = 6.0
"""A pause is so many times as long as the work before it."""

_LONGEST_S: Final = 0.3


class Pause:
    """The pauses of one process between its transactions, while others need the processors. What it does between two
    transactions is done for nobody who waits, either, so it counts as its work."""

    def __init__(self, processors: Processors | None = None) -> None:
        self._processors = processors or Processors()
        self._worked_until = time.process_time()
        self._ends_at = 0.0

    @property
    def left_s(self) -> float:
        """Seconds until the pause is over."""
        return max(0.0, self._ends_at - time.monotonic())

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """Around a transaction, which comes after the pause, or after a third of a second when others prolong it."""
        latest = time.monotonic() + _LONGEST_S
        while (left_s := min(self._ends_at, latest) - time.monotonic()) > 0:  # noqa: ASYNC110 - ended by the clock alone
            await asyncio.sleep(left_s)
        try:
            yield
        finally:
            self.begin()

    def begin(self) -> None:
        """A transaction has ended: pause by what was worked since the last, when processors are scarce."""
        worked = time.process_time()
        if self._processors.are_scarce:
            self._ends_at = time.monotonic() + min(_TIMES * (worked - self._worked_until), _LONGEST_S)
        self._worked_until = worked
