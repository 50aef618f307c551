"""A process that migrates a database and is killed, again and again: `migrating_process URL STATEMENT...`.

For each number a child of it begins to migrate and gets SIGKILL before its statement of that number. A line for each
says what it leaves: the revision, and the tables with their columns and indexes. A child that ends before is a failure.
"""

import asyncio
import itertools
import os
import signal
import sys
from typing import Any

import orjson
from sqlalchemy import Connection, Engine, event, inspect

from db import migrate
from db.engine import owner_engine
from db.settings import DatabaseSettings


def schema(connection: Connection) -> dict[str, Any]:
    """What there is, and what Alembic says there is."""
    found = inspect(connection)
    tables = {
        name: sorted(column["name"] for column in found.get_columns(name))
        + sorted(str(index["name"]) for index in found.get_indexes(name))
        for name in sorted(found.get_table_names())
        if name != "alembic_version"
    }
    return {"revision": migrate.revision_of(connection), "tables": tables}


async def look(settings: DatabaseSettings) -> dict[str, Any]:
    """`schema`, once nobody migrates any more."""
    engine = owner_engine(settings)
    try:
        async with engine.connect() as connection:
            return await connection.run_sync(schema)
    finally:
        await engine.dispose()


def _migrate_until(settings: DatabaseSettings, statement: int) -> None:
    numbers = itertools.count()

    @event.listens_for(Engine, "before_cursor_execute")
    def _count(*_: Any) -> None:
        if next(numbers) == statement:
            os.kill(os.getpid(), signal.SIGKILL)

    asyncio.run(migrate.upgrade(settings))


def main(url: str, statements: list[int]) -> None:
    settings = DatabaseSettings(url=url)
    for statement in statements:
        child = os.fork()
        if child == 0:
            _migrate_until(settings, statement)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status):
            sys.exit(f"it ended before its statement {statement}")
        print(orjson.dumps(asyncio.run(look(settings))).decode())  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1], [int(each) for each in sys.argv[2:]])
