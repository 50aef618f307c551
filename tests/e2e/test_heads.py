"""Ray's head and its raylet take the platform with them; whoever starts it again finds everything.

Each start takes half a minute, so `make test-faults` runs this and `make test` does not.
"""

import asyncio
import itertools
import subprocess
from pathlib import Path

import psutil
import pytest

from tests.e2e.party import partying
from tests.e2e.platform import Platform
from tests.e2e.test_faults import submit_until_acknowledged


async def restarted_until(platform: Platform, is_over: asyncio.Event) -> list[int]:
    """What a supervisor does: starts the platform again whenever it ended; the exit codes."""
    codes = []
    while not is_over.is_set():
        try:
            codes.append(await asyncio.to_thread(platform.wait, 1.0))
        except subprocess.TimeoutExpired:
            continue
        await asyncio.to_thread(platform.start)
    return codes


@pytest.mark.cluster
@pytest.mark.timeout(900)
async def test_kill_9_of_rays_head_loses_nothing(tmp_path: Path) -> None:
    """E7, Z5: without its head or its raylet the platform ends by itself, and goes on when it is started again."""
    kills = {100: "gcs_server", 200: "raylet"}
    numbers = itertools.count()
    is_over = asyncio.Event()
    platform = Platform(tmp_path / "data")
    await asyncio.to_thread(platform.start)
    try:
        async with partying(platform, "heads") as party, asyncio.TaskGroup() as group:
            supervisor = group.create_task(restarted_until(platform, is_over))

            async def person() -> None:
                async with platform.client() as visitor:
                    while (number := next(numbers)) < 300:
                        party.acknowledged[number] = await submit_until_acknowledged(visitor, party.path, number)
                        if (role := kills.pop(len(party.acknowledged), None)) is not None:
                            started = {process.pid for process in platform.processes()}
                            platform.kill(role)
                            await all_ended(started)

            await asyncio.gather(*(person() for _ in range(8)))
            is_over.set()
            assert [code != 0 for code in await supervisor] == [True, True]
            assert len(set(party.acknowledged.values())) == 300
            await party.effects()
    finally:
        await asyncio.to_thread(platform.stop)


async def all_ended(pids: set[int]) -> None:
    """Nothing of what was started stays behind."""
    async with asyncio.timeout(120):
        while any(psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE for pid in pids):
            await asyncio.sleep(0.1)
