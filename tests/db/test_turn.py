"""Turns to write: one at a time over all processes, none lost, and those in the background leave room."""

import asyncio
import fcntl
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest

from db.errors import DatabaseUnavailable
from db.pause import Pause
from db.turn import WritersTurn
from tests.db.test_pause import processors


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "turn"


@pytest.fixture
async def turn(path: Path) -> AsyncIterator[WritersTurn]:
    turn = WritersTurn(path, 5.0)
    yield turn
    turn.close()


@pytest.fixture
def other(path: Path) -> Iterator[IO[bytes]]:
    """The file as another process has it."""
    with path.open("wb") as file:
        yield file


@contextmanager
def _held(file: IO[bytes]) -> Iterator[None]:
    fcntl.flock(file, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(file, fcntl.LOCK_UN)


def _is_free(file: IO[bytes]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    fcntl.flock(file, fcntl.LOCK_UN)
    return True


async def test_nobody_else_writes_in_a_turn_until_it_is_ended(turn: WritersTurn, other: IO[bytes]) -> None:
    async with turn.taken():
        assert not _is_free(other)
        turn.end()
        assert _is_free(other)
    async with turn.taken():
        assert not _is_free(other)
    assert _is_free(other)


async def test_a_turn_that_does_not_come_is_refused_and_not_taken_later(path: Path, other: IO[bytes]) -> None:
    turn = WritersTurn(path, 0.05)
    try:
        with _held(other):
            for _ in range(3):
                with pytest.raises(DatabaseUnavailable):
                    async with turn.taken():
                        pass
        with ThreadPoolExecutor(1) as thread:
            # Each wait that was given up has had the lock, or never will.
            await asyncio.wait_for(asyncio.get_running_loop().run_in_executor(thread, lambda: _taken(other)), 5)
        async with turn.taken():
            assert not _is_free(other)
        assert _is_free(other)
    finally:
        turn.close()


def _taken(file: IO[bytes]) -> None:
    with _held(file):
        pass


async def test_a_wait_that_was_given_up_takes_the_lock_from_nobody(turn: WritersTurn, other: IO[bytes]) -> None:
    """The thread that waited for who left gets the lock when the next one asks for it, from the same process."""

    async def write() -> None:
        async with turn.taken():
            pass

    with _held(other):
        left = asyncio.create_task(write())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        left.cancel()
        await asyncio.gather(left, return_exceptions=True)
        entered, leave = asyncio.Event(), asyncio.Event()

        async def hold() -> None:
            async with turn.taken():
                entered.set()
                await leave.wait()

        holder = asyncio.create_task(hold())
        await asyncio.sleep(0)
    await asyncio.wait_for(entered.wait(), 5)
    assert not _is_free(other)
    leave.set()
    await holder
    assert _is_free(other)


async def test_who_yields_leaves_room_after_a_turn_that_it_waited_for(path: Path, other: IO[bytes]) -> None:
    turn = WritersTurn(path, 5.0, Pause(processors(idle=0.5)))
    try:
        fcntl.flock(other, fcntl.LOCK_EX)
        asyncio.get_running_loop().call_later(0.02, fcntl.flock, other, fcntl.LOCK_UN)
        async with turn.taken():
            await asyncio.sleep(0.1)
        assert turn.rest_s > 0.1
        async with turn.taken():
            # It came after the rest, and nobody else wrote meanwhile.
            assert turn.rest_s == 0
        assert turn.rest_s == 0
    finally:
        turn.close()


async def test_who_yields_pauses_between_its_turns(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    worked = 0.0
    monkeypatch.setattr(time, "process_time", lambda: worked)
    turn = WritersTurn(path, 5.0, Pause(processors(idle=0.05)))
    try:
        async with turn.taken():
            worked += 0.02
        assert turn.rest_s > 0.1
        async with turn.taken():
            assert turn.rest_s == 0
    finally:
        turn.close()
