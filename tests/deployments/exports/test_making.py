"""X1: files that jobs make: whole or not there, for those who may have them, for a time."""

import asyncio
import hashlib
import os
import signal
import sys
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from db.models.events import Event
from db.models.exports import ResponseExport
from db.models.identity import Tenant
from db.models.jobs import Job
from db.models.tenancy import StoredObject
from db.repositories import response_query
from db.session import Database
from db.types import utc_now
from deployments.exports.contracts import CreateExportLink, ExportFormat, OrderExport
from deployments.exports.deployment import Exports
from deployments.exports.errors import ExportNotFound, ExportNotReady, FormNotFound
from deployments.exports.making import MakeExport, PruneExports, RemoveExport
from deployments.exports.service import FILES
from deployments.exports.settings import ExportsSettings
from deployments.forms.deployment import Forms
from deployments.identity.contracts import scopes_of
from deployments.kit import made_files
from deployments.kit.errors import Forbidden, Invalid
from deployments.kit.made_files import KeyMismatch
from deployments.kit.objects import ObjectStore
from deployments.kit.principal import Principal
from deployments.responses.deployment import Responses
from deployments.responses.exporting import chunks
from eventing.jobs import GiveUp, JobRun, Retry
from tests.architecture.rooms import ROOT
from tests.deployments.exports.reading import csv_rows, file_of
from tests.deployments.exports.test_formats import GIVEN, TYPED, fill
from tests.deployments.tenancy.population import attempt
from tests.eventing.harness import rows
from tests.factories import make_form, make_tenant, owner

LIFE = timedelta(days=7)
SETTINGS = ExportsSettings(signing_key="k" * 64, public_url="https://forms.example")  # type: ignore[arg-type]


class Scene:
    """A form with some responses, and what exports them."""

    def __init__(self, database: Database, objects: ObjectStore, principal: Principal, form_id: str) -> None:
        self.database = database
        self.objects = objects
        self.principal = principal
        self.form_id = form_id
        self.responses = Responses(database)
        self.exports = Exports(database, self.responses, SETTINGS)

    async def order(
        self, who: Principal | None = None, key: str | None = None, form: ExportFormat = "csv", **wanted: Any
    ) -> str:
        command = OrderExport(format=form, **wanted)
        return (await self.exports.order(who or self.principal, self.form_id, command, key)).export_id

    def attempt(self, export_id: str) -> JobRun:
        return attempt("acme", {"export_id": export_id, "form_id": self.form_id})

    async def make(self, export_id: str) -> dict[str, Any]:
        done = await MakeExport(self.database, self.objects, self.responses, LIFE).run(self.attempt(export_id))
        return done.result or {}

    async def content(self, export_id: str, who: Principal | None = None) -> bytes:
        file = await self.exports.open(who or self.principal, export_id)
        content = b"".join([piece async for piece in self.objects.read(file.object)])
        assert (len(content), hashlib.sha256(content).hexdigest()) == (file.size, file.sha256)
        return content

    async def stored(self) -> list[str]:
        return [key async for key, _ in self.objects.below("acme/exports")]


@pytest.fixture
async def scene(database: Database, objects: ObjectStore) -> Scene:
    acme = await make_tenant(database)
    form = await make_form(database, acme, definition=TYPED)
    made = Scene(database, objects, acme, form.id)
    await fill(made.responses, acme, form.id, [{**GIVEN, "count": n} for n in range(5)])
    return made


async def test_a_job_makes_what_the_stream_has(scene: Scene) -> None:
    """X1: the same file, an event, and a result that says where it is."""
    for form in ("csv", "jsonl", "parquet", "xlsx"):
        wanted: dict[str, Any] = {"filter": {"count": {"gte": 2}}, "columns": ["count"], "sort": "-count"}
        export_id = await scene.order(form=form, **wanted)
        waiting = await scene.exports.get(scene.principal, export_id)
        assert (waiting.state, waiting.download_url) == ("queued", None)
        with pytest.raises(ExportNotReady):
            await scene.exports.open(scene.principal, export_id)
        result = await scene.make(export_id)
        content = await scene.content(export_id)
        if form in ("csv", "jsonl"):
            assert content == await file_of(scene.responses, scene.principal, scene.form_id, form, **wanted)
        made = await scene.exports.get(scene.principal, export_id)
        assert (made.state, made.rows, made.bytes) == ("ready", 3, len(content))
        assert result == {
            "export_id": export_id,
            "download_url": f"/api/v1/exports/{export_id}/download",
            "expires_at": made.expires_at.isoformat(),
            "rows": 3,
            "bytes": len(content),
        }
        assert abs(made.expires_at - utc_now() - LIFE) < timedelta(minutes=1)
        # Again, as after a worker that died between the file and the end of its job.
        assert await scene.make(export_id) == result
    told = [event for event in await rows(scene.database, Event) if event.type == "export.completed"]
    assert len(told) == 4
    assert len(await scene.stored()) == 4


async def test_rows_of_all_pieces_are_counted(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """X1, J2: in the result, and as progress of the job."""
    monkeypatch.setattr(chunks, "_CHUNK_ROWS", 2)
    job = scene.attempt(await scene.order())
    done = await MakeExport(scene.database, scene.objects, scene.responses, LIFE).run(job)
    assert ((done.result or {})["rows"], job.done, job.total) == (5, 5, 5)


async def test_files_count_against_the_tenants_storage(scene: Scene) -> None:
    """T6: what has no room is not made, told of once, and leaves nothing; a place that is free again can be taken."""
    kept, size = await scene.order(), 0
    await scene.make(kept)
    size = len(await scene.content(kept))

    async def limit(octets: int) -> None:
        async with scene.database.write("acme") as unit:
            await unit.session.execute(update(Tenant).values(settings={"max_storage_bytes": octets}))

    for octets in (2 * size - 1, size - 1):
        await limit(octets)
        with pytest.raises(GiveUp, match="as much room"):
            await scene.make(await scene.order())
    assert [(row.bytes, row.file) for row in await rows(scene.database, StoredObject)] == [
        (size, (await scene.exports.open(scene.principal, kept)).object)
    ]
    assert len(await scene.stored()) == 1
    assert [event.type for event in await rows(scene.database, Event)].count("quota.exceeded") == 1
    await scene.exports.delete(scene.principal, kept)
    await limit(size)
    await scene.make(await scene.order())


async def test_what_is_wrong_with_an_order_is_told_at_once(scene: Scene) -> None:
    with pytest.raises(Invalid):
        await scene.order(columns=["nothing"])
    with pytest.raises(Invalid):
        await scene.order(filter={"nothing": "x"})
    assert not await rows(scene.database, ResponseExport)


async def test_the_same_key_is_the_same_export(scene: Scene) -> None:
    first = await scene.order(key="one")
    assert await scene.order(key="one") == first
    assert await scene.order(key="two") != first
    with pytest.raises(KeyMismatch):
        await scene.order(key="one", form="xlsx")
    assert len(await rows(scene.database, ResponseExport)) == 2


async def test_who_may_have_it(scene: Scene) -> None:
    """R8, T5: another tenant's, nobody's and what holds too much look the same; what was seen at the order counts."""
    await make_tenant(scene.database, "globex")
    viewer = Principal("acme", "usr_v", "user", "viewer", scopes_of("viewer"))
    shared = Principal("acme", "usr_g", "user", "guest", grants={scene.form_id: scopes_of("viewer")})
    elsewhere = Principal("acme", "usr_h", "user", "guest", grants={"frm_other": scopes_of("viewer")})
    full, masked = await scene.order(), await scene.order(viewer)
    await scene.make(full)
    await scene.make(masked)
    assert {each.id for each in (await scene.exports.list_exports(scene.principal, scene.form_id, None, 9)).data} == {
        full,
        masked,
    }
    for who in (viewer, shared):
        assert [each.id for each in (await scene.exports.list_exports(who, scene.form_id, None, 9)).data] == [masked]
        assert (await scene.content(masked, who)).startswith("\ufeff".encode())
    for who, export_id in ((viewer, full), (shared, full), (elsewhere, masked), (owner("globex"), masked)):
        with pytest.raises(ExportNotFound):
            await scene.exports.get(who, export_id)
        with pytest.raises(ExportNotFound):
            await scene.exports.open(who, export_id)
        with pytest.raises(ExportNotFound):
            await scene.exports.create_link(who, export_id, CreateExportLink())
        with pytest.raises(ExportNotFound):
            await scene.exports.delete(who, export_id)
    with pytest.raises(FormNotFound):
        await scene.exports.list_exports(owner("globex"), scene.form_id, None, 9)
    with pytest.raises(Forbidden):
        await scene.exports.delete(shared, masked)
    await Forms(scene.database).delete(scene.principal, scene.form_id)
    with pytest.raises(ExportNotFound):
        await scene.exports.get(scene.principal, full)


async def test_personal_answers_are_in_it_when_they_were_seen_at_the_order(
    database: Database, objects: ObjectStore
) -> None:
    acme = await make_tenant(database)
    definition = {"pages": [{"id": "p", "elements": [{**TYPED["pages"][0]["elements"][0], "personal": True}]}]}
    form = await make_form(database, acme, definition=definition)
    scene = Scene(database, objects, acme, form.id)
    await fill(scene.responses, acme, form.id, [{"status": "canary"}])
    viewer = Principal("acme", "usr_v", "user", "viewer", scopes_of("viewer"))
    for who, sees in ((acme, True), (viewer, False)):
        export_id = await scene.order(who)
        await scene.make(export_id)
        assert (b"canary" in await scene.content(export_id)) == sees


async def test_a_link_opens_it_for_a_time(scene: Scene) -> None:
    """X1: signed, expiring, of its tenant."""
    export_id = await scene.order()
    with pytest.raises(ExportNotReady):
        await scene.exports.create_link(scene.principal, export_id, CreateExportLink())
    await scene.make(export_id)
    made = await scene.exports.get(scene.principal, export_id)
    link = await scene.exports.create_link(scene.principal, export_id, CreateExportLink())
    assert link.expires_at == made.expires_at.replace(microsecond=0)
    *_, tenant, signed = link.url.split("/")
    assert (link.url.startswith("https://forms.example/api/v1/export-links/"), tenant) == (True, "acme")
    nobody = Principal.anonymous("acme", scene.principal.origin)
    assert (await scene.exports.open_link(nobody, signed)).size == made.bytes
    name, until, mac = signed.split(".")
    forged = (f"{name}.{int(until) + 1}.{mac}", f"exp_{'0' * 32}.{until}.{mac}", f"{name}.{until}.{'0' * 64}", "x")
    for text in forged:
        with pytest.raises(ExportNotFound):
            await scene.exports.open_link(nobody, text)
    with pytest.raises(ExportNotFound):
        await scene.exports.open_link(Principal.anonymous("globex", nobody.origin), signed)


async def test_a_link_ends_when_it_was_to_and_with_its_file_at_the_latest(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """X1: also while the file is still there."""
    export_id = await scene.order()
    await scene.make(export_id)
    ends = (await scene.exports.get(scene.principal, export_id)).expires_at.replace(microsecond=0)
    longer = await scene.exports.create_link(scene.principal, export_id, CreateExportLink(expires_in=7 * 86_400))
    assert longer.expires_at == ends
    short = await scene.exports.create_link(scene.principal, export_id, CreateExportLink(expires_in=60))
    assert short.expires_at < utc_now() + timedelta(seconds=61)
    nobody = Principal.anonymous("acme", scene.principal.origin)
    opened = longer.url.rpartition("/")[2], short.url.rpartition("/")[2]
    for signed in opened:
        assert (await scene.exports.open_link(nobody, signed)).size
    monkeypatch.setattr(made_files, "utc_now", lambda: short.expires_at)
    assert (await scene.exports.open_link(nobody, opened[0])).size
    with pytest.raises(ExportNotFound):
        await scene.exports.open_link(nobody, opened[1])


async def test_its_time_ends(scene: Scene) -> None:
    """X1: seven days; then neither the file nor a trace of it is there, and the others are."""
    old, young, never = await scene.order(), await scene.order(), await scene.order()
    for export_id in (old, young):
        await scene.make(export_id)
    async with scene.database.write("acme") as unit:
        past = update(ResponseExport).where(ResponseExport.id.in_([old, never]))  # type: ignore[attr-defined]
        await unit.session.execute(past.values(expires_at=utc_now() - timedelta(seconds=1)))
    with pytest.raises(ExportNotFound):
        await scene.exports.open(scene.principal, old)
    done = await PruneExports(scene.database).run(attempt("_platform", {}))
    assert done.result == {"removed": 2}
    for job in await rows(scene.database, Job):
        if job.kind == "exports.remove":
            await RemoveExport(scene.objects).run(attempt("acme", job.payload))
    assert [row.id for row in await rows(scene.database, ResponseExport)] == [young]
    assert len(await scene.stored()) == 1
    with pytest.raises(GiveUp):
        await scene.make(never)


async def test_who_does_not_want_it_any_more_ends_its_job(scene: Scene) -> None:
    export_id = await scene.order()
    await scene.exports.delete(scene.principal, export_id)
    (job,) = [job for job in await rows(scene.database, Job) if job.kind == "export"]
    assert (job.state, job.cancel_requested) == ("cancelled", True)
    with pytest.raises(ExportNotFound):
        await scene.exports.get(scene.principal, export_id)


async def test_one_that_is_deleted_while_it_is_made_leaves_nothing(scene: Scene) -> None:
    export_id = await scene.order()
    job = scene.attempt(export_id)
    deleted = False

    async def report(_done: int, _total: int | None) -> bool:
        nonlocal deleted
        if not deleted:
            deleted = True
            await scene.exports.delete(scene.principal, export_id)
        return False

    job._report = report  # as the runner's, with somebody else in between
    with pytest.raises(GiveUp):
        await MakeExport(scene.database, scene.objects, scene.responses, LIFE).run(job)
    assert await scene.stored() == []


async def test_a_form_that_is_gone_is_given_up(scene: Scene) -> None:
    export_id = await scene.order()
    await Forms(scene.database).delete(scene.principal, scene.form_id)
    with pytest.raises(GiveUp):
        await scene.make(export_id)
    assert await scene.stored() == []


async def test_fifty_at_once(scene: Scene) -> None:
    """X1: each whole, none mixed up."""
    ordered = [await scene.order(filter={"count": {"gte": n % 5}}) for n in range(50)]
    await asyncio.gather(*(scene.make(export_id) for export_id in ordered))
    contents = await asyncio.gather(*(scene.content(export_id) for export_id in ordered))
    assert [len(csv_rows(content)) - 1 for content in contents] == [5 - n % 5 for n in range(50)]


_KILLED = """
import asyncio, sys
from db.session import Database
from db.settings import DatabaseSettings
from deployments.exports.making import MakeExport
from deployments.kit.objects import ObjectStore
from deployments.responses.deployment import Responses
from deployments.responses.exporting import chunks
from tests.deployments.exports.test_making import LIFE
from tests.deployments.tenancy.population import attempt

chunks._CHUNK_ROWS = 2
chunks._FIRST = 2

class Slow(Responses):
    async def export_chunk(self, *arguments):
        found = await super().export_chunk(*arguments)
        if arguments[2] is not None:
            print("halfway", flush=True)
            await asyncio.sleep(60)
        return found

async def main(url, folder, export_id, form_id):
    database = Database(DatabaseSettings(url=url))
    job = attempt("acme", {"export_id": export_id, "form_id": form_id})
    await MakeExport(database, ObjectStore(folder), Slow(database), LIFE).run(job)

asyncio.run(main(*sys.argv[1:]))
"""


async def test_a_worker_that_is_killed_halfway_leaves_no_half_file(
    scene: Scene, tmp_path_factory: pytest.TempPathFactory, tmp_path: Any
) -> None:
    """X1: kill -9; nobody sees what it wrote, and the next attempt makes the whole file."""
    export_id = await scene.order()
    url = scene.database.settings.url
    folder = (tmp_path / "objects").as_uri()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _KILLED, url, folder, export_id, scene.form_id),
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    assert (await asyncio.wait_for(process.stdout.readline(), 60)).strip() == b"halfway"
    os.kill(process.pid, signal.SIGKILL)
    await process.wait()
    assert (await scene.exports.get(scene.principal, export_id)).state == "queued"
    with pytest.raises(ExportNotReady):
        await scene.exports.open(scene.principal, export_id)
    assert await scene.stored() == []
    # What one that lost its lease wrote to its end, and nobody wanted, goes too.
    await scene.objects.put(f"{FILES.folder('acme', scene.form_id, export_id)}/earlier.csv", b"whole")
    await scene.make(export_id)
    assert len(csv_rows(await scene.content(export_id))) == 6
    assert len(await scene.stored()) == 1


async def test_texts_that_cannot_be_searched_yet_are_tried_again(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    export_id = await scene.order(q="Rex")
    monkeypatch.setattr(response_query, "LONGEST_TAIL", 1)
    monkeypatch.setattr(response_query, "_TAIL_PIECE", 1)
    with pytest.raises(Retry):
        await scene.make(export_id)
