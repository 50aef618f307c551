"""Taking turns to write to an SQLite file, between tasks and between processes.

SQLite has one writer and its own lock is polled with growing pauses, up to a tenth of a second: a busy process starves
the others. A file lock (flock) wakes the next one at once, and the kernel frees it when its holder dies.
"""

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path

from db.errors import DatabaseUnavailable


class WritersTurn:
    """The turn to write to one file, for one process."""

    def __init__(self, path: Path, wait_s: float) -> None:
        self._path = path
        self._wait_s = wait_s
        self._here = asyncio.Lock()
        self._file: int | None = None
        self._waiter = ThreadPoolExecutor(1, "sqlite-turn")

    @asynccontextmanager
    async def taken(self) -> AsyncIterator[None]:
        """Hold the turn. Raises DatabaseUnavailable when it does not come in time."""
        try:
            async with asyncio.timeout(self._wait_s):
                await self._here.acquire()
        except TimeoutError as error:
            raise DatabaseUnavailable("no turn to write to the database came in time") from error
        try:
            file = await self._lock()
            try:
                yield
            finally:
                fcntl.flock(file, fcntl.LOCK_UN)
        finally:
            self._here.release()

    def close(self) -> None:
        """Give up the file."""
        self._waiter.shutdown(wait=False)
        if self._file is not None:
            os.close(self._file)
            self._file = None

    async def _lock(self) -> int:
        if self._file is None:
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            await self._wait(self._file)
        return self._file

    async def _wait(self, file: int) -> None:
        waiting = asyncio.get_running_loop().run_in_executor(self._waiter, fcntl.flock, file, fcntl.LOCK_EX)
        try:
            async with asyncio.timeout(self._wait_s):
                await asyncio.shield(waiting)
        except BaseException as error:
            # The thread cannot be called back: when it gets the lock after all, nobody wants it any more.
            waiting.add_done_callback(lambda _: fcntl.flock(file, fcntl.LOCK_UN))
            if isinstance(error, TimeoutError):
                raise DatabaseUnavailable("another process did not stop writing in time") from error
            raise
