"""X3: the lake holds what the API lists, through edits, late changes, deletions and workers that die."""

import asyncio
import copy
import hashlib
import os
import signal
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import orjson
import pytest
from sqlalchemy import delete
from sqlmodel import col

from db.models.exports import LakeTable, ResponseExport
from db.models.jobs import Job
from db.models.responses import Response
from db.session import Database
from deployments.exports.contracts import FORGET, OrderExport
from deployments.exports.deployment import Exports
from deployments.exports.lake import Lake
from deployments.exports.lake_jobs import RENEW, ForgetResponses, RenewDue, RenewTable, job_kinds
from deployments.forms.contracts import UpdateForm
from deployments.forms.deployment import Forms
from deployments.forms.purging import PurgeForm
from deployments.kit.objects import ObjectStore
from deployments.kit.principal import Principal
from deployments.responses.contracts import ExportChunk, ImportRow, ListResponses
from deployments.responses.deployment import Responses
from deployments.responses.life_contracts import EditResponse
from eventing.jobs import GiveUp, Retry
from tests.architecture.rooms import ROOT
from tests.deployments.exports.test_making import SETTINGS
from tests.deployments.tenancy.population import attempt
from tests.eventing.harness import rows
from tests.factories import make_form, make_tenant

FORM: dict[str, Any] = {
    "pages": [
        {
            "id": "p1",
            "elements": [
                {"id": "name", "type": "short_text", "title": "Name", "personal": True},
                {"id": "count", "type": "integer", "title": "Count"},
                {"id": "day", "type": "date", "title": "Day"},
                {
                    "id": "many",
                    "type": "multi_choice",
                    "title": "Many",
                    "options": [{"id": "a", "label": "A"}, {"id": "b", "label": "B"}],
                },
            ],
        }
    ],
    "languages": ["en"],
}
START = datetime(2025, 1, 30, tzinfo=UTC)


class Scene:
    """A form with responses of three months, and its table."""

    def __init__(self, database: Database, objects: ObjectStore, folder: Path, acme: Principal, form_id: str) -> None:
        self.database = database
        self.objects = objects
        self.folder = folder / "acme" / "lake" / form_id
        self.acme = acme
        self.form_id = form_id
        self.responses = Responses(database)

    async def add(self, first: int, last: int) -> None:
        """Responses of one day each."""
        given = [
            ImportRow(
                key=str(n),
                line=n,
                answers={"name": f"person {n}", "count": n, "day": "2025-02-28", "many": ["a", "b"][: n % 3]},
                submitted_at=START + timedelta(days=n),
            )
            for n in range(first, last)
        ]
        assert (await self.responses.import_rows(self.acme, self.form_id, given)).imported == last - first

    async def renew(self) -> dict[str, Any]:
        run = RenewTable(Lake(self.database, self.objects, Responses(self.database))).run
        return (await run(attempt("acme", {"form_id": self.form_id}))).result or {}

    def manifest(self) -> dict[str, Any]:
        document: dict[str, Any] = orjson.loads((self.folder / "manifest.json").read_bytes())
        return document

    def table(self) -> dict[str, dict[str, Any]]:
        """The rows by their ids, as an analyst reads them."""
        manifest = self.manifest()
        files = [str(self.folder / file["path"]) for file in manifest["files"]]
        found = duckdb.sql("SELECT * FROM read_parquet(?, union_by_name = true)", params=[files]).to_arrow_table()
        documents = found.to_pylist()
        assert len(documents) == manifest["rows"]
        return {document["_id"]: document for document in documents}

    async def listed(self) -> dict[str, dict[str, Any]]:
        """The complete responses as the API lists them."""
        query = ListResponses(form_id=self.form_id, status="complete", limit=1000)
        page = await self.responses.list_responses(self.acme, query)
        return {response.id: response.answers for response in page.data}

    async def agrees(self) -> None:
        """Every row and every value of the lake is what the API has, and the manifest tells the truth of its files."""
        table, listed = self.table(), await self.listed()
        assert table.keys() == listed.keys()
        for response_id, answers in listed.items():
            row = table[response_id]
            assert row["name"] == answers.get("name")
            assert row["count"] == answers.get("count")
            assert row["many"] == answers.get("many")
            assert (None if row["day"] is None else str(row["day"])) == answers.get("day")
        manifest = self.manifest()
        for file in manifest["files"]:
            content = (self.folder / file["path"]).read_bytes()
            assert (len(content), hashlib.sha256(content).hexdigest()) == (file["bytes"], file["sha256"])
            mine = [row for row in table.values() if row["_submitted_at"].strftime("%Y-%m") == file["month"]]
            changes = [row["_change"] for row in mine]
            assert (len(mine), min(changes), max(changes)) == (file["rows"], file["min_change"], file["max_change"])

    def files(self) -> set[str]:
        return {str(path.relative_to(self.folder)) for path in self.folder.rglob("*.parquet")}


@pytest.fixture
async def scene(database: Database, objects: ObjectStore, tmp_path: Path) -> Scene:
    acme = await make_tenant(database)
    form = await make_form(database, acme, definition=FORM)
    made = Scene(database, objects, tmp_path / "objects", acme, form.id)
    await made.add(0, 40)
    return made


async def test_the_lake_is_what_the_list_is(scene: Scene) -> None:
    """X3: months, types, a manifest with counts, changes and checksums."""
    assert await scene.renew() == {"months": 3, "rows": 40, "number": 1}
    await scene.agrees()
    manifest = scene.manifest()
    assert (manifest["number"], manifest["change"], manifest["version"]) == (1, 40, 1)
    assert [file["month"] for file in manifest["files"]] == ["2025-01", "2025-02", "2025-03"]
    columns = {column["name"]: column for column in manifest["columns"]}
    assert columns["name"] == {"name": "name", "type": "string", "title": "Name", "field": "name", "personal": True}
    assert [columns[name]["type"] for name in ("count", "day", "many", "_submitted_at")] == [
        "int64",
        "date32[day]",
        "list<item: string>",
        "timestamp[us, tz=UTC]",
    ]


async def test_only_months_that_changed_are_written_again(scene: Scene) -> None:
    """X3: idempotent, with late changes, edits and deletions; the files of the manifest before stay for its readers."""
    await scene.renew()
    before = scene.files()
    assert await scene.renew() == {"months": 0, "rows": 40, "number": 1}
    assert scene.files() == before
    ids = {row["count"]: response_id for response_id, row in scene.table().items()}
    await scene.responses.edit(scene.acme, ids[0], EditResponse(answers={"name": "late", "count": 1000}), None)
    await scene.responses.delete(scene.acme, ids[1])
    await scene.add(40, 42)
    assert await scene.renew() == {"months": 2, "rows": 41, "number": 2}
    await scene.agrees()
    assert before < scene.files()
    february = [name for name in before if name.startswith("2025-02")]
    assert february[0] in {file["path"] for file in scene.manifest()["files"]}
    await scene.responses.purge(scene.acme, ids[1])
    restored = await scene.renew()
    assert (restored["number"], restored["rows"]) == (3, 41)
    await scene.agrees()


async def test_what_no_manifest_names_any_more_goes_after_a_day(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """X3: the manifest before and its files stay for its readers; what is young may belong to an attempt under way."""

    async def renewed(count: int) -> set[str]:
        response_id = next(id_ for id_, row in scene.table().items() if row["_submitted_at"].day == 30)
        await scene.responses.edit(scene.acme, response_id, EditResponse(answers={"count": count}), None)
        await scene.renew()
        return {file["path"] for file in scene.manifest()["files"]}

    await scene.renew()
    first = scene.files()
    second = await renewed(1001)
    third = await renewed(1002)
    assert first | second | third == scene.files()
    monkeypatch.setattr("deployments.exports.lake._KEPT", timedelta(seconds=-1))
    assert third | await renewed(1003) == scene.files()
    assert len(list(scene.folder.glob("manifests/*"))) == 2


async def test_a_month_that_is_empty_now_has_no_file(scene: Scene) -> None:
    await scene.renew()
    for response_id, row in scene.table().items():
        if row["_submitted_at"].month == 1:
            await scene.responses.delete(scene.acme, response_id)
    await scene.renew()
    await scene.agrees()
    assert [file["month"] for file in scene.manifest()["files"]] == ["2025-02", "2025-03"]


async def test_a_column_has_one_type_in_all_files(scene: Scene) -> None:
    """X3: a date that became a text is a text in the months before, too; a new column is null there."""
    await scene.renew()
    later = copy.deepcopy(FORM)
    elements = later["pages"][0]["elements"]
    elements[2]["type"] = "short_text"
    elements.append({"id": "wine", "type": "short_text", "title": "Wine"})
    forms = Forms(scene.database)
    await forms.update(scene.acme, scene.form_id, UpdateForm(definition=later))
    await forms.publish(scene.acme, scene.form_id)
    scene.responses = Responses(scene.database)
    new = ImportRow(
        key="x", line=1, answers={"day": "some day", "wine": "red"}, submitted_at=START + timedelta(days=30)
    )
    assert (await scene.responses.import_rows(scene.acme, scene.form_id, [new])).imported == 1
    assert (await scene.renew())["months"] == 3
    await scene.agrees()
    assert scene.manifest()["version"] == 2
    assert {row["wine"] for row in scene.table().values()} == {None, "red"}


async def test_who_is_overtaken_begins_anew(scene: Scene) -> None:
    """X3: an old reading never takes the place of a newer one."""
    reading, overtaken = asyncio.Event(), asyncio.Event()

    class Held(Responses):
        async def export_chunk(self, *arguments: Any) -> ExportChunk:
            found = await super().export_chunk(*arguments)
            reading.set()
            await overtaken.wait()
            return found

    slow = Lake(scene.database, scene.objects, Held(scene.database))
    first = asyncio.create_task(slow.renew(attempt("acme", {"form_id": scene.form_id}), scene.form_id))
    await reading.wait()
    for response_id, answers in list((await scene.listed()).items()):
        if answers["count"] in (0, 1, 39):
            await scene.responses.edit(scene.acme, response_id, EditResponse(answers={"count": 1000}), None)
    await scene.renew()
    await scene.agrees()
    overtaken.set()
    with pytest.raises(Retry):
        await first
    await scene.agrees()
    assert (await scene.renew())["number"] == 1
    assert len(await rows(scene.database, LakeTable)) == 1


_KILLED = """
import asyncio, sys
from db.session import Database
from db.settings import DatabaseSettings
from deployments.exports.lake import Lake
from deployments.kit.objects import ObjectStore
from deployments.responses.deployment import Responses
from tests.deployments.tenancy.population import attempt

class Slow(Responses):
    months = 0
    async def export_chunk(self, *arguments):
        self.months += 1
        if self.months == 2:
            print("halfway", flush=True)
            await asyncio.sleep(60)
        return await super().export_chunk(*arguments)

async def main(url, folder, form_id):
    database = Database(DatabaseSettings(url=url))
    await Lake(database, ObjectStore(folder), Slow(database)).renew(attempt("acme", {"form_id": form_id}), form_id)

asyncio.run(main(*sys.argv[1:]))
"""


async def test_a_writer_that_is_killed_is_followed_by_one_that_goes_on(scene: Scene, tmp_path: Path) -> None:
    """X3: kill -9; the readers' table is whole before and after, and no month is written twice."""
    await scene.renew()
    ids = {row["count"]: response_id for response_id, row in scene.table().items()}
    for count in (0, 39):
        await scene.responses.edit(scene.acme, ids[count], EditResponse(answers={"count": 500 + count}), None)
    before = scene.table()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _KILLED, scene.database.settings.url, (tmp_path / "objects").as_uri(), scene.form_id),
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    assert (await asyncio.wait_for(process.stdout.readline(), 60)).strip() == b"halfway"
    os.kill(process.pid, signal.SIGKILL)
    await process.wait()
    assert scene.table() == before
    half_done = scene.files()
    assert await scene.renew() == {"months": 2, "rows": 40, "number": 2}
    await scene.agrees()
    assert len(scene.files() - half_done) == 1, "January was there already"


async def test_somebody_who_is_erased_is_in_no_file(scene: Scene) -> None:
    """X3: also not in the files that readers of the manifest before would want, nor in an export."""
    await scene.renew()
    exports = Exports(scene.database, scene.responses, SETTINGS)
    await exports.order(scene.acme, scene.form_id, OrderExport(format="csv"), None)
    ids = {row["count"]: response_id for response_id, row in scene.table().items()}
    kept = {path: (scene.folder / path).read_bytes() for path in scene.files() if not path.startswith("2025-02")}
    await scene.responses.delete(scene.acme, ids[10])
    await scene.responses.purge(scene.acme, ids[10])
    forget = ForgetResponses(scene.database, scene.objects, Lake(scene.database, scene.objects, scene.responses))
    await forget.run(attempt("acme", {"form_id": scene.form_id, "response_ids": [ids[10]]}))
    await scene.agrees()
    assert ids[10] not in scene.table()
    assert scene.files() == {file["path"] for file in scene.manifest()["files"]}
    assert {path for path in scene.files() if not path.startswith("2025-02")} == kept.keys()
    assert [path.name for path in (scene.folder / "manifests").iterdir()] == ["00000002.json"]
    assert not await rows(scene.database, ResponseExport)
    assert FORGET in {kind.name for kind in job_kinds(scene.database, scene.objects, scene.responses)}


async def test_somebody_of_whom_no_change_tells_is_found_in_the_files(scene: Scene) -> None:
    """X3: the response is gone for good before the lake heard of it, so only its file says which month holds it."""
    await scene.renew()
    (gone,) = (response_id for response_id, row in scene.table().items() if row["count"] == 10)
    async with scene.database.write("acme") as unit:
        await unit.session.execute(delete(Response).where(col(Response.id) == gone))
    forget = ForgetResponses(scene.database, scene.objects, Lake(scene.database, scene.objects, scene.responses))
    await forget.run(attempt("acme", {"form_id": scene.form_id, "response_ids": [gone]}))
    assert gone not in scene.table()
    await scene.agrees()


async def test_a_purged_form_takes_its_files_with_it(scene: Scene) -> None:
    await scene.renew()
    forms = Forms(scene.database)
    await forms.delete(scene.acme, scene.form_id)
    with pytest.raises(GiveUp):
        await scene.renew()
    await forms.purge(scene.acme, scene.form_id)
    # Events about it are still to be published; its files are gone already.
    with pytest.raises(Retry):
        await PurgeForm(scene.database, scene.objects).run(attempt("acme", {"form_id": scene.form_id}))
    assert [key async for key, _ in scene.objects.below("acme/lake")] == []


async def test_the_daily_search_orders_what_changed(scene: Scene) -> None:
    """X3: for tenants that have a lake."""
    without = await make_tenant(scene.database, "globex", features={"lake": False})
    form = await make_form(scene.database, without, definition=FORM)
    await scene.responses.import_rows(without, form.id, [ImportRow(key="1", line=1, answers={"count": 1})])
    search = RenewDue(scene.database, is_on=True)
    for _ in range(2):  # an attempt that is repeated orders nothing twice
        assert (await search.run(attempt("_platform", {}))).result == {"ordered": 1}
    jobs = [job for job in await rows(scene.database, Job) if job.kind.startswith("exports.lake")]
    assert sorted((job.tenant_id, job.kind) for job in jobs) == [
        ("acme", RENEW),
    ]
    await scene.renew()
    assert (await search.run(attempt("_platform", {}))).result == {"ordered": 0}
    assert (await RenewDue(scene.database, is_on=False).run(attempt("_platform", {}))).result == {"ordered": 0}
