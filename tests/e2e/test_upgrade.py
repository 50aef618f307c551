"""O5, O7: a newer version takes over from an older one, with a migration, and is taken back, while people submit."""

import asyncio
import itertools
import random
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import yaml

from db.migrate import head_revision
from serve_app.placement import EMBEDDED_CONFIG
from tests.e2e.cluster import Cluster
from tests.e2e.front_door import FrontDoor, open_to
from tests.e2e.newer_version import MARK, VERSION, make_newer_version
from tests.e2e.party import Party, partying, submission
from tests.e2e.platform import ROOT

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

PEOPLE = 6
MANY = 100_000
_SERVED = 40
_SWITCHES = 3

_MANY_RESPONSES = """
WITH other AS (
    INSERT INTO form SELECT (jsonb_populate_record(form, '{"id": "frm_many", "slug": "many"}')).* FROM form
    WHERE slug = 'party' RETURNING tenant_id
)
INSERT INTO response
SELECT (jsonb_populate_record(one, jsonb_build_object('id', 'rsp_' || number, 'form_id', 'frm_many'))).*
FROM other, response AS one, generate_series(1, $1) AS number WHERE one.id = (SELECT min(id) FROM response)
"""


class Visitors:
    """People who submit all the time, and note what they were answered."""

    def __init__(self, door: FrontDoor, party: Party) -> None:
        self._door = door
        self._party = party
        self._numbers = itertools.count()
        self._stopping = asyncio.Event()
        self.refusals: list[str] = []
        self.repeated = 0

    def stop(self) -> None:
        """Let everybody finish what they do."""
        self._stopping.set()

    async def person(self, **headers: str) -> None:
        """Submit, each time under a new key."""
        async with self._door.client() as visitor:
            while not self._stopping.is_set():
                number = next(self._numbers)
                answer = await self._submit(visitor, number, headers)
                if answer.status_code == 201:
                    self._party.acknowledged[number] = answer.json()["id"]
                else:
                    self.refusals.append(f"{answer.status_code} {answer.text}")
                await asyncio.sleep(random.uniform(0, 0.4))

    async def _submit(self, visitor: httpx.AsyncClient, number: int, headers: dict[str, str]) -> httpx.Response:
        # Caddy closes idle connections when it is led elsewhere. Who sends at that moment has no answer, opens another
        # one and sends again, as browsers do.
        body, key = submission(number), {"Idempotency-Key": f"key-{number}"}
        try:
            return await visitor.post(self._party.path, json=body, headers=headers | key)
        except (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError):
            self.repeated += 1
            return await visitor.post(self._party.path, json=body, headers=headers | key)

    async def served(self) -> None:
        """Until some more have been served, and everybody so far."""
        wanted = len(self._party.acknowledged) + _SERVED
        async with asyncio.timeout(60):
            while len(self._party.acknowledged) < wanted:
                assert not self.refusals, (self.refusals[:2], self._door.errors[:2])
                await asyncio.sleep(0.05)


@pytest.fixture
def versions(tmp_path: Path, postgres_server: str) -> Iterator[list[Cluster]]:
    """The older version, ready; whatever is put beside it is stopped too."""
    # Three processes each: how many there are is for serve_config.yaml, and whose code they run is what counts here.
    document = yaml.safe_load(EMBEDDED_CONFIG.read_text())
    document["applications"] = [each for each in document["applications"] if each["name"] != "models"]
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump(document))
    clusters = [Cluster(tmp_path / "old", postgres_server)]
    clusters[0].config = config
    try:
        clusters[0].start()
        yield clusters
    finally:
        for cluster in reversed(clusters):
            cluster.stop()


async def test_an_upgrade_and_its_way_back_under_load_fail_no_request(versions: list[Cluster], tmp_path: Path) -> None:
    """Nobody is refused, each response is stored once and told to a receiver once; the migration is taken back last."""
    source = tmp_path / "newer"
    newest = make_newer_version(source)
    (old,) = versions

    async def beside(name: str, code: Path) -> Cluster:
        cluster = old.beside(tmp_path / name, code)
        versions.append(cluster)
        await asyncio.to_thread(cluster.start)
        return cluster

    async with open_to(old.port, old.data_dir) as door, partying(door, "upgraded") as party:
        visitors = Visitors(door, party)
        async with asyncio.TaskGroup() as group:
            for number in range(PEOPLE):
                group.create_task(visitors.person(**({"Connection": "close"} if number % 3 == 0 else {})))
            try:
                await visitors.served()
                await old.fetch_value(_MANY_RESPONSES, MANY)

                new = await beside("new", source)
                assert new.run("formstream", "version").split()[-1] == VERSION
                assert f"at revision {newest}." in new.migrated
                assert not await _marked(old)
                await asyncio.to_thread(door.lead_to, {old.port: 3, new.port: 1})
                await visitors.served()
                assert await _marked(old)
                await asyncio.to_thread(new.run, "formstream", "smoke", new.url, "--seconds=3", "--p95-ms=5000")
                await asyncio.to_thread(door.lead_to, {new.port: 1})
                await visitors.served()
                assert await asyncio.to_thread(old.leave) == 0
                await visitors.served()

                again = await beside("again", ROOT)
                assert f"at revision {newest}, of a newer version" in again.migrated
                await asyncio.to_thread(door.lead_to, {again.port: 1})
                await visitors.served()
                assert await asyncio.to_thread(new.leave) == 0
                marked = await _marked(old)
                await visitors.served()
                assert await _marked(old) == marked

                back = await asyncio.to_thread(new.run, "formstream", "migrate", "--to", head_revision(), "--yes")
                assert f"at revision {head_revision()}." in back
                await visitors.served()
            finally:
                visitors.stop()
        assert not visitors.refusals
        assert visitors.repeated <= PEOPLE * _SWITCHES
        await party.stored()
        assert await party.delivered() == len(party.acknowledged)
        await party.counted()


async def _marked(cluster: Cluster) -> int:
    """How many responses the newer version stored."""
    return int(await cluster.fetch_value("SELECT count(*) FROM response WHERE stored_by = $1", MARK))
