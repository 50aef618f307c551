"""SQLite under SQLAlchemy's asyncio: short statements run where they are asked for, long ones in threads.

Most statements take 20 to 50 µs, a hop to a thread and back twice as long, on a busy loop many times as long, and while
a write waits for its hops nobody else may write. So the writer's statements run in the loop itself, and only what has
to wait for a disk or a lock (COMMIT, a BEGIN that finds others writing) goes to a thread. A read may go through a whole
table: it has so many steps of SQLite's machine in the loop, and begins again in a thread when they are used up. One
that nobody waits for any more is interrupted.
"""

import asyncio
import sqlite3
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from sqlalchemy import URL
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.pool import AsyncAdaptedQueuePool, Pool
from sqlalchemy.util import await_only

from db.turn import WritersTurn

Result = TypeVar("Result")

_NO_ROWS: deque[Any] = deque()
_STOPPING_S = 0.05
_STEPS_IN_LOOP = 5_000
_STEPS_BETWEEN_LOOKS = 50_000

BEGIN = "BEGIN IMMEDIATE"
"""How a write begins: it takes the lock at once, for a deferred one that upgrades fails with SQLITE_BUSY."""


class FetchedCursor(sqlite3.Cursor):
    """A cursor that holds all rows of what it `run`: fetching them touches no file, and none keeps a commit waiting."""

    server_side = False
    _rows = _NO_ROWS

    def run(self, statement: str, parameters: Any = ()) -> None:
        """Execute the statement and take its rows."""
        self.execute(statement, parameters)
        self._rows = deque(super().fetchall()) if self.description else _NO_ROWS

    def fetchone(self) -> Any:
        return self._rows.popleft() if self._rows else None

    def fetchmany(self, size: int | None = None) -> list[Any]:
        wanted = self.arraysize if size is None else size
        return [self._rows.popleft() for _ in range(min(wanted, len(self._rows)))]

    def fetchall(self) -> list[Any]:
        rows, self._rows = self._rows, _NO_ROWS
        return list(rows)

    async def _async_soft_close(self) -> None:
        """What SQLAlchemy asks for before it hands a result out; there is nothing to wait for."""


class FetchedConnection(sqlite3.Connection):
    """A connection whose cursors fetch at once, and which can be told when to give a statement up."""

    _ends: float | None = None

    def begin_at_once(self) -> bool:
        """Begin to write; False when that means to wait for others."""
        ((patience,),) = self.execute("PRAGMA busy_timeout").fetchall()
        self.execute("PRAGMA busy_timeout=0")
        try:
            self.execute(BEGIN)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_BUSY:
                return False
            raise
        finally:
            self.execute(f"PRAGMA busy_timeout={patience}")
        return True

    def limit(self, ends: float | None) -> None:
        """Interrupt what runs after `ends` (of time.monotonic()), until told otherwise."""
        self._ends = ends
        self.set_progress_handler(None if ends is None else self._is_over, _STEPS_BETWEEN_LOOKS)

    def _is_over(self) -> bool:
        return self._ends is not None and time.monotonic() > self._ends

    def begin_briefly(self, cursor: FetchedCursor, statement: str, parameters: Any) -> bool:
        """Whether the read ended within its steps, which SQLite counts over all uses of a statement."""
        self.set_progress_handler(_enough, _STEPS_IN_LOOP)
        try:
            cursor.run(statement, parameters)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT:
                return False
            raise
        finally:
            self.limit(self._ends)
        return True

    def cursor(self, factory: Any = FetchedCursor) -> Any:
        return super().cursor(factory)


def _enough() -> bool:
    return True


async def _at_once() -> None:
    """SQLAlchemy takes a driver that awaits nothing for one that blocks."""


class SQLiteDialect(SQLiteDialect_pysqlite):
    """SQLAlchemy's own for the module sqlite3, for an asynchronous engine with `threads` threads."""

    is_async = True
    has_terminate = True
    supports_statement_cache = True

    def __init__(self, threads: int = 1, **options: Any) -> None:
        super().__init__(**options)
        self._threads = ThreadPoolExecutor(threads, f"sqlite-{self.driver}")

    @classmethod
    def get_pool_class(cls, url: URL) -> type[Pool]:
        return AsyncAdaptedQueuePool

    def create_connect_args(self, url: URL) -> Any:
        arguments, options = super().create_connect_args(url)
        return arguments, {**options, "factory": FetchedConnection, "check_same_thread": False}

    def close(self) -> None:
        """Let the threads end. What runs in them was waited for by whoever asked for it."""
        self._threads.shutdown(wait=False)

    def do_executemany(self, cursor: Any, statement: str, parameters: Any, context: Any = None) -> None:
        cursor.executemany(statement, parameters)
        await_only(_at_once())

    def do_execute_no_params(self, cursor: Any, statement: str, context: Any = None) -> None:
        self.do_execute(cursor, statement, ())  # type: ignore[no-untyped-call]

    def _run(self, connection: Any, work: Callable[..., Result], *arguments: Any, stoppable: bool) -> Result:
        return await_only(self._in_thread(connection, work, arguments, stoppable))

    async def _in_thread(
        self, connection: sqlite3.Connection, work: Callable[..., Result], arguments: Any, stoppable: bool
    ) -> Result:
        working = asyncio.get_running_loop().run_in_executor(self._threads, work, *arguments)
        try:
            return await asyncio.shield(working)
        except asyncio.CancelledError:
            # The connection belongs to the thread until it has ended, and to the pool right afterwards.
            while not working.done():
                if stoppable:
                    connection.interrupt()
                # An interruption that comes before the statement is lost.
                await asyncio.wait({working}, timeout=_STOPPING_S)
            working.exception()
            raise


class ReaderDialect(SQLiteDialect):
    """For connections that only read."""

    driver = "reader"
    supports_statement_cache = True

    def do_execute(self, cursor: Any, statement: str, parameters: Any, context: Any = None) -> None:
        connection: FetchedConnection = cursor.connection
        if not connection.begin_briefly(cursor, statement, parameters):
            self._run(connection, cursor.run, statement, parameters, stoppable=True)
        else:
            await_only(_at_once())


class WriterDialect(SQLiteDialect):
    """For the connection that writes, in its `turn`."""

    driver = "writer"
    supports_statement_cache = True

    def __init__(self, turn: WritersTurn | None = None, **options: Any) -> None:
        super().__init__(**options)
        self._turn = turn

    def do_execute(self, cursor: Any, statement: str, parameters: Any, context: Any = None) -> None:
        if statement != BEGIN:
            cursor.run(statement, parameters)
        elif not cursor.connection.begin_at_once():
            self._run(cursor.connection, cursor.execute, statement, stoppable=False)
        await_only(_at_once())

    def do_commit(self, dbapi_connection: Any) -> None:
        self._run(dbapi_connection, self._commit, dbapi_connection, stoppable=False)

    def _commit(self, connection: FetchedConnection) -> None:
        connection.commit()
        if self._turn is not None:
            # Here, not when the loop hears of it: on a busy one that takes as long as many commits of others.
            self._turn.end()


registry.register("sqlite.reader", __name__, "ReaderDialect")
registry.register("sqlite.writer", __name__, "WriterDialect")
