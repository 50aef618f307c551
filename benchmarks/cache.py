"""What memory answers: how old it may be while others write, how often it answers a dashboard, and what that saves.

`python -m benchmarks.cache [--seconds 10] [--viewers 16] [--writes 20] [--platform]`

The platform runs in one process with a real NATS server; who writes has a database handle and a connection of its own,
as another process has. With `--platform` it is the running one instead, with all its processes: two tenants write and
look over HTTP, each with so many viewers and writes each second.
"""

import argparse
import asyncio
import random
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import httpx
import pytest

from benchmarks.machine import describe
from db import migrate
from db.settings import DatabaseSettings
from deployments.forms.contracts import UpdateForm
from deployments.forms.deployment import Forms
from deployments.kit.principal import Principal
from eventing.server import EmbeddedServer
from serve_app.runtime import Runtime
from serve_app.settings import Settings
from tests.e2e.dashboards import Sightings, dashboards, look
from tests.e2e.platform import Platform
from tests.serve_app.one_process import NOWHERE, OneProcess, one_process, settings_for

_FORM = {"pages": [{"id": "p", "elements": [{"id": "a", "type": "short_text", "title": "A"}]}]}
_FORMS = 10

Numbers: TypeAlias = dict[str, tuple[int, int]]


@dataclass
class Scene:
    """A tenant with forms, as somebody looks at it who may do everything."""

    platform: OneProcess
    owner: httpx.AsyncClient
    forms: list[str] = field(default_factory=list)

    async def fill(self) -> None:
        for number in range(_FORMS):
            body = {"slug": f"f{number}", "title": "0", "definition": _FORM}
            made = await self.owner.post("/api/v1/forms", json=body)
            self.forms.append(made.json()["id"])
            await self.owner.post(f"/api/v1/forms/{self.forms[-1]}/publish", json={})
            for _ in range(20):
                await self.submit(number)

    async def submit(self, number: int) -> None:
        answers = {"answers": {"a": "x"}}
        answer = await self.owner.post(f"/api/v1/public/bench/f{number}/responses", json=answers)
        assert answer.status_code == 201, answer.text

    def remember(self, *, fresh_s: float) -> None:
        """Let the contexts remember for so long; below zero, not at all."""
        for host in self.platform.hosts.values():
            for cache in host._runtime.caches._all:
                cache._fresh_s = fresh_s


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each part")
    parser.add_argument("--viewers", type=int, default=16)
    parser.add_argument("--writes", type=float, default=20.0, help="each second")
    parser.add_argument("--platform", action="store_true", help="over HTTP, in all its processes")
    given = parser.parse_args()
    print(describe())
    if given.platform:
        await _running(given)
        return
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        EmbeddedServer(Path(folder) / "nats") as server,
        pytest.MonkeyPatch.context() as patch,
    ):
        database = DatabaseSettings(url=f"sqlite:///{folder}/formstream.db")
        await migrate.upgrade(database)
        settings = settings_for(Path(folder), database, server.url, rate_limits={})
        async with one_process(settings, patch, works=False) as platform:
            scene = Scene(platform, await platform.sign_up("bench"))
            await scene.fill()
            for name, url in (("with hints", server.url), ("every hint lost", NOWHERE)):
                await _staleness(scene, name, settings.model_copy(update={"nats_url": _secret(url)}), given)
            await _mix(scene, given)
            await _rate(scene, given)


async def _running(given: argparse.Namespace) -> None:
    """The same of the platform as it runs: everything over HTTP, by two tenants with forms of the same names."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        platform = Platform(Path(folder) / "data").start()
        try:
            async with (
                dashboards(platform, "here", "there") as (boards, sightings),
                platform.client() as anybody,
            ):
                before = await _numbers(anybody)
                await look(boards, given.seconds, viewers=given.viewers, writes=given.writes)
                _tell(sightings, given)
                _tell_hits(before, await _numbers(anybody), sum(map(len, sightings.ages.values())) / given.seconds)
        finally:
            platform.stop()


def _tell(sightings: Sightings, given: argparse.Namespace) -> None:
    every = [age for ages in sightings.ages.values() for age in ages]
    for what, ages in [*sorted(sightings.ages.items()), ("all", every)]:
        p50, p99, most = _cuts(ages)
        stale = sum(age > 0 for age in ages) / len(ages)
        cuts = f"p50 {p50:.0f} ms, p99 {p99:.0f} ms, max {most:.0f} ms"
        print(f"staleness, {what}: {cuts} ({len(ages)} reads, {stale:.1%} of them old)")
    p50, p99, most = _cuts(sightings.waits)
    print(f"answered: p50 {p50:.0f} ms, p99 {p99:.0f} ms, max {most:.0f} ms")
    print(
        f"{sightings.written / given.seconds:.0f} writes/s; turned away for the load: {dict(sightings.refused)}; "
        f"{sightings.strangers} questions about the other tenant's forms, each answered with 404"
    )


def _cuts(values: list[float]) -> list[float]:
    """Median, 99th percentile and greatest of seconds, in milliseconds."""
    ordered = sorted(values)
    return [1000 * ordered[int(share * (len(ordered) - 1))] for share in (0.5, 0.99, 1.0)]


def _secret(url: str) -> object:
    return Settings.model_fields["nats_url"].annotation(url)  # type: ignore[misc]


async def _staleness(scene: Scene, name: str, settings: Settings, given: argparse.Namespace) -> None:
    """How old what readers see is, while another process changes it."""
    runtime = Runtime(settings, "writer")
    writer = Forms(runtime.database)
    system, form_id = Principal.system("bench", "benchmark"), scene.forms[0]
    first = int((await writer.get(system, form_id)).title)
    committed = {first: time.monotonic()}
    ages: list[float] = []
    await asyncio.sleep(1)  # connected, if it can be

    async def write() -> None:
        for number in range(first + 1, 1_000_000):
            await writer.update(system, form_id, UpdateForm(title=str(number)))
            committed[number] = time.monotonic()
            await asyncio.sleep(1 / given.writes)

    async def read() -> None:
        client = scene.platform.client(scene.owner.headers["authorization"].removeprefix("Bearer "))
        while True:
            asked, newest = time.monotonic(), max(committed)
            seen = int((await client.get(f"/api/v1/forms/{form_id}")).json()["title"])
            # What is shown was right until the next one was committed.
            ages.append(max(0.0, asked - committed[seen + 1]) if seen < newest else 0.0)

    await _for(given.seconds, write, *[read] * given.viewers)
    await runtime.stop()
    p50, p99, most = _cuts(ages)
    print(
        f"staleness, {name}: p50 {p50:.0f} ms, p99 {p99:.0f} ms, max {most:.0f} ms "
        f"({len(ages)} reads, {len(committed) - 1} writes)"
    )


async def _mix(scene: Scene, given: argparse.Namespace) -> None:
    """How often memory answers viewers of dashboards, while answers come in."""
    before = await _numbers(scene.owner)
    reads = 0

    async def view() -> None:
        nonlocal reads
        client = scene.platform.client(scene.owner.headers["authorization"].removeprefix("Bearer "))
        while True:
            # The forms that are in use now are looked at most.
            (which,) = random.choices(range(_FORMS), [1 / (number + 1) for number in range(_FORMS)])
            form = f"/api/v1/forms/{scene.forms[which]}"
            path = random.choice(["/api/v1/forms", form, f"/api/v1/public/bench/f{which}", f"{form}/responses"])
            answer = await client.get(path, params={"include_total": "true"} if path.endswith("/responses") else None)
            assert answer.status_code == 200, answer.text
            reads += 1

    async def submit() -> None:
        while True:
            await scene.submit(random.randrange(_FORMS))
            await asyncio.sleep(1 / given.writes)

    await _for(given.seconds, submit, *[view] * given.viewers)
    _tell_hits(before, await _numbers(scene.owner), reads / given.seconds)


def _tell_hits(before: Numbers, after: Numbers, pace: float) -> None:
    for name in sorted(after):
        asked, found = (after[name][which] - before.get(name, (0, 0))[which] for which in (0, 1))
        if asked:
            print(f"hit rate, {name}: {found / asked:.1%} of {asked}")
    sums = [sum(each[which] for each in after.values()) for which in (0, 1)]
    less = [sum(each[which] for each in before.values()) for which in (0, 1)]
    print(f"hit rate of the mix: {(sums[1] - less[1]) / (sums[0] - less[0]):.1%} ({pace:.0f} reads/s)")


async def _numbers(client: httpx.AsyncClient) -> Numbers:
    """Reads of each cache, and those that memory answered."""
    await asyncio.sleep(1.1)  # asked for at most once a second
    report = (await client.get("/health/cache")).json()["caches"]
    found = {}
    for place, caches in report.items():
        for name, each in caches.items():
            hits = each["hits"] + each["renewed"] + each["shared"] + each["absent"]
            found[f"{place} {name}"] = (hits + each["waits"] + each["misses"], hits)
    return found


async def _rate(scene: Scene, given: argparse.Namespace) -> None:
    """Answers a second of one list, remembered and not."""
    for name, fresh_s in (("remembered", 0.5), ("asked each time", -1.0)):
        scene.remember(fresh_s=fresh_s)
        answered = 0

        async def view() -> None:
            nonlocal answered
            client = scene.platform.client(scene.owner.headers["authorization"].removeprefix("Bearer "))
            while True:
                await client.get("/api/v1/forms")
                answered += 1

        await _for(given.seconds, *[view] * given.viewers)
        print(f"list of forms, {name}: {answered / given.seconds:.0f} req/s, its client in the same process")
    scene.remember(fresh_s=0.5)


async def _for(seconds: float, *loops: Callable[[], Awaitable[None]]) -> None:
    """Run the loops for so long; raises what one of them raises."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await asyncio.gather(*(loop() for loop in loops))


if __name__ == "__main__":
    asyncio.run(main())
