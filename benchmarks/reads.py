"""Reads through the whole path: requests a second and their latencies, for what browsers and dashboards ask.

`python -m benchmarks.reads [--database sqlite|postgresql] [--responses 2000] [--seconds 4] [--connections 1 64]`
"""

import argparse
import asyncio
from collections.abc import Mapping
from typing import Any

from benchmarks.books import balance
from benchmarks.command import parser_of, run
from benchmarks.figures import Figure
from benchmarks.form import Form, OwnPlatform, running
from benchmarks.wrk import get

_AT_ONCE = 16


async def measure(database: str, given: argparse.Namespace) -> list[Figure]:
    """Measure one database and print a table."""
    with running(database) as platform:
        return await _measure_running(platform, database, given)


async def _measure_running(platform: OwnPlatform, database: str, given: argparse.Namespace) -> list[Figure]:
    form = await Form.of(platform, "bench")
    client = form.client
    gate = asyncio.Semaphore(_AT_ONCE)

    async def submit() -> str:
        async with gate:
            return await form.respond()

    ids = await asyncio.gather(*(submit() for _ in range(given.responses)))
    asked = await _questions(client, form.id, ids[-1])
    print(f"\n{database}: reads, with {given.responses:,} responses of ten fields stored")
    print("| what | connections | answered/s | p50 ms | p90 ms | p99 ms | refused | errors |")
    print("|---|---|---|---|---|---|---|---|")
    figures = []
    for what, (question, headers) in asked.items():
        for count in given.connections:
            load = await asyncio.to_thread(get, platform.url + question, headers, count, given.seconds)
            print(
                f"| {what} | {count} | {load.per_second:,.0f} | {load.p50_ms:.1f} | {load.p90_ms:.1f} |"
                f" {load.p99_ms:.1f} | {load.refused} | {load.errors} |",
                flush=True,
            )
            under = f"database={database} connections={count}"
            figures += [
                Figure(what, under, load.per_second, "1/s", more_is_better=True),
                Figure(f"{what}, p99", under, load.p99_ms, "ms"),
                Figure(f"{what}, refused or failed", under, load.refused + load.errors, "answers"),
            ]
    await balance(form)
    await client.aclose()
    return figures


async def _questions(client: Any, form_id: str, response_id: str) -> Mapping[str, tuple[str, Mapping[str, str]]]:
    """What is asked, by name: a path, and the headers that go with it."""
    owner = {"Authorization": client.headers["authorization"]}
    public = "/api/v1/public/bench/ten"
    tag = (await client.get(public)).headers["etag"]
    listed = f"/api/v1/forms/{form_id}/responses"
    asked = {
        "definition": (public, {}),
        "definition, not changed since": (public, {"If-None-Match": tag}),
        "response by id": (f"/api/v1/responses/{response_id}", owner),
        "list of 50": (f"{listed}?limit=50", owner),
        "list of 50, filtered": (f"{listed}?limit=50&filter%5Bscore%5D%5Bgte%5D=9", owner),
        "live figures": (f"/api/v2/analytics/forms/{form_id}/metrics", owner),
    }
    for question, headers in asked.values():
        answer = await client.get(question, headers=headers)
        assert answer.status_code in (200, 304), (question, answer.text)
    return asked


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--responses", type=int, default=2_000)
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--connections", type=int, nargs="+", default=[1, 64])
    run(parser, measure)


if __name__ == "__main__":
    main()
