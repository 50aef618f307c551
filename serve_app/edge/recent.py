"""What was asked lately: answers that hold for a moment, and questions that many share."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Recent(Generic[Value]):
    """The latest answers by key, each for `ttl_s` seconds after it was asked for, at most `capacity` of them."""

    def __init__(self, ttl_s: float, capacity: int) -> None:
        self._ttl_s = ttl_s
        self._capacity = capacity
        self._entries: OrderedDict[str, tuple[float, Value]] = OrderedDict()

    def get(self, key: str, since: float = 0.0) -> Value | None:
        """The answer, unless it is too old or was asked for before `since` (of `time.monotonic`)."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        if entry[0] < since or entry[0] + self._ttl_s < time.monotonic():
            del self._entries[key]
            return None
        return entry[1]

    def put(self, key: str, value: Value, asked_at: float) -> None:
        """Remember the answer to a question that was asked at `asked_at`."""
        # All entries live equally long, so the oldest is also the first to end.
        self._entries.pop(key, None)
        self._entries[key] = (asked_at, value)
        if len(self._entries) > self._capacity:
            self._entries.popitem(last=False)


class SingleFlight(Generic[Value]):
    """Asks each question once, for all who want its answer at the same time."""

    def __init__(self) -> None:
        self._asking: dict[str, asyncio.Task[Value]] = {}

    async def ask(self, key: str, question: Callable[[], Awaitable[Value]]) -> Value:
        """The answer; what the question raises, all who wait get."""
        task = self._asking.get(key)
        if task is None:
            task = self._asking[key] = asyncio.ensure_future(question())
            task.add_done_callback(lambda _: self._asking.pop(key, None))
        # Shielded: a client that leaves must not fail the others who wait for the same answer.
        return await asyncio.shield(task)


class Changes:
    """When each tenant last changed in a way that makes what is remembered of it wrong."""

    def __init__(self, memory_s: float) -> None:
        self._memory_s = memory_s
        self._at: OrderedDict[str, float] = OrderedDict()

    def note(self, tenant_id: str) -> None:
        """The tenant changes now."""
        now = time.monotonic()
        self._at.pop(tenant_id, None)
        self._at[tenant_id] = now
        while self._at and next(iter(self._at.values())) < now - self._memory_s:
            self._at.popitem(last=False)

    def latest(self, tenant_id: str) -> float:
        """The time (of `time.monotonic`) of its latest change, 0 when there was none lately."""
        return self._at.get(tenant_id, 0.0)
