"""D3: what arrives together shares a transaction, and every caller is answered, whatever happens."""

import asyncio
import pickle
from collections.abc import Sequence

import pytest
from sqlalchemy.exc import IntegrityError

from db.errors import DatabaseUnavailable
from db.group_commit import GroupCommit, GroupCommitFull


class Log:
    """A write that can be held up, refuses what it is told to, and keeps the groups it got."""

    def __init__(self, *bad: int) -> None:
        self.groups: list[list[int]] = []
        self.failure: Exception | None = None
        self.open = asyncio.Event()
        self.open.set()
        self.entered = asyncio.Event()
        self._bad = set(bad)

    async def write(self, items: Sequence[int]) -> list[int | Exception]:
        self.groups.append(list(items))
        self.entered.set()
        await self.open.wait()
        if self.failure is not None:
            raise self.failure
        if self._bad & set(items):
            raise IntegrityError("INSERT", {}, ValueError("duplicate"))
        return [item * 10 for item in items]


async def test_what_arrives_together_is_one_group() -> None:
    log = Log()
    commit: GroupCommit[int, int] = GroupCommit(log.write)
    assert await asyncio.gather(*(commit.add(n) for n in range(5))) == [0, 10, 20, 30, 40]
    assert log.groups == [[0, 1, 2, 3, 4]]


async def test_what_arrives_during_a_write_is_the_next_group() -> None:
    """No timer: a group is whatever waits when the writer is free."""
    log = Log()
    log.open.clear()
    commit: GroupCommit[int, int] = GroupCommit(log.write)
    first = asyncio.create_task(commit.add(0))
    await log.entered.wait()
    rest = [asyncio.create_task(commit.add(n)) for n in (1, 2, 3)]
    await asyncio.sleep(0)
    log.open.set()
    assert await asyncio.gather(first, *rest) == [0, 10, 20, 30]
    assert log.groups == [[0], [1, 2, 3]]


async def test_what_one_tenant_alone_has_is_committed_in_smaller_groups() -> None:
    log = Log()
    commit: GroupCommit[int, int] = GroupCommit(
        log.write, tenant_of=lambda item: str(item // 100), max_group=24, max_alone=2
    )
    await asyncio.gather(*(commit.add(n) for n in range(5)))
    assert [len(group) for group in log.groups] == [2, 2, 1]
    log.groups.clear()
    await asyncio.gather(*(commit.add(n) for n in (0, 1, 2, 3, 100)))
    assert sorted(log.groups[0]) == [0, 1, 2, 3, 100]


async def test_a_group_is_bounded() -> None:
    log = Log()
    commit: GroupCommit[int, int] = GroupCommit(log.write, max_group=2)
    await asyncio.gather(*(commit.add(n) for n in range(5)))
    assert log.groups == [[0, 1], [2, 3], [4]]


async def test_tenants_take_turns() -> None:
    """T6: where several have some, a sixth of a group is one's at most."""
    log = Log()
    commit: GroupCommit[int, int] = GroupCommit(log.write, tenant_of=lambda item: str(item // 100), max_group=12)
    await asyncio.gather(*(commit.add(n) for n in (*range(7), 100)))
    assert log.groups == [[0, 1, 100], [2, 3], [4, 5], [6]]


async def test_past_the_bound_a_write_is_refused_at_once() -> None:
    """Every queue has a bound; the refusal means "try again", and survives the way to the edge."""
    log = Log()
    log.open.clear()
    commit: GroupCommit[int, int] = GroupCommit(log.write, max_waiting=2)
    running = asyncio.create_task(commit.add(0))
    await log.entered.wait()
    waiting = [asyncio.create_task(commit.add(n)) for n in (1, 2)]
    await asyncio.sleep(0)
    with pytest.raises(GroupCommitFull) as caught:
        await commit.add(3)
    assert isinstance(pickle.loads(pickle.dumps(caught.value)), DatabaseUnavailable)  # noqa: S301
    log.open.set()
    assert await asyncio.gather(running, *waiting) == [0, 10, 20]
    assert await commit.add(4) == 40


async def test_a_bad_item_fails_alone() -> None:
    log = Log(2)
    commit: GroupCommit[int, int] = GroupCommit(log.write)
    results = await asyncio.gather(*(commit.add(n) for n in range(4)), return_exceptions=True)
    assert [result for result in results if isinstance(result, int)] == [0, 10, 30]
    assert isinstance(results[2], IntegrityError)
    assert log.groups[0] == [0, 1, 2, 3]


async def test_an_item_may_be_answered_with_an_exception_of_its_own() -> None:
    async def write(items: Sequence[int]) -> list[int | Exception]:
        return [ValueError(item) if item % 2 else item for item in items]

    commit: GroupCommit[int, int] = GroupCommit(write)
    even, odd = await asyncio.gather(commit.add(2), commit.add(3), return_exceptions=True)
    assert even == 2
    assert isinstance(odd, ValueError)


async def test_a_database_that_is_away_is_told_to_everybody_and_the_next_group_is_tried() -> None:
    log = Log()
    log.failure = DatabaseUnavailable("away")
    commit: GroupCommit[int, int] = GroupCommit(log.write)
    results = await asyncio.gather(*(commit.add(n) for n in range(3)), return_exceptions=True)
    assert [type(result) for result in results] == [DatabaseUnavailable] * 3
    assert log.groups == [[0, 1, 2]]
    log.failure = None
    assert await commit.add(7) == 70


async def test_a_caller_that_leaves_harms_nobody() -> None:
    """One that left before the write is not written; one that leaves during it does not break the group."""
    log = Log()
    log.open.clear()
    commit: GroupCommit[int, int] = GroupCommit(log.write)
    during = asyncio.create_task(commit.add(0))
    await log.entered.wait()
    before, stays = asyncio.create_task(commit.add(1)), asyncio.create_task(commit.add(2))
    await asyncio.sleep(0)
    for leaving in (during, before):
        leaving.cancel()
    await asyncio.wait({during, before})
    log.open.set()
    assert await stays == 20
    assert log.groups == [[0], [2]]


async def test_drain_waits_for_what_was_taken() -> None:
    log = Log()
    log.open.clear()
    commit: GroupCommit[int, int] = GroupCommit(log.write)
    await commit.drain()
    task = asyncio.create_task(commit.add(1))
    await log.entered.wait()
    draining = asyncio.create_task(commit.drain())
    await asyncio.sleep(0)
    assert not draining.done()
    log.open.set()
    await draining
    assert task.done()
    assert await task == 10
