"""A1: models that are killed while they compute."""

import asyncio

import httpx
import pytest

from tests.e2e.platform import Platform

TEXTS = [f"Where is my order {number}?" for number in range(120)]


async def _embedded(client: httpx.AsyncClient) -> list[list[float]]:
    """The vectors, once somebody answers."""
    async with asyncio.timeout(120):
        while True:
            answer = await client.post("/api/v1/ai/embed", json={"texts": TEXTS})
            if answer.status_code == 200:
                vectors: list[list[float]] = answer.json()["vectors"]
                return vectors
            assert answer.status_code == 503, answer.text
            assert int(answer.headers["retry-after"]) >= 1
            await asyncio.sleep(0.2)


@pytest.mark.cluster
@pytest.mark.timeout(300)
async def test_kill_9_in_mid_batch_loses_no_answer(platform: Platform) -> None:
    """A1: whoever waits gets the vectors of its own texts, from the next replica."""
    async with platform.client() as client:
        owner = {"email": "owner@models.example", "password": "correct horse battery", "name": "Owner"}
        made = await client.post("/api/v1/signup", json={"tenant": {"id": "models", "name": "models"}, "user": owner})
        client.headers["authorization"] = f"Bearer {made.json()['access_token']}"
        whole = await _embedded(client)
        asked = [asyncio.create_task(_embedded(client)) for _ in range(6)]
        await asyncio.sleep(0.1)
        assert not any(task.done() for task in asked)
        killed = platform.kill("models")
        for vectors in await asyncio.gather(*asked):
            # Texts of other calls beside them change the order of sums, and nothing else.
            assert all(
                sum(a * b for a, b in zip(one, other, strict=True)) > 0.999
                for one, other in zip(vectors, whole, strict=True)
            )
        assert platform.find("models").pid != killed
