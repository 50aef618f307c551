"""Answers enriched end to end: texts a second and memory, and what submitting costs meanwhile.

`python -m benchmarks.ai.enrichment DATA [--rows 100000] [--database sqlite|postgresql] [--head sentiment]`

A running platform gets the texts of Banking77, repeated with variation, by its public operation; models keep the
direction of each, and with `--head` a label too. The time runs from the first submission to the last vector.
Submissions are measured before, and while the work is going on, by one connection and by sixteen.
"""

import argparse
import asyncio
import contextlib
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from benchmarks.ai.texts import banking_texts, varied
from benchmarks.databases import database_url
from benchmarks.machine import describe
from benchmarks.wrk import Load, post
from deployments.models import minilm
from deployments.models.registry import Registry
from tests.e2e.platform import Platform

_AT_ONCE = 32
_CONNECTIONS = (1, 16)
_DEFINITION = {"pages": [{"id": "p", "elements": [{"id": "comment", "type": "long_text", "title": "Comment"}]}]}
_LOOK_S = 2.0
_GIVE_UP_S = 120.0


def run(
    data: Path, rows: int = 100_000, database: str = "sqlite", heads: tuple[str, ...] = (), seconds: int = 10
) -> None:
    """Measure and print tables."""
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        database_url(database, Path(folder)) as url,
    ):
        minilm.build(Registry(Path(folder) / "models"))
        environment = {"FORMSTREAM_DATABASE_URL": url, "FORMSTREAM_MODELS_DIR": str(Path(folder) / "models")}
        platform = Platform(Path(folder) / "data", **environment).start()
        try:
            asyncio.run(_measure(platform, banking_texts(data), rows, heads, seconds))
        finally:
            platform.stop()


async def _measure(platform: Platform, texts: list[str], rows: int, heads: tuple[str, ...], seconds: int) -> None:
    client = await platform.sign_up("bench")
    limits = {"settings": {"max_responses_per_form": 10 * rows + 10_000_000}}
    await client.patch("/api/v1/tenants/bench", json=limits)
    plain = await _form(client, "plain", None)
    wanted: dict[str, Any] = {"embed": {"fields": ["comment"]}}
    if heads:
        wanted["classify"] = [{"head": head, "fields": ["comment"]} for head in heads]
    form = await _form(client, "judged", wanted)
    credential = client.headers["authorization"].removeprefix("Bearer ")
    url, body = f"{platform.url}/api/v1/forms/{plain}/responses", {"answers": {"comment": texts[0]}}
    post(url, body, credential, 16, 2)
    print("| submissions | connections | stored/s | p50 ms | p99 ms |\n|---|---|---|---|---|")
    for connections in _CONNECTIONS:
        _print("idle", post(url, body, credential, connections, seconds))
    before, began = _memory(platform), time.monotonic()
    await _submit(client, f"/api/v1/forms/{form}/responses", list(varied(texts, rows)))
    submitted = time.monotonic() - began
    most = _memory(platform)
    for connections in _CONNECTIONS:
        if await _enriched(client, form) < rows:
            load = await asyncio.to_thread(post, url, body, credential, connections, seconds)
            _print("meanwhile", load)
            most = max(most, _memory(platform))
    done, moved = await _enriched(client, form), time.monotonic()
    while done < rows:
        await asyncio.sleep(_LOOK_S)
        most = max(most, _memory(platform))
        now = await _enriched(client, form)
        if now > done:
            done, moved = now, time.monotonic()
        elif time.monotonic() - moved > _GIVE_UP_S:
            raise AssertionError(f"only {done} of {rows} were enriched")
    took = time.monotonic() - began
    print(
        f"\n{rows:,} answers submitted in {submitted:.0f} s and enriched after {took:.0f} s: {rows / took:,.0f} texts/s"
    )
    print(f"memory of all processes: {before:,.0f} MiB before, at most {most:,.0f} MiB")
    await client.aclose()


async def _form(client: Any, slug: str, ai: dict[str, Any] | None) -> str:
    form = {"slug": slug, "title": slug, "definition": _DEFINITION, "settings": {"ai": ai}}
    answer = await client.post("/api/v1/forms", json=form)
    assert answer.status_code == 201, answer.text
    form_id: str = answer.json()["id"]
    assert (await client.post(f"/api/v1/forms/{form_id}/publish")).status_code == 200
    return form_id


async def _submit(client: Any, path: str, texts: list[str]) -> None:
    waiting: Iterator[str] = iter(texts)

    async def one_after_the_other() -> None:
        for text in waiting:
            answer = await client.post(path, json={"answers": {"comment": text}})
            while answer.status_code in (429, 503):
                await asyncio.sleep(float(answer.headers.get("retry-after", 1)))
                answer = await client.post(path, json={"answers": {"comment": text}})
            assert answer.status_code == 201, answer.text

    await asyncio.gather(*(one_after_the_other() for _ in range(_AT_ONCE)))


async def _enriched(client: Any, form_id: str) -> int:
    answer = (await client.get(f"/api/v1/forms/{form_id}/enrichment")).json()
    return sum(each["answers"] for each in answer["versions"] if each["name"] == "vector")


def _print(when: str, load: Load) -> None:
    print(
        f"| {when} | {load.connections} | {load.per_second:,.0f} | {load.p50_ms:.1f} | {load.p99_ms:.1f} |", flush=True
    )


def _memory(platform: Platform) -> float:
    total = 0.0
    for process in [psutil.Process(platform.pid), *platform.processes()]:
        with contextlib.suppress(psutil.Error):
            total += process.memory_info().rss / 2**20
    return total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--head", action="append", default=[], help="A built-in head that judges each text too.")
    parser.add_argument("--seconds", type=int, default=10)
    arguments = parser.parse_args()
    print(describe(), flush=True)
    run(arguments.data, arguments.rows, arguments.database, tuple(arguments.head), arguments.seconds)


if __name__ == "__main__":
    main()
