"""A1, A5: models that are killed while they compute."""

import asyncio
from typing import Any

import httpx
import psutil
import pytest

from tests.e2e.platform import Platform

TEXTS = [f"Where is my order {number}?" for number in range(120)]

# Twice the 256 that are looked at together, and long enough for each batch to take seconds.
COMMENTS = [" ".join([f"Order {number} came late and nobody answers."] * 12) for number in range(512)]
FORM = {
    "slug": "comments",
    "title": "Comments",
    "definition": {"pages": [{"id": "p", "elements": [{"id": "comment", "type": "long_text", "title": "Comment"}]}]},
}
AI = {"classify": [{"head": "sentiment", "fields": ["comment"]}], "embed": {"fields": ["comment"]}}


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


async def _progress(client: httpx.AsyncClient, form: str) -> dict[str, Any]:
    answer = await client.get(f"{form}/enrichment")
    assert answer.status_code == 200, answer.text
    progress: dict[str, Any] = answer.json()
    return progress


async def _commented(client: httpx.AsyncClient) -> tuple[str, list[str]]:
    """A form at which nobody looks yet, and the ids of its responses."""
    created = await client.post("/api/v1/forms", json=FORM)
    assert created.status_code == 201, created.text
    form = f"/api/v1/forms/{created.json()['id']}"
    assert (await client.post(f"{form}/publish")).status_code == 200
    places = asyncio.Semaphore(16)

    async def submitted(comment: str) -> str:
        async with places:
            answer = await client.post(f"{form}/responses", json={"answers": {"comment": comment}})
        assert answer.status_code == 201, answer.text
        response_id: str = answer.json()["id"]
        return response_id

    return form, await asyncio.gather(*map(submitted, COMMENTS))


async def _told(client: httpx.AsyncClient) -> list[dict[str, Any]]:
    """Every `inference.completed` of the tenant."""
    events: list[dict[str, Any]] = []
    query = {"type": "inference.completed", "limit": "100"}
    while True:
        page = await client.get("/api/v1/events", params=query)
        assert page.status_code == 200, page.text
        events += page.json()["data"]
        following = page.json()["meta"]["next_cursor"]
        if following is None:
            return events
        query["cursor"] = following


@pytest.mark.cluster
@pytest.mark.timeout(300)
async def test_kill_9_in_mid_batch_leaves_each_response_enriched_once(platform: Platform) -> None:
    """A5: the replica dies with half of the responses looked at and others before it; each is told of once."""
    async with await platform.sign_up("enriched") as client, asyncio.timeout(240):
        form, submitted = await _commented(client)
        assert (await client.patch(form, json={"settings": {"ai": AI}})).status_code == 200
        assert (await client.post(f"{form}/enrichment")).status_code == 202
        while (await _progress(client, form))["done"] < 256:
            await asyncio.sleep(0.05)
        models = platform.find("models")
        await _computes(models)
        models.kill()
        assert (await _progress(client, form))["done"] < len(submitted)
        while (progress := await _progress(client, form))["done"] < len(submitted):
            assert not progress["failed"], progress["errors"]
            await asyncio.sleep(0.2)
        assert platform.find("models").pid != models.pid
        assert {each["name"]: each["answers"] for each in progress["versions"]} == dict.fromkeys(
            ("sentiment", "vector"), len(submitted)
        )
        assert sorted(event["entity_id"] for event in await _told(client)) == sorted(submitted)


async def _computes(process: psutil.Process) -> None:
    """Wait until it has worked for a tenth of a second more."""
    began = process.cpu_times().user
    while process.cpu_times().user < began + 0.1:
        await asyncio.sleep(0.01)
