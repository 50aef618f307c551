"""Pauses of who works in the background: while others need the processors, and never for long."""

import asyncio
import itertools
import time

import pytest
from sqlalchemy import text

from db.pause import Pause
from db.processors import Processors, Spent
from db.session import Database
from db.settings import DatabaseSettings


def processors(idle: float, own: float = 0.0) -> Processors:
    """Processors of which these shares are idle and used by this process, whenever one looks."""
    looks = itertools.count(1)

    def spent() -> Spent:
        whole = float(next(looks))
        return Spent(whole * idle, whole * own, whole)

    return Processors(itertools.count().__next__, spent)


@pytest.mark.parametrize(
    ("idle", "own", "pauses"), [(0.05, 0.0, True), (0.05, 0.4, True), (0.2, 0.0, False), (0.05, 0.5, False)]
)
async def test_scarce_processors_are_left_to_others(
    idle: float, own: float, pauses: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Z3: what the worker does costs those who wait for an answer as little as possible, and it never stops. Where
    only itself keeps them busy, there is nobody to leave them to."""
    worked = 0.0
    monkeypatch.setattr(time, "process_time", lambda: worked)
    pause = Pause(processors(idle, own))
    async with pause.kept():
        worked += 0.02
    assert (pause.left_s > 0.1) == pauses
    async with pause.kept():
        assert pause.left_s == 0
        worked += 100
    assert (pause.left_s > 0) == pauses
    assert pause.left_s <= 0.3


async def test_a_database_in_the_background_pauses_between_its_transactions(
    database_settings: DatabaseSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("db.session.Pause", lambda: Pause(processors(idle=0.05)))
    worked = 0.0
    monkeypatch.setattr(time, "process_time", lambda: worked)
    async with Database(database_settings.model_copy(update={"yields": True})) as database:
        async with database.connect(database.writer) as connection:
            await connection.execute(text("SELECT 1"))
            worked += 0.02
        ended = time.monotonic()
        async with database.connect(database.writer):
            assert time.monotonic() - ended > 0.1


async def test_no_transaction_waits_for_longer_than_one_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """Others that end meanwhile prolong the pause, but not for who waits already."""
    worked = 0.0
    monkeypatch.setattr(time, "process_time", lambda: worked)
    pause = Pause(processors(idle=0.05))
    worked += 1
    pause.begin()

    async def prolong() -> None:
        nonlocal worked
        while True:
            worked += 1
            pause.begin()
            await asyncio.sleep(0.01)

    prolonging = asyncio.create_task(prolong())
    try:
        async with asyncio.timeout(10), pause.kept():
            assert not prolonging.done()
    finally:
        prolonging.cancel()


def test_processors_are_looked_at_ten_times_a_second_at_most() -> None:
    now, spent = 0.0, Spent(0.0, 0.0, 0.0)
    looked = Processors(lambda: now, lambda: spent)
    now, spent = 0.05, Spent(0.0, 0.0, 1.0)
    assert not looked.are_scarce
    now = 0.1
    assert looked.are_scarce
    now, spent = 0.3, Spent(0.5, 0.0, 2.0)
    assert not looked.are_scarce
    now = 0.5  # Nothing was counted meanwhile.
    assert not looked.are_scarce
