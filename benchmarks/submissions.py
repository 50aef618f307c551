"""Durable submissions through the whole path, start time, commit-to-consumer latency and memory.

`python -m benchmarks.submissions [--database sqlite|postgresql] [--seconds 8] [--connections 1 16 64 256] [--out FILE]`
"""

import argparse
import asyncio
import statistics
import time
from collections.abc import Mapping
from typing import Any

from benchmarks import processes
from benchmarks.books import balance
from benchmarks.command import parser_of, run
from benchmarks.figures import Figure
from benchmarks.form import Form, OwnPlatform, running
from benchmarks.wrk import Load
from tests.e2e.receiver import receiving


async def measure(database: str, given: argparse.Namespace) -> list[Figure]:
    """Measure one database and print tables."""
    began = time.monotonic()
    with running(database) as platform:
        return await _measure_running(platform, database, given, time.monotonic() - began)


async def _measure_running(
    platform: OwnPlatform, database: str, given: argparse.Namespace, started: float
) -> list[Figure]:
    form = await Form.of(platform, "bench")
    form.load(16, 2)
    print(f"\n{database}: authenticated submission of ten fields, validated, committed with fsync, event recorded")
    print(f"ready after {started:.1f} s (without dashboard)")
    under = f"database={database}"
    figures = [Figure("ready", under, started, "s")]
    print("| connections | stored/s | p50 ms | p90 ms | p99 ms | refused | errors |")
    print("|---|---|---|---|---|---|---|")
    spent, first = processes.processor_times(platform), form.answered
    for count in given.connections:
        load = await asyncio.to_thread(form.load, count, given.seconds)
        _print(load)
        figures += _figures_of(load, f"{under} connections={count}")
    figures.append(Figure("backlog", under, await _drained(form.client), "s"))
    costs = processes.costs(spent, processes.processor_times(platform), form.answered - first)
    _print_processor(costs)
    figures += [Figure("processor", f"{under} process={name}", cost, "ms/submission") for name, cost in costs.items()]
    for what, values in (await _latencies(form)).items():
        cuts = statistics.quantiles(values, n=100)
        print(f"idle: {what} p50 {cuts[49]:.1f} ms, p99 {cuts[98]:.1f} ms")
        figures += [
            Figure(f"{what}, {name}", f"{under} idle", cuts[at], "ms") for name, at in (("p50", 49), ("p99", 98))
        ]
    figures.append(Figure("memory, shared pages once", under, _print_memory(platform), "MiB"))
    await balance(form)
    await form.client.aclose()
    return figures


def _figures_of(load: Load, under: str) -> list[Figure]:
    return [
        Figure("stored", under, load.per_second, "1/s", more_is_better=True),
        Figure("answered, p50", under, load.p50_ms, "ms"),
        Figure("answered, p99", under, load.p99_ms, "ms"),
        Figure("refused or failed", under, load.refused + load.errors, "answers"),
    ]


async def _drained(client: Any) -> float:
    """Wait until a new delivery arrives at once again, so that a backlog does not colour the latency; the seconds."""
    async with receiving() as receiver:
        created = await client.post("/api/v1/webhooks", json={"url": receiver.url, "events": ["form.created"]})
        definition = {"pages": [{"id": "p", "elements": [{"id": "a", "type": "short_text", "title": "A"}]}]}
        began = time.monotonic()
        await client.post("/api/v1/forms", json={"slug": "marker", "title": "Marker", "definition": definition})
        await receiver.wait_for(1, 600)
        taken = time.monotonic() - began
        print(f"backlog of events after the load drained within {taken:.1f} s")
        await client.delete(f"/api/v1/webhooks/{created.json()['id']}")
    return taken


async def _latencies(form: Form) -> dict[str, list[float]]:
    """Milliseconds of a hundred submissions, one after another."""
    async with receiving() as receiver:
        hook = {"url": receiver.url, "events": ["response.submitted"], "form_id": form.id}
        created = await form.client.post("/api/v1/webhooks", json=hook)
        answered, delivered = [], []
        for number in range(1, 101):
            answered.append(await form.submit() * 1000)
            came = time.monotonic()
            await receiver.wait_for(number, 30)
            delivered.append((time.monotonic() - came) * 1000)
        await form.client.delete(f"/api/v1/webhooks/{created.json()['id']}")
    return {"submission answered": answered, "signed webhook delivery received after that answer": delivered}


def _print(load: Load) -> None:
    print(
        f"| {load.connections} | {load.per_second:,.0f} | {load.p50_ms:.1f} | {load.p90_ms:.1f} | {load.p99_ms:.1f} |"
        f" {load.refused} | {load.errors} |",
        flush=True,
    )


def _print_processor(costs: Mapping[str, float]) -> None:
    """What a submission costs until all its effects are through, whatever the pace was."""
    print("| process | processor ms for each submission |\n|---|---|")
    for name, cost in costs.items():
        print(f"| {name} | {cost:.3f} |", flush=True)


def _print_memory(platform: OwnPlatform) -> float:
    """MiB of all processes; what several share counts once."""
    found = processes.memory(platform)
    print("| process | MiB, its part of shared pages included | resident MiB |\n|---|---|---|")
    for name, (own, resident) in found.items():
        if own > 10:
            print(f"| {name} | {own:.0f} | {resident:.0f} |")
    total = sum(own for own, _ in found.values())
    print(f"| all | {total:.0f} | |", flush=True)
    return total


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--seconds", type=int, default=8)
    parser.add_argument("--connections", type=int, nargs="+", default=[1, 16, 64, 256])
    run(parser, measure)


if __name__ == "__main__":
    main()
