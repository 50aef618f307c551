"""The fair, adaptive coalescer: calls to a deployment share messages when there are many, and never wait for one.

A message to another process costs about a millisecond of CPU whatever it carries. While a slot is free, what
waits leaves at the end of the current turn of the event loop; under load everything that gathers while the slots
are busy leaves as one batch, so batches grow with the load by themselves, as in group commit.
"""

import asyncio
import pickle
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeAlias

import structlog

from deployments.kit.calls import PROTOCOL, Call, Done, Outcome
from deployments.kit.errors import DeadlineExceeded, DomainError, TooManyRequests, Unavailable
from deployments.kit.sharing import Sharing

log = structlog.get_logger(__name__)

Send: TypeAlias = Callable[[bytes], Awaitable[bytes]]
"""Carries a pickled `list[Call]` to a deployment and brings its pickled `list[Outcome]`."""

# What a batch gets beyond the last deadline in it: the calls' own deadlines end first, this one only ends a hang.
_GRACE_S = 1.0
# Of what may wait: with less left, who was refused for want of room comes in again. With half of it, so many come at
# once that all who travel wait until they are read.
_ROOM = 0.875


class _Pending:
    """A call that waits or travels. `batch` is None while it waits."""

    __slots__ = ("arguments", "batch", "context", "deadline", "future", "method", "tenant_id")

    def __init__(
        self, tenant_id: str, context: str, method: str, arguments: bytes, deadline: float, future: asyncio.Future[Any]
    ) -> None:
        self.tenant_id = tenant_id
        self.context = context
        self.method = method
        self.arguments = arguments
        self.deadline = deadline
        self.future = future
        self.batch: _Batch | None = None


class _Batch:
    """Calls that travel together; `wanted` counts those whose callers still wait."""

    __slots__ = ("calls", "task", "wanted")

    def __init__(self, calls: list[_Pending]) -> None:
        self.calls = calls
        self.wanted = len(calls)
        self.task: asyncio.Task[None] | None = None


class NoRoom(DomainError):
    """Nothing more may wait. `has_room` tells whether it may again, with room for many: whoever is let in one by one
    costs as much as all who are refused in between."""

    has_room: Callable[[], bool] = staticmethod(lambda: False)


class TenantFull(NoRoom, TooManyRequests):
    """As many requests of the tenant wait as may."""


class EdgeFull(NoRoom, Unavailable):
    """As many requests wait as may."""


class Dispatcher:
    """The queue before one deployment, for calls of one kind. One per event loop.

    At most `slots` batches travel at once, each of at most `max_calls` calls and `max_bytes` of arguments (a
    larger single call travels alone). Waiting calls leave in turns over the tenants, one each, so a busy tenant
    cannot keep a quiet one waiting. Nor can it by what already travels: where several tenants call, half of the slots
    are for who has nothing on the way. At most `max_waiting` wait in all and `max_waiting_per_tenant` of one tenant.
    """

    def __init__(
        self,
        send: Send,
        *,
        slots: int = 16,
        max_calls: int = 32,
        max_bytes: int = 2 * 1024 * 1024,
        max_waiting: int = 4096,
        max_waiting_per_tenant: int = 1024,
    ) -> None:
        self._send = send
        self._slots = slots
        self._free = slots
        self._max_calls = max_calls
        self._max_bytes = max_bytes
        self._max_waiting = max_waiting
        self._max_waiting_per_tenant = max_waiting_per_tenant
        self._queues: dict[str, deque[_Pending]] = {}
        self._turns: deque[str] = deque()
        self._travelling: Counter[str] = Counter()
        self._sharing = Sharing()
        self._scheduled = False
        self.waiting = 0
        self.batches = 0
        self.calls = 0

    async def call(self, tenant_id: str, context: str, method: str, args: tuple[Any, ...], deadline_s: float) -> Any:
        """Make a call and return its value, or raise the DomainError it failed with.

        Raises TenantFull or EdgeFull at once when too many calls wait already, DeadlineExceeded after
        `deadline_s` seconds, whether the call waits or runs. When the caller is cancelled the call is taken out
        of the queue; a batch that nobody waits for any more is cancelled.
        """
        queue = self._queues.get(tenant_id)
        if queue is not None and len(queue) >= self._max_waiting_per_tenant:
            raise self._full(TenantFull("Too many requests of this tenant are waiting.", retry_after=1.0), tenant_id)
        if self.waiting >= self._max_waiting:
            raise self._full(EdgeFull("Too many requests are waiting.", retry_after=1.0), tenant_id)
        loop = asyncio.get_running_loop()
        arguments = pickle.dumps(args, PROTOCOL)
        pending = _Pending(tenant_id, context, method, arguments, loop.time() + deadline_s, loop.create_future())
        if queue is None:
            queue = self._queues[tenant_id] = deque()
            self._turns.append(tenant_id)
        queue.append(pending)
        self.waiting += 1
        if self._free and not self._scheduled:
            # Not at once but at the end of this turn of the loop: requests that arrived together leave together.
            self._scheduled = True
            loop.call_soon(self._pump)
        timer = loop.call_at(pending.deadline, _expire, pending)
        try:
            return await pending.future
        except BaseException:
            self._abandon(pending)
            raise
        finally:
            timer.cancel()

    def _full(self, error: NoRoom, tenant_id: str) -> NoRoom:
        error.has_room = partial(self._has_room, tenant_id)
        return error

    def _has_room(self, tenant_id: str) -> bool:
        mine = len(self._queues.get(tenant_id, ()))
        return mine <= _ROOM * self._max_waiting_per_tenant and self.waiting <= _ROOM * self._max_waiting

    def _pump(self) -> None:
        self._scheduled = False
        self._sharing.see(len(self._travelling.keys() | self._queues.keys()))
        while self._free and self.waiting and (calls := self._take()):
            batch = _Batch(calls)
            self._free -= 1
            self.batches += 1
            self.calls += len(calls)
            self._travelling.update({pending.tenant_id for pending in calls})
            batch.task = asyncio.get_running_loop().create_task(self._travel(batch))
            # Not a `finally` in the task: one that is cancelled before its first step never enters its `try`.
            batch.task.add_done_callback(partial(self._landed, batch))
            for pending in calls:
                pending.batch = batch

    def _take(self) -> list[_Pending]:
        taken: list[_Pending] = []
        size = 0
        passed: list[str] = []
        is_kept = self._free <= self._slots // 2 and self._sharing.is_on
        while self._turns and len(taken) < self._max_calls:
            tenant_id = self._turns[0]
            if is_kept and tenant_id in self._travelling:
                passed.append(self._turns.popleft())
                continue
            queue = self._queues[tenant_id]
            size += len(queue[0].arguments)
            if taken and size > self._max_bytes:
                break
            del self._turns[0]
            taken.append(queue.popleft())
            if queue:
                self._turns.append(tenant_id)
            else:
                del self._queues[tenant_id]
        self._turns.extendleft(reversed(passed))
        self.waiting -= len(taken)
        return taken

    async def _travel(self, batch: _Batch) -> None:
        try:
            now = asyncio.get_running_loop().time()
            last = max(pending.deadline for pending in batch.calls)
            message = [Call(p.context, p.method, p.arguments, p.deadline - now) for p in batch.calls]
            async with asyncio.timeout_at(last + _GRACE_S):
                answer = await self._send(pickle.dumps(message, PROTOCOL))
            outcomes: list[Outcome] = pickle.loads(answer)  # noqa: S301 - written by our own deployment
            for pending, outcome in zip(batch.calls, outcomes, strict=True):
                _settle(pending.future, outcome)
        except DomainError as error:
            _fail(batch, error)
        except TimeoutError:
            _fail(batch, DeadlineExceeded())
        except Exception:
            log.exception("batch failed", context=batch.calls[0].context, method=batch.calls[0].method)
            _fail(batch, DomainError())

    def _landed(self, batch: _Batch, _: asyncio.Task[None]) -> None:
        self._free += 1
        for tenant_id in {pending.tenant_id for pending in batch.calls}:
            self._travelling[tenant_id] -= 1
            if not self._travelling[tenant_id]:
                del self._travelling[tenant_id]
        self._pump()

    def _abandon(self, pending: _Pending) -> None:
        """Forget a call that failed or whose caller left."""
        batch = pending.batch
        if batch is not None:
            batch.wanted -= 1
            if not batch.wanted and batch.task is not None and not batch.task.done():
                batch.task.cancel()
            return
        queue = self._queues[pending.tenant_id]
        queue.remove(pending)
        self.waiting -= 1
        if not queue:
            del self._queues[pending.tenant_id]
            self._turns.remove(pending.tenant_id)


def _expire(pending: _Pending) -> None:
    if not pending.future.done():
        pending.future.set_exception(DeadlineExceeded())


def _settle(future: asyncio.Future[Any], outcome: Outcome) -> None:
    if future.done():
        return
    if isinstance(outcome, Done):
        future.set_result(outcome.value)
    else:
        future.set_exception(outcome.error)


def _fail(batch: _Batch, error: DomainError) -> None:
    for pending in batch.calls:
        if not pending.future.done():
            # One each: a raised exception collects the traceback of whoever it is raised in.
            own = type(error)(error.detail, faults=error.faults, retry_after=error.retry_after)
            pending.future.set_exception(own)
