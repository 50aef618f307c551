"""How fast models answer: texts a second by batch and length, latencies over HTTP, and what that does to submissions.

`run(folder)` needs no data.
"""

import asyncio
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path

import httpx
import numpy as np

from deployments.models import minilm
from deployments.models.encoder import Encoder
from deployments.models.minilm import Precision
from deployments.models.registry import Registry
from tests.e2e.platform import Platform

_PASSWORD = "correct horse battery"  # noqa: S105
_WORDS = ("where is my order it should have been here since yesterday", "nobody answers the phone and I am waiting")
_SPLIT = " ".join(_WORDS).split()
_SECONDS = 10.0
_MODELS_S = 120.0


def run(_data: Path) -> None:
    """Print three tables."""
    with tempfile.TemporaryDirectory(prefix="formstream-speed-") as folder:
        registry = Registry(Path(folder) / "models")
        minilm.build(registry)
        _encoding(registry)
        platform = Platform(Path(folder) / "data", FORMSTREAM_MODELS_DIR=str(Path(folder) / "models"))
        try:
            platform.start()
            asyncio.run(_over_http(platform.url))
        finally:
            platform.stop()


def _encoding(registry: Registry) -> None:
    print("texts a second, one thread:\n\ntokens | batch |   fp32 |   int8\n------ | ----- | ------ | ------")
    precisions: tuple[Precision, ...] = ("fp32", "int8")
    encoders = [Encoder(registry, precision=precision) for precision in precisions]
    for tokens in (16, 64, 256, 512):
        for batch in (1, 8, 64):
            texts = [_text(tokens - 2, seed) for seed in range(batch)]
            fp32, int8 = (_rate(encoder, texts) for encoder in encoders)
            print(f"{tokens:6} | {batch:5} | {fp32:6.0f} | {int8:6.0f}")


def _rate(encoder: Encoder, texts: Sequence[str]) -> float:
    encoder.embed(texts)
    best, end = float("inf"), time.perf_counter() + 1.0
    while time.perf_counter() < end:
        began = time.perf_counter()
        encoder.embed(texts)
        best = min(best, time.perf_counter() - began)
    return len(texts) / best


def _text(words: int, seed: int) -> str:
    return " ".join(_SPLIT[(seed + place * (seed % 5 + 1)) % len(_SPLIT)] for place in range(words))


async def _over_http(url: str) -> None:
    async with httpx.AsyncClient(base_url=url, timeout=30, limits=httpx.Limits(max_connections=None)) as client:
        user = {"email": "owner@acme.example", "password": _PASSWORD, "name": "Owner"}
        signed = await client.post("/api/v1/signup", json={"tenant": {"id": "acme", "name": "acme"}, "user": user})
        client.headers["authorization"] = f"Bearer {signed.raise_for_status().json()['access_token']}"
        await _until_models_answer(client)

        print("\none text of 20 words over HTTP, ms:\n")
        print("requests/s |    p50 |    p95 | refused\n---------- | ------ | ------ | -------")
        for rate in (1, 10, 50):
            times, refused = await _at_rate(rate, lambda place: _embed(client, [_text(20, place)]))
            print(f"{rate:10} | {_at(times, 50)} | {_at(times, 95)} | {refused:7}")

        slug = await _form(client)
        print(
            "\n20 submissions/s, ms:\n\n           |    p50 |    p99 | refused\n---------- | ------ | ------ | -------"
        )
        idle, refused = await _at_rate(20, lambda place: _submit(client, slug, place))
        print(f"idle       | {_at(idle, 50)} | {_at(idle, 99)} | {refused:7}")
        load = [asyncio.create_task(_without_end(client, seed)) for seed in range(4)]
        busy, refused = await _at_rate(20, lambda place: _submit(client, slug, place))
        for task in load:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        embedded = sum(_EMBEDDED)
        print(f"models run | {_at(busy, 50)} | {_at(busy, 99)} | {refused:7}")
        ratio = np.percentile(busy, 99) / np.percentile(idle, 99)
        print(f"\np99 while models run is {ratio:.2f} times that of idle, beside {embedded / _SECONDS:.0f} texts/s.")


_EMBEDDED: list[int] = []


async def _without_end(client: httpx.AsyncClient, seed: int) -> None:
    while True:
        if await _embed(client, [_text(20, seed + place) for place in range(64)]):
            _EMBEDDED.append(64)


async def _until_models_answer(client: httpx.AsyncClient) -> None:
    end = time.monotonic() + _MODELS_S
    while not await _embed(client, ["hello"]):
        if time.monotonic() > end:
            raise TimeoutError("the models did not answer")
        await asyncio.sleep(1)


async def _embed(client: httpx.AsyncClient, texts: Sequence[str]) -> bool:
    return (await client.post("/api/v1/ai/embed", json={"texts": list(texts)})).status_code == httpx.codes.OK


async def _form(client: httpx.AsyncClient) -> str:
    elements = [{"id": "name", "type": "short_text", "title": "Name"}]
    form = {"slug": "party", "title": "Party", "definition": {"pages": [{"id": "p1", "elements": elements}]}}
    made = (await client.post("/api/v1/forms", json=form)).raise_for_status().json()
    (await client.post(f"/api/v1/forms/{made['id']}/publish")).raise_for_status()
    return str(made["id"])


async def _submit(client: httpx.AsyncClient, form_id: str, place: int) -> bool:
    body = {"answers": {"name": f"Ada {place}"}}
    return (await client.post(f"/api/v1/forms/{form_id}/responses", json=body)).status_code == httpx.codes.CREATED


async def _at_rate(rate: int, send: Callable[[int], Awaitable[bool]]) -> tuple[list[float], int]:
    """The time of each request in seconds, begun on time whatever became of the ones before, and how many failed."""
    times: list[float] = []
    began = time.perf_counter()

    async def one(place: int) -> bool:
        await asyncio.sleep(max(0.0, began + place / rate - time.perf_counter()))
        done = await send(place)
        # From when it was due: a sender that is late must not hide that somebody waited.
        times.append(time.perf_counter() - began - place / rate)
        return done

    outcomes = await asyncio.gather(*(one(place) for place in range(int(rate * _SECONDS))))
    return times, outcomes.count(False)


def _at(times: Sequence[float], percent: int) -> str:
    if percent == 50:
        return f"{statistics.median(times) * 1000:6.1f}"
    return f"{float(np.percentile(times, percent)) * 1000:6.1f}"


if __name__ == "__main__":
    run(Path())
