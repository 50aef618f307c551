"""Dispatcher: batches, turns, bounds, deadlines, callers that leave."""

import asyncio
import pickle
from typing import Any

import pytest

from deployments.kit.calls import Call, Done, Failed
from deployments.kit.errors import Conflict, DeadlineExceeded, DomainError, TooManyRequests, Unavailable
from serve_app.edge.dispatch import Dispatcher, NoRoom


class Replica:
    """The far end: keeps each batch until it is let go."""

    def __init__(self) -> None:
        self.batches: list[list[Call]] = []
        self.arrived = asyncio.Event()
        self.gate = asyncio.Event()
        self.cancelled = 0
        self.failure: Exception | None = None

    async def send(self, batch: bytes) -> bytes:
        calls: list[Call] = pickle.loads(batch)  # noqa: S301
        self.batches.append(calls)
        self.arrived.set()
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.failure is not None:
            raise self.failure
        return pickle.dumps([Done(pickle.loads(call.arguments)) for call in calls])  # noqa: S301

    def tags(self) -> list[list[Any]]:
        return [[pickle.loads(call.arguments)[0] for call in batch] for batch in self.batches]  # noqa: S301


async def _settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def _call(dispatcher: Dispatcher, tenant: str, tag: Any, deadline_s: float = 5.0) -> asyncio.Task[Any]:
    return asyncio.create_task(dispatcher.call(tenant, "forms", "get", (tag,), deadline_s))


async def test_a_call_leaves_at_once_when_a_slot_is_free() -> None:
    replica = Replica()
    replica.gate.set()
    assert await Dispatcher(replica.send).call("acme", "forms", "get", ("frm_1", 2), 1.0) == ("frm_1", 2)
    [[call]] = replica.batches
    assert (call.context, call.method) == ("forms", "get")
    assert 0.9 < call.timeout_s <= 1.0


async def test_what_gathers_while_the_slots_are_busy_leaves_as_one_batch() -> None:
    replica = Replica()
    dispatcher = Dispatcher(replica.send, slots=1)
    first = _call(dispatcher, "acme", "first")
    await _settled()
    rest = [_call(dispatcher, "acme", n) for n in range(5)]
    await _settled()
    assert dispatcher.waiting == 5
    replica.gate.set()
    await asyncio.gather(first, *rest)
    assert replica.tags() == [["first"], [0, 1, 2, 3, 4]]
    assert (dispatcher.batches, dispatcher.calls, dispatcher.waiting) == (2, 6, 0)


async def test_calls_of_one_moment_leave_together() -> None:
    replica = Replica()
    replica.gate.set()
    dispatcher = Dispatcher(replica.send)
    await asyncio.gather(*(dispatcher.call("acme", "forms", "get", (n,), 1.0) for n in range(10)))
    assert replica.tags() == [list(range(10))]


async def test_tenants_take_turns() -> None:
    """T: a tenant with many waiting calls does not keep another's single call waiting."""
    replica = Replica()
    dispatcher = Dispatcher(replica.send, slots=1, max_calls=4)
    tasks = [_call(dispatcher, "x", "first")]
    await _settled()
    tasks += [_call(dispatcher, "noisy", f"noisy{n}") for n in range(6)]
    tasks += [_call(dispatcher, "quiet", "quiet"), _call(dispatcher, "calm", "calm")]
    await _settled()
    replica.gate.set()
    await asyncio.gather(*tasks)
    assert replica.tags()[1] == ["noisy0", "quiet", "calm", "noisy1"]
    assert replica.tags()[2] == ["noisy2", "noisy3", "noisy4", "noisy5"]


async def test_what_travels_keeps_nobody_waiting() -> None:
    """T6: where others call too, half of the slots are for who has nothing on the way."""
    replica = Replica()
    dispatcher = Dispatcher(replica.send, slots=3, max_calls=64)
    tasks = [_call(dispatcher, "noisy", "alone"), _call(dispatcher, "quiet", "shares")]
    await _settled()
    tasks += [_call(dispatcher, "noisy", f"noisy{n}") for n in range(100)]
    await _settled()
    assert [len(tags) for tags in replica.tags()] == [2, 64]
    tasks += [_call(dispatcher, "calm", "calm")]
    await _settled()
    assert replica.tags()[2] == ["calm"]
    replica.gate.set()
    await asyncio.gather(*tasks)
    assert [len(tags) for tags in replica.tags()[3:]] == [36]


async def test_half_of_the_slots_are_not_for_who_travels_already() -> None:
    """T6: a flood takes the other half and no more, while another tenant asks now and then."""
    replica = Replica()
    dispatcher = Dispatcher(replica.send, slots=6, max_calls=2)
    tasks = [_call(dispatcher, "noisy", "first"), _call(dispatcher, "quiet", "first")]
    await _settled()
    tasks += [_call(dispatcher, "noisy", n) for n in range(20)]
    await _settled()
    assert len(replica.tags()) == 3
    for tenant in ("calm", "rare", "late"):
        tasks.append(_call(dispatcher, tenant, tenant))
        await _settled()
    assert replica.tags()[3:] == [["calm"], ["rare"], ["late"]]
    replica.gate.set()
    await asyncio.gather(*tasks)


async def test_batches_are_bounded_in_bytes_and_a_larger_call_travels_alone() -> None:
    replica = Replica()
    dispatcher = Dispatcher(replica.send, slots=1, max_bytes=1000)
    tasks = [_call(dispatcher, "x", "first")]
    await _settled()
    tasks += [_call(dispatcher, "acme", "a" * size) for size in (400, 400, 400, 5000, 10)]
    await _settled()
    replica.gate.set()
    await asyncio.gather(*tasks)
    assert [[len(tag) for tag in batch] for batch in replica.tags()[1:]] == [[400, 400], [400], [5000], [10]]


async def test_a_full_queue_refuses_at_once() -> None:
    replica = Replica()
    dispatcher = Dispatcher(replica.send, slots=1, max_waiting=3, max_waiting_per_tenant=2)
    tasks = [_call(dispatcher, "x", "first")]
    await _settled()
    tasks += [_call(dispatcher, "noisy", n) for n in range(2)]
    await _settled()
    with pytest.raises(TooManyRequests) as own:
        await dispatcher.call("noisy", "forms", "get", (), 1.0)
    tasks.append(_call(dispatcher, "quiet", 0))
    await _settled()
    with pytest.raises(Unavailable) as all_of_them:
        await dispatcher.call("calm", "forms", "get", (), 1.0)
    assert own.value.retry_after
    assert all_of_them.value.retry_after
    replica.gate.set()
    await asyncio.gather(*tasks)


async def test_who_was_refused_is_told_when_there_is_room_for_many() -> None:
    """Z3: by then many may come in at once, and who is refused meanwhile costs nothing."""
    replica = Replica()
    dispatcher = Dispatcher(replica.send, slots=1, max_calls=1, max_waiting=16, max_waiting_per_tenant=8)
    travelling = _call(dispatcher, "noisy", "first")
    await _settled()
    tasks = [_call(dispatcher, "noisy", n) for n in range(8)]
    await _settled()
    with pytest.raises(NoRoom) as own:
        await dispatcher.call("noisy", "forms", "get", (), 1.0)
    others = [_call(dispatcher, "quiet", n) for n in range(8)]
    await _settled()
    with pytest.raises(NoRoom) as anybodys:
        await dispatcher.call("calm", "forms", "get", (), 1.0)
    assert not own.value.has_room()
    tasks.pop().cancel()
    await _settled()
    assert not own.value.has_room()  # what is free is not theirs alone
    assert not anybodys.value.has_room()
    others.pop().cancel()
    await _settled()
    assert own.value.has_room()
    assert anybodys.value.has_room()
    replica.gate.set()
    await asyncio.gather(travelling, *tasks, *others)


async def test_each_call_of_a_batch_has_its_own_outcome() -> None:
    async def send(batch: bytes) -> bytes:
        assert len(pickle.loads(batch)) == 3  # noqa: S301
        return pickle.dumps([Done(1), Failed(Conflict("taken")), Done(3)])

    dispatcher = Dispatcher(send)
    calls = (dispatcher.call("acme", "forms", "get", (n,), 1.0) for n in range(3))
    one, two, three = await asyncio.gather(*calls, return_exceptions=True)
    assert (one, three) == (1, 3)
    assert isinstance(two, Conflict)
    assert two.detail == "taken"


async def test_an_overdue_call_ends_whether_it_waits_or_travels() -> None:
    replica = Replica()
    dispatcher = Dispatcher(replica.send, slots=1)
    travelling = _call(dispatcher, "acme", "travelling", deadline_s=0.02)
    await _settled()
    waiting = _call(dispatcher, "acme", "waiting", deadline_s=0.01)
    with pytest.raises(DeadlineExceeded):
        await waiting
    assert dispatcher.waiting == 0
    with pytest.raises(DeadlineExceeded):
        await travelling
    await _settled()
    assert replica.cancelled == 1, "nobody waits for the batch any more"
    replica.gate.set()
    assert await dispatcher.call("acme", "forms", "get", ("next",), 1.0) == ("next",), "the slot is free again"
    assert ["waiting"] not in replica.tags()


async def test_a_caller_that_leaves_is_taken_out_of_the_queue() -> None:
    replica = Replica()
    dispatcher = Dispatcher(replica.send, slots=1)
    first = _call(dispatcher, "acme", "first")
    await _settled()
    left, stayed = _call(dispatcher, "acme", "left"), _call(dispatcher, "acme", "stayed")
    await _settled()
    left.cancel()
    await _settled()
    assert dispatcher.waiting == 1
    replica.gate.set()
    await asyncio.gather(first, stayed)
    assert replica.tags() == [["first"], ["stayed"]]


async def test_a_batch_is_cancelled_only_when_every_caller_has_left() -> None:
    replica = Replica()
    dispatcher = Dispatcher(replica.send, slots=1)
    one, two = _call(dispatcher, "acme", 1), _call(dispatcher, "acme", 2)
    await _settled()
    one.cancel()
    await _settled()
    assert replica.cancelled == 0
    two.cancel()
    await _settled()
    assert replica.cancelled == 1
    assert len(replica.batches) == 1


async def test_a_slot_survives_a_batch_that_is_cancelled_before_it_starts() -> None:
    replica = Replica()
    replica.gate.set()
    dispatcher = Dispatcher(replica.send, slots=1)
    task = _call(dispatcher, "acme", "gone")
    while not dispatcher.batches:
        await asyncio.sleep(0)
    task.cancel()
    await _settled()
    assert await asyncio.wait_for(dispatcher.call("acme", "forms", "get", ("next",), 1.0), 1.0) == ("next",)


@pytest.mark.parametrize("failure", [Unavailable("gone", retry_after=2.0), ValueError("a defect")])
async def test_a_batch_that_fails_fails_each_call_with_an_error_of_its_own(failure: Exception) -> None:
    replica = Replica()
    replica.gate.set()
    replica.failure = failure
    dispatcher = Dispatcher(replica.send)
    calls = (dispatcher.call("acme", "forms", "get", (n,), 1.0) for n in range(2))
    one, two = await asyncio.gather(*calls, return_exceptions=True)
    assert isinstance(one, DomainError)
    assert isinstance(two, DomainError)
    assert one is not two
    if isinstance(failure, Unavailable):
        assert (one.status, one.retry_after) == (503, 2.0)
    else:
        assert one.status == 500
        assert "defect" not in one.detail
