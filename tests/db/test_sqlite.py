"""The driver of SQLite: what takes long never stops the loop, and what nobody waits for ends."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import make_url, text

from db.errors import DatabaseUnavailable
from db.session import Database
from db.settings import DatabaseSettings

COUNTING = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < :last) SELECT max(x) FROM n"
ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"


@pytest.fixture
async def narrow(sqlite_settings: DatabaseSettings) -> AsyncIterator[Database]:
    """One reader and one writer: whoever keeps a connection stops the others."""
    database = Database(sqlite_settings.model_copy(update={"pool_size": 1, "wait_s": 0.5}))
    yield database
    await database.close()


class Ticks:
    """How often the loop went round."""

    def __init__(self) -> None:
        self.count = 0

    @asynccontextmanager
    async def counted(self) -> AsyncIterator["Ticks"]:
        async def tick() -> None:
            while True:
                self.count += 1
                await asyncio.sleep(0)

        task = asyncio.create_task(tick())
        try:
            yield self
        finally:
            task.cancel()


async def _numbers(database: Database, last: int) -> int:
    async with database.unscoped_read() as unit:
        return int((await unit.session.execute(text(COUNTING), {"last": last})).scalar_one())


async def test_a_short_read_is_answered_in_the_loop(narrow: Database) -> None:
    await _numbers(narrow, 10)
    async with narrow.unscoped_read() as unit, Ticks().counted() as ticks:
        await asyncio.sleep(0)
        before = ticks.count
        assert (await unit.session.execute(text(COUNTING), {"last": 10})).scalar_one() == 10
        assert ticks.count == before


async def test_a_long_read_leaves_the_loop_to_others(narrow: Database) -> None:
    """The loop turns while it runs, and it is complete although it was begun twice."""
    async with Ticks().counted() as ticks:
        assert await _numbers(narrow, 2_000_000) == 2_000_000
        assert ticks.count > 10


async def test_all_rows_arrive_in_order_however_they_are_fetched(narrow: Database) -> None:
    rows = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 20000) SELECT x FROM n"
    async with narrow.unscoped_read() as unit:
        whole = (await unit.session.execute(text(rows))).scalars().all()
        parts = [row[0] for part in (await unit.session.execute(text(rows))).partitions(777) for row in part]
        first = (await unit.session.execute(text(rows))).first()
    assert list(whole) == parts == list(range(1, 20_001))
    assert first is not None
    assert first[0] == 1


async def test_a_read_that_nobody_waits_for_is_interrupted(narrow: Database) -> None:
    """Otherwise the only connection would be gone until it ended, which it never does."""

    async def count() -> None:
        async with narrow.unscoped_read() as unit:
            await unit.session.execute(text(ENDLESS))

    async with asyncio.timeout(20):
        for _ in range(3):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(count(), 0.1)
        assert await _numbers(narrow, 3) == 3


async def test_what_another_program_locks_stops_the_writer_and_not_the_loop(narrow: Database) -> None:
    other = sqlite3.connect(str(make_url(narrow.settings.url).database), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        async with Ticks().counted() as ticks:
            with pytest.raises(DatabaseUnavailable):
                async with narrow.unscoped_write():
                    pass
            assert ticks.count > 10
    finally:
        other.close()
    async with narrow.unscoped_write() as unit:
        await unit.session.execute(text("CREATE TABLE marks (n INTEGER)"))


async def test_rows_that_nobody_fetched_keep_no_commit_waiting(narrow: Database) -> None:
    async with narrow.unscoped_write() as unit:
        await unit.session.execute(text("CREATE TABLE marks (n INTEGER)"))
        await unit.session.execute(text("INSERT INTO marks VALUES (1), (2), (3) RETURNING n"))
    async with narrow.unscoped_read() as unit:
        assert (await unit.session.execute(text("SELECT count(*) FROM marks"))).scalar_one() == 3


async def test_many_rows_are_written_at_once(narrow: Database) -> None:
    async with narrow.connect(narrow.writer) as connection:
        await connection.execute(text("CREATE TABLE marks (n INTEGER)"))
        await connection.execute(text("INSERT INTO marks VALUES (:n)"), [{"n": n} for n in range(500)])
    async with narrow.connect(narrow.reader) as connection:
        assert (await connection.exec_driver_sql("SELECT sum(n) FROM marks")).scalar_one() == sum(range(500))


async def test_a_write_that_is_given_up_leaves_nothing_and_the_writer_free(narrow: Database) -> None:
    """Wherever in it the caller leaves: what was not committed is gone, what was is whole."""

    async def write() -> None:
        async with narrow.unscoped_write() as unit:
            await unit.session.execute(text("INSERT INTO marks VALUES (1)"))
            await unit.session.execute(text("INSERT INTO marks VALUES (1)"))

    async with narrow.unscoped_write() as unit:
        await unit.session.execute(text("CREATE TABLE marks (n INTEGER)"))
    for turns in range(12):
        task = asyncio.create_task(write())
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    await write()
    async with narrow.unscoped_read() as unit:
        assert (await unit.session.execute(text("SELECT count(*) % 2 FROM marks"))).scalar_one() == 0
