"""Group commit: what arrives together shares one transaction and one fsync, and still stands or falls alone."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from sqlalchemy.exc import DBAPIError

from db.errors import DatabaseUnavailable
from db.sharing import Sharing

Item = TypeVar("Item")
Result = TypeVar("Result")
_Entry = tuple[Item, asyncio.Future[Result], Any]
Write = Callable[[Sequence[Item]], Awaitable[Sequence[Result | Exception]]]


class GroupCommitFull(DatabaseUnavailable):
    """Too many writes wait already; try again in a moment."""


class Watch(Protocol):
    """Sees who shares a commit. One for the process, set where traces are on."""

    def joins(self) -> Any:
        """What names the caller that adds an item now."""
        ...

    def commits(self, callers: Sequence[Any]) -> AbstractContextManager[None]:
        """Entered around the transaction of these callers' items."""
        ...


class GroupCommit(Generic[Item, Result]):
    """Commits items in groups: no timer, a group is whatever waits when the writer is free.

    `write(items)` stores the items in one transaction and returns, once it is durable, a result or an exception for
    each, in order. When it raises a database error, every item of the group is written again alone, so one bad item
    never fails its neighbours. With `tenant_of` the tenants take turns, and where several have some, no group is mostly
    one's. A group of one tenant alone has `max_alone` at most.
    """

    watch: ClassVar[Watch | None] = None

    def __init__(
        self,
        write: Write[Item, Result],
        *,
        tenant_of: Callable[[Item], str] | None = None,
        max_group: int = 256,
        max_alone: int | None = None,
        max_waiting: int = 8192,
    ) -> None:
        self._write = write
        self._tenant_of = tenant_of
        self._max_group = max_group
        self._max_alone = max_alone or max_group
        self._max_waiting = max_waiting
        self._waiting = 0
        self._lines: dict[str, deque[_Entry[Item, Result]]] = {}
        self._sharing = Sharing()
        self._task: asyncio.Task[None] | None = None

    async def add(self, item: Item) -> Result:
        """The item's own result, once it is durable. Raises what `write` returned or raised for it."""
        if self._waiting >= self._max_waiting:
            raise GroupCommitFull("too many writes are waiting")
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        line = self._lines.setdefault("" if self._tenant_of is None else self._tenant_of(item), deque())
        line.append((item, future, self.watch and self.watch.joins()))
        self._waiting += 1
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
            if group := self._next():
                await self._commit(group)

    def _next(self) -> list[_Entry[Item, Result]]:
        self._sharing.see(len(self._lines))
        share = self._sharing.share(self._max_group, len(self._lines)) if self._sharing.is_on else self._max_alone
        group: list[_Entry[Item, Result]] = []
        for tenant in list(self._lines)[: self._max_group]:
            line = self._lines.pop(tenant)
            taken = [line.popleft() for _ in range(min(share, len(line)))]
            self._waiting -= len(taken)
            group += (entry for entry in taken if not entry[1].done())
            if line:
                self._lines[tenant] = line  # behind the others, whose turn is next
        return group

    async def _commit(self, group: list[_Entry[Item, Result]]) -> None:
        with nullcontext() if self.watch is None else self.watch.commits([caller for *_, caller in group]):
            outcomes = await self._outcomes([item for item, *_ in group])
        for (_, future, _), outcome in zip(group, outcomes, strict=True):
            if future.done():
                continue
            if isinstance(outcome, Exception):
                future.set_exception(outcome)
            else:
                future.set_result(outcome)

    async def _outcomes(self, items: Sequence[Item]) -> Sequence[Result | Exception]:
        try:
            return await self._write(items)
        except DBAPIError as error:
            if len(items) == 1:
                return [error]
            return [outcome for item in items for outcome in await self._outcomes([item])]
        except Exception as error:  # noqa: BLE001 - every caller must be answered, whatever went wrong
            return [error] * len(items)
