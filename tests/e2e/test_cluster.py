"""The production path: `serve deploy serve_config.yaml` on a plain Ray cluster, PostgreSQL and a NATS of its own."""

import asyncio
import itertools
import json
import random
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.e2e.cluster import ROLES, Cluster
from tests.e2e.party import Party, partying, submission
from tests.e2e.test_faults import submit_until_acknowledged

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

SUBMISSIONS = 1000
PARTS = ("edge", "responses", "consumers", "runners")
_REPLACED_S = 240.0


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, postgres_server: str) -> Iterator[Cluster]:
    """Deployed and ready."""
    running = Cluster(tmp_path_factory.mktemp("cluster") / "data", postgres_server)
    try:
        yield running.start()
    finally:
        running.stop()


def changed(cluster: Cluster, change: Callable[[dict[str, Any]], None]) -> Path:
    """A copy of the configuration that is deployed, in which every application is changed."""
    # As JSON in between: what YAML's anchors share would change together.
    document = json.loads(json.dumps(yaml.safe_load(cluster.config.read_text())))
    for application in document["applications"]:
        change(application)
    path = cluster.data_dir / f"{time.monotonic_ns()}.yaml"
    path.write_text(yaml.safe_dump(document))
    return path


class Load:
    """People who fill in a form all the time, and its owner who looks on. Nothing is tried twice."""

    def __init__(self, cluster: Cluster, party: Party) -> None:
        self._cluster = cluster
        self._party = party
        self._numbers = itertools.count()
        self._stopping = asyncio.Event()
        self.requests = 0
        self.failures: list[str] = []

    def stop(self) -> None:
        """Let everybody finish what they do."""
        self._stopping.set()

    async def person(self, pause_s: float, **headers: str) -> None:
        """Submit, each time under a new key, with pauses of `pause_s` on average."""
        async with self._cluster.client() as visitor:
            while not self._stopping.is_set():
                number = next(self._numbers)
                answer = await self._ask(
                    visitor.post(
                        self._party.path,
                        json=submission(number),
                        headers={"Idempotency-Key": f"key-{number}", **headers},
                    )
                )
                if answer is not None:
                    self._party.acknowledged[number] = answer.json()["id"]
                await asyncio.sleep(random.uniform(0, 2 * pause_s))

    async def owner(self) -> None:
        """Ask every context something in turn."""
        form = self._party.form
        for path in itertools.cycle(
            (form, f"{form}/responses?limit=5", "/api/v1/webhooks", "/api/v1/jobs", "/api/v1/me", "/health/ready")
        ):
            if self._stopping.is_set():
                return
            await self._ask(self._party.owner.get(path))
            await asyncio.sleep(0.2)

    async def _ask(self, asked: Awaitable[httpx.Response]) -> httpx.Response | None:
        began = time.monotonic()
        self.requests += 1
        try:
            answer = await asked
        except httpx.HTTPError as error:
            self.failures.append(f"{error!r} after {time.monotonic() - began:.2f} s")
            return None
        if not answer.is_success:
            self.failures.append(f"{answer.request.url}: {answer.status_code} {answer.text}")
            return None
        return answer


async def test_kill_9_of_replicas_loses_no_submission(cluster: Cluster) -> None:
    """D1, D5: the edge, a context, a consumer and a job replica are killed, and clients submit again by key."""
    kills = dict(zip(itertools.count(50, SUBMISSIONS // len(PARTS)), PARTS, strict=False))
    numbers = iter(range(SUBMISSIONS))
    async with partying(cluster, "killed") as party:

        async def person() -> None:
            async with cluster.client() as visitor:
                for number in numbers:
                    party.acknowledged[number] = await submit_until_acknowledged(visitor, party.path, number)
                    if (role := kills.pop(len(party.acknowledged), None)) is not None:
                        cluster.kill(role)

        await asyncio.gather(*(person() for _ in range(12)))
        assert not kills
        await party.effects()
    assert set(cluster.replicas().values()) == set(ROLES)


async def test_a_changed_configuration_under_load_fails_no_request(cluster: Cluster) -> None:
    """D1: the edge, a context, consumers and job runners are replaced while clients of every habit keep asking.

    D2, D5: the new policies make replicas follow the load that they record: requests at the edge, calls in a
    context, jobs that wait.
    """
    sender = "changed@formstream.example"
    growing = {"edge": "calls", "responses": "calls", "runners": "lag"}

    def change(application: dict[str, Any]) -> None:
        if application["name"] not in PARTS:
            return
        application["runtime_env"] = {"env_vars": {"FORMSTREAM_MAIL_FROM": f"Changed <{sender}>"}}
        scaling = application["deployments"][0]["autoscaling_config"]
        metric = growing.get(application["name"])
        if metric is not None:
            assert scaling["policy"]["policy_kwargs"]["metric"] == metric
            scaling["policy"]["policy_kwargs"]["target"] = 0.2
        scaling |= {"max_replicas": 2 if metric else 1, "upscale_delay_s": 1}

    async with partying(cluster, "redeployed") as party:
        load = Load(cluster, party)
        async with asyncio.TaskGroup() as group:
            for _ in range(6):
                group.create_task(load.person(0.1))
            for _ in range(3):
                # Idle for longer than an edge that leaves keeps idle connections.
                group.create_task(load.person(1.5))
            for _ in range(3):
                group.create_task(load.person(0.1, Connection="close"))
            group.create_task(load.owner())
            try:
                old = {pid for pid, role in cluster.replicas().items() if role in PARTS}
                await asyncio.to_thread(cluster.deploy, changed(cluster, change))
                wanted = sorted([*PARTS, *growing])
                async with asyncio.timeout(_REPLACED_S):
                    while True:
                        found = {pid: role for pid, role in cluster.replicas().items() if role in PARTS}
                        if not old & found.keys() and sorted(found.values()) == wanted:
                            break
                        await asyncio.sleep(0.5)
                await asyncio.to_thread(cluster.wait_ready)
                await asyncio.sleep(1)
            finally:
                load.stop()
        assert not load.failures, f"{len(load.failures)} of {load.requests}: {load.failures[:5]}"
        mails = await party.effects()
        assert [mails[index]["from"].addresses[0].addr_spec for index in (0, -1)] == ["formstream@localhost", sender]


def test_the_administrator_is_made_once(cluster: Cluster) -> None:
    """Z1: `formstream migrate` prints the generated credentials when it makes them, and never again."""
    assert "Administrator" not in cluster.run("formstream", "migrate")
    assert cluster.administrator()["password"] in cluster.migrated
