"""What a submission costs by how many responses its form already has, with everything that belongs to them.

`python -m benchmarks.rows [--database sqlite|postgresql] [--rows 1000 10000 100000 1000000] [--seconds 8]
[--connections 1 64] [--out FILE]`

Each size has a form of its own, filled in bulk while the platform is stopped; what is measured goes the whole way.
"""

import argparse
import asyncio
import time

from benchmarks import processes
from benchmarks.books import balance
from benchmarks.command import parser_of, run
from benchmarks.figures import Figure
from benchmarks.form import Form, OwnPlatform, running
from benchmarks.growth import grow


async def measure(database: str, given: argparse.Namespace) -> list[Figure]:
    """Measure one database and print a table."""
    figures: list[Figure] = []
    with running(database) as platform:
        for rows in sorted(given.rows):
            # A form of its own for each: what is submitted to one would be more than the next has to begin with.
            form = await Form.of(platform, f"rows{rows}")
            await balance(form)
            platform.stop()
            began = time.monotonic()
            await grow(form, rows)
            print(f"\n{database}: {rows:,} responses stored, filled in {time.monotonic() - began:.0f} s", flush=True)
            platform.start()
            figures += await _measured(platform, form, given, f"database={database} rows={rows}")
            await form.client.aclose()
    return figures


async def _measured(platform: OwnPlatform, form: Form, given: argparse.Namespace, under: str) -> list[Figure]:
    form.load(16, 2)
    await asyncio.to_thread(processes.until_quiet, platform)
    figures: list[Figure] = []
    print("| connections | stored/s | p50 ms | p99 ms | refused | errors |\n|---|---|---|---|---|---|")
    spent, first = processes.processor_times(platform), form.answered
    for count in given.connections:
        load = await asyncio.to_thread(form.load, count, given.seconds)
        print(
            f"| {count} | {load.per_second:,.0f} | {load.p50_ms:.1f} | {load.p99_ms:.1f} | {load.refused} |"
            f" {load.errors} |",
            flush=True,
        )
        where = f"{under} connections={count}"
        figures += [
            Figure("stored", where, load.per_second, "1/s", more_is_better=True),
            Figure("answered, p50", where, load.p50_ms, "ms"),
            Figure("answered, p99", where, load.p99_ms, "ms"),
        ]
    await asyncio.to_thread(processes.until_quiet, platform)
    costs = processes.costs(spent, processes.processor_times(platform), form.answered - first)
    print("processor ms for each: " + ", ".join(f"{name} {cost:.3f}" for name, cost in costs.items()), flush=True)
    await balance(form)
    return figures + [
        Figure("processor", f"{under} process={name}", cost, "ms/submission") for name, cost in costs.items()
    ]


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000, 10_000, 100_000, 1_000_000])
    parser.add_argument("--seconds", type=int, default=8)
    parser.add_argument("--connections", type=int, nargs="+", default=[1, 64])
    run(parser, measure)


if __name__ == "__main__":
    main()
