"""SQLite's hot paths in threads of their own: a transaction is one function call there, not a hop per statement."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from sqlalchemy import Connection

from db.engine import sqlite_thread_engine
from db.settings import DatabaseSettings

Result = TypeVar("Result")

_READERS = 2


class SQLiteThreads:
    """One thread that writes and a few that read, each with its own connection to the file."""

    def __init__(self, settings: DatabaseSettings) -> None:
        self._writer = sqlite_thread_engine(settings, writer=True)
        self._reader = sqlite_thread_engine(settings, writer=False)
        self._write_thread = ThreadPoolExecutor(1, "sqlite-writer")
        self._read_threads = ThreadPoolExecutor(_READERS, "sqlite-reader")

    async def write(self, work: Callable[[Connection], Result]) -> Result:
        """Run `work` in a transaction and commit it. Not cancellable midway: the caller may leave, the commit stays."""

        def transaction() -> Result:
            with self._writer.begin() as connection:
                return work(connection)

        return await asyncio.shield(asyncio.get_running_loop().run_in_executor(self._write_thread, transaction))

    async def read(self, work: Callable[[Connection], Result]) -> Result:
        """Run `work` in a read transaction."""

        def transaction() -> Result:
            with self._reader.begin() as connection:
                return work(connection)

        return await asyncio.get_running_loop().run_in_executor(self._read_threads, transaction)

    async def close(self) -> None:
        """Let what runs end, then close the connections."""
        loop = asyncio.get_running_loop()
        for pool in (self._write_thread, self._read_threads):
            await loop.run_in_executor(None, pool.shutdown)
        self._writer.dispose()
        self._reader.dispose()
