"""The pace of a loop: wait for a wake-up or the next poll, back off after a failure, end at once when told to."""

import asyncio
import random


class Pace:
    """Pauses of one loop. Times in seconds."""

    def __init__(self, poll_s: float, *, first_backoff_s: float = 0.1, max_backoff_s: float = 5.0) -> None:
        self._poll_s = poll_s
        self._first_backoff_s = first_backoff_s
        self._max_backoff_s = max_backoff_s
        self._failures = 0
        self._woken = asyncio.Event()
        self._stopped = asyncio.Event()
        self._is_resting = False

    @property
    def is_stopped(self) -> bool:
        return self._stopped.is_set()

    @property
    def is_resting(self) -> bool:
        """Whether somebody rests and nothing has ended that yet."""
        return self._is_resting and not self._woken.is_set()

    def wake(self) -> None:
        """End the current rest, or the next one at once."""
        self._woken.set()

    def stop(self) -> None:
        """End every rest and back-off from now on."""
        self._stopped.set()
        self._woken.set()

    async def rest(self) -> None:
        """Until somebody wakes us, at most until the next poll."""
        self._failures = 0
        self._is_resting = True
        try:
            await _within(self._woken, self._poll_s)
        finally:
            self._is_resting = False
        self._woken.clear()

    async def back_off(self) -> None:
        """After a failure: longer each time, with jitter; a wake-up does not shorten it, a stop does."""
        pause = min(self._first_backoff_s * 2**self._failures, self._max_backoff_s)
        self._failures = min(self._failures + 1, 16)
        await _within(self._stopped, pause * random.uniform(0.5, 1.0))

    def succeed(self) -> None:
        """The next back-off starts small again."""
        self._failures = 0


async def _within(event: asyncio.Event, seconds: float) -> None:
    if event.is_set():
        return
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return
