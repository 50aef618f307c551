"""Z5: whatever is killed, no acknowledged submission is lost and no effect happens twice."""

import asyncio
import itertools

import httpx
import pytest

from tests.e2e.party import partying, submission
from tests.e2e.platform import Platform

SUBMISSIONS = 5000
CLIENTS = 24


async def submit_until_acknowledged(client: httpx.AsyncClient, path: str, number: int) -> str:
    """Submit under one key until the answer is 201; the response's id."""
    async with asyncio.timeout(120):
        while True:
            try:
                answer = await client.post(path, json=submission(number), headers={"Idempotency-Key": f"key-{number}"})
            except httpx.TransportError:
                await asyncio.sleep(0.05)
                continue
            if answer.status_code == 201:
                response_id: str = answer.json()["id"]
                return response_id
            assert answer.status_code in {409, 429, 502, 503, 504}, answer.text
            await asyncio.sleep(0.05)


@pytest.mark.cluster
@pytest.mark.timeout(900)
async def test_kill_9_of_every_part_loses_nothing(platform: Platform) -> None:
    """E3, E7, Z5: nats-server, the workers, the contexts and the edge are killed during 5,000 submissions."""
    kills = {
        SUBMISSIONS // 6: "nats-server",
        SUBMISSIONS * 2 // 6: "workers",
        SUBMISSIONS * 3 // 6: "core",
        SUBMISSIONS * 4 // 6: "edge",
        SUBMISSIONS * 5 // 6: "nats-server",
    }
    numbers = itertools.count()
    async with partying(platform, "faults") as party:

        async def person() -> None:
            async with platform.client() as visitor:
                while (number := next(numbers)) < SUBMISSIONS:
                    party.acknowledged[number] = await submit_until_acknowledged(visitor, party.path, number)
                    if (role := kills.pop(len(party.acknowledged), None)) is not None:
                        platform.kill(role)

        await asyncio.gather(*(person() for _ in range(CLIENTS)))
        assert not kills
        assert len(set(party.acknowledged.values())) == SUBMISSIONS
        await party.effects()
