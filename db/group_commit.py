"""Group commit: what arrives together shares one transaction and one fsync, and still stands or falls alone."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from db.errors import DatabaseUnavailable
from db.session import Database

Item = TypeVar("Item")
Result = TypeVar("Result")
Apply = Callable[[AsyncConnection, Sequence[Item]], Awaitable[Sequence[Result | Exception]]]


class GroupCommitFull(DatabaseUnavailable):
    """Too many writes wait already; try again in a moment."""


class GroupCommit(Generic[Item, Result]):
    """Commits items in groups: no timer, a group is whatever waits when the writer is free.

    `apply(connection, items)` writes the items and returns, in order, a result or an exception for each. When it
    raises a database error, every item of the group is tried again alone inside a savepoint, so one bad item never
    fails its neighbours. After each durable group the `topics` are announced to the database's listeners.
    """

    def __init__(
        self,
        database: Database,
        apply: Apply[Item, Result],
        *,
        max_group: int = 256,
        max_waiting: int = 8192,
        topics: frozenset[str] = frozenset(),
    ) -> None:
        self._database = database
        self._apply = apply
        self._max_group = max_group
        self._max_waiting = max_waiting
        self._topics = topics
        self._waiting: deque[tuple[Item, asyncio.Future[Result]]] = deque()
        self._task: asyncio.Task[None] | None = None

    async def add(self, item: Item) -> Result:
        """The item's own result, once it is durable. Raises what `apply` returned or raised for it."""
        if len(self._waiting) >= self._max_waiting:
            raise GroupCommitFull("too many writes are waiting")
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._drain())
        return await future

    async def drain(self) -> None:
        """Wait until everything that was added is answered."""
        while self._task is not None and not self._task.done():
            await asyncio.wait({self._task})

    async def _drain(self) -> None:
        while self._waiting:
            # One turn of the loop lets calls that arrived in the same batch join the same group.
            await asyncio.sleep(0)
            group: list[tuple[Item, asyncio.Future[Result]]] = []
            while self._waiting and len(group) < self._max_group:
                entry = self._waiting.popleft()
                if not entry[1].done():
                    group.append(entry)
            if group:
                await self._commit(group)

    async def _commit(self, group: list[tuple[Item, asyncio.Future[Result]]]) -> None:
        items = [item for item, _ in group]
        outcomes: Sequence[Result | Exception]
        try:
            try:
                async with self._database.connect(self._database.writer) as connection:
                    outcomes = await self._apply(connection, items)
            except DBAPIError:
                outcomes = await self._one_by_one(items)
        except Exception as error:  # noqa: BLE001 - every caller must be answered, whatever went wrong
            outcomes = [error] * len(group)
        for (_, future), outcome in zip(group, outcomes, strict=True):
            if future.done():
                continue
            if isinstance(outcome, Exception):
                future.set_exception(outcome)
            else:
                future.set_result(outcome)
        self._database.announce(self._topics)

    async def _one_by_one(self, items: Sequence[Item]) -> list[Result | Exception]:
        outcomes: list[Result | Exception] = []
        async with self._database.connect(self._database.writer) as connection:
            for item in items:
                try:
                    async with connection.begin_nested():
                        outcomes.extend(await self._apply(connection, [item]))
                except DBAPIError as error:
                    if error.connection_invalidated:
                        raise
                    outcomes.append(error)
        return outcomes
