"""Taking turns to write to an SQLite file, between tasks and between processes.

SQLite has one writer and its own lock is polled with growing pauses, up to a tenth of a second: a busy process starves
the others. A file lock (flock) wakes the next one at once, and the kernel frees it when its holder dies. But it goes
round: who writes in the background would get every other turn, however long those who are waited for queue.
"""

import asyncio
import fcntl
import os
import threading
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from db.errors import DatabaseUnavailable
from db.pause import Pause

_REST: Final = 2.0
"""A process that yields rests so many times as long as it wrote."""


class WritersTurn:
    """The turn to write to one file, for one process. One that has a `pause` makes it between its turns, and leaves
    the file to others for a while after each turn that it had to wait for."""

    def __init__(self, path: Path, wait_s: float, pause: Pause | None = None) -> None:
        self._path = path
        self._wait_s = wait_s
        self._pause = pause
        self._rests_until = 0.0
        self._here = asyncio.Lock()
        self._file: int | None = None
        self._waiter = ThreadPoolExecutor(1, "sqlite-turn")
        self._wait: _Wait | None = None

    @property
    def rest_s(self) -> float:
        """Seconds for which this process leaves the file to others."""
        rest_s = max(0.0, self._rests_until - time.monotonic())
        return rest_s if self._pause is None else max(rest_s, self._pause.left_s)

    @asynccontextmanager
    async def taken(self) -> AsyncIterator[None]:
        """Hold the turn, at most until it is ended. Raises DatabaseUnavailable when it does not come in time."""
        try:
            async with asyncio.timeout(self._wait_s):
                await self._here.acquire()
        except TimeoutError as error:
            raise DatabaseUnavailable("no turn to write to the database came in time") from error
        try:
            await asyncio.sleep(self.rest_s)
            waited, began = await self._lock(), time.monotonic()
            try:
                yield
            finally:
                self.end()
                if self._pause is not None:
                    self._pause.begin()
                    if waited:
                        self._rest(time.monotonic() - began)
        finally:
            self._here.release()

    def _rest(self, wrote_s: float) -> None:
        self._rests_until = time.monotonic() + min(_REST * wrote_s, self._wait_s / 2)

    def end(self) -> None:
        """Let other processes write: what its holder had to write is written. From any thread."""
        if self._file is not None:
            fcntl.flock(self._file, fcntl.LOCK_UN)

    def close(self) -> None:
        """Give up the file."""
        self._waiter.shutdown(wait=False)
        if self._file is not None:
            os.close(self._file)
            self._file = None

    async def _lock(self) -> bool:
        """Take the lock; whether others had it."""
        if self._file is None:
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if self._wait is None or self._wait.is_over:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                pass
            else:
                return False
        self._wait = _Wait(self._file)
        waiting = asyncio.get_running_loop().run_in_executor(self._waiter, self._wait.run)
        try:
            async with asyncio.timeout(self._wait_s):
                await asyncio.shield(waiting)
        except BaseException as error:
            self._wait.give_up()
            if isinstance(error, TimeoutError):
                raise DatabaseUnavailable("another process did not stop writing in time") from error
            raise
        return True


class _Wait:
    """A wait for the lock in a thread, which cannot be called back: it gives away what nobody wants any more."""

    def __init__(self, file: int) -> None:
        self._file = file
        self._guard = threading.Lock()
        self._is_given_up = False
        self.is_over = False

    def run(self) -> None:
        fcntl.flock(self._file, fcntl.LOCK_EX)
        with self._guard:
            self.is_over = True
            if self._is_given_up:
                fcntl.flock(self._file, fcntl.LOCK_UN)

    def give_up(self) -> None:
        with self._guard:
            self._is_given_up = True
            if self.is_over:
                fcntl.flock(self._file, fcntl.LOCK_UN)
