"""What a command does on the database."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from db.session import Database
from db.settings import DatabaseSettings

Result = TypeVar("Result")


def on_database(settings: DatabaseSettings, work: Callable[[Database], Awaitable[Result]]) -> Result:
    """The result of the work, on a database that is open for as long as it takes. Raises what the work raises."""

    async def run() -> Result:
        async with Database(settings) as database:
            return await work(database)

    return asyncio.run(run())
