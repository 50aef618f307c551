"""T7: a copy of everything a tenant has."""

import asyncio
import hashlib
import io
import zipfile
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pytest
from sqlalchemy import delete, update

from db.migrate import head_revision
from db.models.events import Event
from db.models.identity import PLATFORM_TENANT
from db.models.jobs import Job
from db.models.tenancy import TenantExport
from db.repositories.tenant_data import tables_to_export
from db.session import Database
from db.settings import DatabaseSettings
from db.types import utc_now
from deployments.identity.bootstrap import ensure_administrator
from deployments.kit.errors import Forbidden
from deployments.kit.objects import ObjectStore
from deployments.kit.principal import Principal
from deployments.tenancy import exporting
from deployments.tenancy.contracts import OrderedJob
from deployments.tenancy.deployment import Tenancy
from deployments.tenancy.errors import ExportNotFound, ExportNotReady, TenantNotFound
from deployments.tenancy.exporting import ExpireExport, ExportTenant, OrderExport, line_of
from deployments.tenancy.inventory import LEFT_OUT
from eventing.jobs import GiveUp, JobRun
from tests.deployments.tenancy.population import attempt, contents, populate
from tests.eventing.harness import rows
from tests.factories import make_tenant
from tests.serve_app.one_process import one_process, settings_for

ROOT = Principal(PLATFORM_TENANT, "usr_root", "user", "administrator", frozenset({"platform:admin", "tenant:own"}))
OWNER = Principal("acme", "usr_1", "user", "owner", frozenset({"tenant:own", "tenant:read"}))
HARMLESS = frozenset({"tenant_export", "tenant_export_part", "job", "event", "audit_entry", "audit_head"})
"""Tables in which an export leaves traces of itself."""


async def _put(objects: ObjectStore, key: str, content: bytes) -> None:
    async with objects.writer(key) as writer:
        await writer.write(content)


async def _ordered(database: Database, principal: Principal, tenant_id: str = "acme") -> JobRun:
    ordered = await Tenancy(database).start_export(principal, tenant_id)
    return await _attempt(database, ordered)


async def _attempt(database: Database, ordered: OrderedJob) -> JobRun:
    (job,) = [job for job in await rows(database, Job) if job.id == ordered.job_id]
    return attempt(job.tenant_id, job.payload)


async def _fetched(database: Database, objects: ObjectStore, principal: Principal, export_id: str) -> zipfile.ZipFile:
    found = await Tenancy(database).open_export(principal, "acme", export_id)
    content = b"".join([piece async for piece in objects.read(found.file)])
    assert len(content) == found.bytes
    return zipfile.ZipFile(io.BytesIO(content))


async def test_holds_every_row_of_every_table_and_every_file(database: Database, objects: ObjectStore) -> None:
    """T7: made from the models, so no table is forgotten; nothing of another tenant, no secret."""
    await populate(database, "acme")
    await populate(database, "acme2")
    await _put(objects, "acme/imports/one", b"first")
    await _put(objects, "acme2/imports/one", b"foreign")
    derived = ("acme/exports/frm_1/exp_1/one.csv", "acme/lake/frm_1/manifest.json")
    for key in derived:
        await _put(objects, key, b"made of the rows")
    job = await _ordered(database, OWNER)
    before = await contents(database, "acme")

    done = await ExportTenant(database, objects).run(job)

    bundle = await _fetched(database, objects, OWNER, job.payload["export_id"])
    manifest = orjson.loads(bundle.read("manifest.json"))
    assert (manifest["tenant_id"], manifest["format"], manifest["schema_revision"]) == ("acme", 1, head_revision())
    assert set(bundle.namelist()) == {
        "manifest.json",
        "files/imports/one",
        *(f"tables/{name}.jsonl" for name in tables_to_export()),
    }
    assert {file["name"] for file in manifest["files"]} == set(bundle.namelist()) - {"manifest.json"}
    for file in manifest["files"]:
        content = bundle.read(file["name"])
        assert (file["bytes"], file["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
        if file["name"].startswith("tables/"):
            assert content.count(b"\n") == file["rows"] > 0
        assert b"acme2" not in content
    for name in tables_to_export().keys() - HARMLESS:
        assert bundle.read(f"tables/{name}.jsonl") == before[name], name
    assert bundle.read("files/imports/one") == b"first"
    jobs = [orjson.loads(line) for line in bundle.read("tables/job.jsonl").splitlines()]
    assert len(jobs) > 1
    assert all("sealed" not in row["payload"] for row in jobs)
    for column in LEFT_OUT:
        table, _, name = column.partition(".")
        assert name not in orjson.loads(bundle.read(f"tables/{table}.jsonl").splitlines()[0])
    assert set(manifest["left_out"]) == set(LEFT_OUT)
    assert done.result is not None
    assert done.result["rows"] == sum(file.get("rows", 0) for file in manifest["files"])
    assert {key async for key, _ in objects.below("acme/exports")} == {
        (await Tenancy(database).open_export(OWNER, "acme", job.payload["export_id"])).file,
        derived[0],
    }


async def test_goes_on_where_it_was_when_its_worker_died(
    database: Database, objects: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T7: finished parts are not made again, and nothing is twice or missing."""
    await populate(database, "acme")
    monkeypatch.setattr(exporting, "_ROWS", 2)
    job = await _ordered(database, OWNER)
    before = await contents(database, "acme")
    read: list[str] = []
    pages = exporting.TenantDataRepository.page
    allowed = 0

    async def page(repository: Any, table: Any, *arguments: Any) -> Any:
        nonlocal allowed
        allowed -= 1
        if allowed < 0:
            raise ZeroDivisionError
        found = await pages(repository, table, *arguments)
        read.append(table)
        return found

    monkeypatch.setattr(exporting.TenantDataRepository, "page", page)
    export = ExportTenant(database, objects, part_bytes=1)
    deaths = 0
    while deaths < 500:
        allowed = 15
        try:
            await export.run(job)
            break
        except ZeroDivisionError:
            deaths += 1
    assert 10 < deaths < 500
    # Seven rows, two for each page, each page a part: four pages; of the rest an unfinished part is lost at most.
    assert read.count("form_version") == 4

    bundle = await _fetched(database, objects, OWNER, job.payload["export_id"])
    for name in tables_to_export().keys() - HARMLESS:
        assert bundle.read(f"tables/{name}.jsonl") == before[name], name


async def test_finishing_twice_is_finishing_once(database: Database, objects: ObjectStore) -> None:
    await make_tenant(database)
    job = await _ordered(database, OWNER)
    first = await ExportTenant(database, objects).run(job)
    assert await ExportTenant(database, objects).run(job) == first
    assert [event.type for event in await rows(database, Event)].count("tenant.exported") == 1
    assert [job.kind for job in await rows(database, Job)].count("tenant.export_expire") == 1


async def test_leaves_nothing_when_it_is_not_wanted_any_more(database: Database, objects: ObjectStore) -> None:
    """T7: the tenant may be erased meanwhile."""
    await make_tenant(database)
    job = await _ordered(database, OWNER)
    await _put(objects, f"acme/exports/{job.payload['export_id']}/parts/form-0", b"half")
    async with database.unscoped_write() as unit:
        await unit.session.execute(delete(TenantExport))
    with pytest.raises(GiveUp):
        await ExportTenant(database, objects).run(job)
    assert [key async for key, _ in objects.below("acme")] == []


async def test_is_made_one_at_a_time(database: Database, objects: ObjectStore) -> None:
    """T7: while one is made, its job is answered."""
    await make_tenant(database)
    orders = await asyncio.gather(*(Tenancy(database).start_export(OWNER, "acme") for _ in range(6)))
    assert len({order.job_id for order in orders}) == 1
    async with database.unscoped_write() as unit:
        await unit.session.execute(update(Job).values(state="failed"))
    again = await Tenancy(database).start_export(OWNER, "acme")
    assert again != orders[0]
    listed = await Tenancy(database).list_exports(OWNER, "acme", None, 1)
    assert [(each.job_id, each.state) for each in listed.data] == [(again.job_id, "queued")]
    rest = await Tenancy(database).list_exports(OWNER, "acme", listed.meta.next_cursor, 1)
    assert [(each.job_id, each.state) for each in rest.data] == [(orders[0].job_id, "failed")]


async def test_expires(database: Database, objects: ObjectStore) -> None:
    """T7: after seven days nobody can fetch it, and then it is gone."""
    await make_tenant(database)
    job = await _ordered(database, OWNER)
    export_id = job.payload["export_id"]
    with pytest.raises(ExportNotReady):
        await Tenancy(database).open_export(OWNER, "acme", export_id)
    await ExportTenant(database, objects).run(job)
    (expire,) = [row for row in await rows(database, Job) if row.kind == "tenant.export_expire"]
    assert timedelta(days=6, hours=23) < expire.run_at - utc_now() <= timedelta(days=7)
    async with database.unscoped_write() as unit:
        await unit.session.execute(update(TenantExport).values(expires_at=utc_now()))
    with pytest.raises(ExportNotFound):
        await Tenancy(database).open_export(OWNER, "acme", export_id)
    for _ in range(2):
        done = await ExpireExport(objects).run(attempt("acme", expire.payload))
        assert done.effect is not None
        async with database.write("acme") as unit:
            await done.effect(unit)
    assert [key async for key, _ in objects.below("acme")] == []
    assert (await Tenancy(database).list_exports(OWNER, "acme", None, 10)).data == []


async def test_is_the_owners_and_the_platforms(database: Database) -> None:
    """T5, U5."""
    await make_tenant(database)
    await make_tenant(database, "other")
    await ensure_administrator(database, "root@example.com", "correct horse battery")
    admin = Principal("acme", "usr_2", "user", "admin", frozenset({"tenant:read", "tenant:write"}))
    with pytest.raises(Forbidden):
        await Tenancy(database).start_export(admin, "acme")
    for tenant_id in ("other", "nowhere", PLATFORM_TENANT):
        for call in (
            Tenancy(database).start_export(OWNER, tenant_id),
            Tenancy(database).list_exports(OWNER, tenant_id, None, 1),
            Tenancy(database).open_export(OWNER, tenant_id, "exp_1"),
        ):
            with pytest.raises(TenantNotFound):
                await call


async def test_an_administrator_exports_a_closed_tenant(database: Database, objects: ObjectStore) -> None:
    """T7: its own jobs are held, so the job is the platform's."""
    await populate(database, "acme", deleted=True)
    await ensure_administrator(database, "root@example.com", "correct horse battery")
    with pytest.raises(TenantNotFound):
        await Tenancy(database).start_export(OWNER, "acme")
    job = await _ordered(database, ROOT)
    assert job.tenant_id == PLATFORM_TENANT
    await ExportTenant(database, objects).run(job)
    assert "tables/response.jsonl" in (await _fetched(database, objects, ROOT, job.payload["export_id"])).namelist()
    listed = await Tenancy(database).list_exports(ROOT, "acme", None, 10)
    assert listed.data[0].state == "ready"


@pytest.fixture
async def platform(
    database_settings: DatabaseSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Any]:
    async with one_process(settings_for(tmp_path, database_settings), monkeypatch) as running:
        yield running


async def test_over_http(platform: Any) -> None:
    """T7: ordered, waited for, fetched, written down."""
    client = await platform.sign_up()
    form = {"slug": "party", "title": "Party", "definition": {"pages": []}}
    form["definition"] = {"pages": [{"id": "p", "elements": [{"id": "n", "type": "short_text", "title": "N"}]}]}
    assert (await client.post("/api/v1/forms", json=form)).status_code == 201
    ordered = await client.post("/api/v1/tenants/acme/export")
    assert ordered.status_code == 202, ordered.text
    async with asyncio.timeout(30):
        while (job := (await client.get(ordered.headers["location"])).json())["state"] != "succeeded":
            assert job["state"] in ("queued", "running"), job
            await asyncio.sleep(0.05)
    fetched = await client.get(job["result"]["download_url"])
    assert (fetched.status_code, fetched.headers["content-type"]) == (200, "application/zip")
    assert len(fetched.content) == job["result"]["bytes"]
    bundle = zipfile.ZipFile(io.BytesIO(fetched.content))
    (row,) = map(orjson.loads, bundle.read("tables/form.jsonl").splitlines())
    assert (row["slug"], row["title"]) == ("party", "Party")
    objects = ObjectStore(platform.settings.object_store())
    while await objects.delete_some("acme"):
        pass
    assert (await client.get(job["result"]["download_url"])).status_code == 404
    listed = (await client.get("/api/v1/tenants/acme/exports")).json()["data"]
    assert [(each["state"], each["bytes"]) for each in listed] == [("ready", len(fetched.content))]
    actions = [entry["action"] for entry in (await client.get("/api/v1/audit?limit=100")).json()["data"]]
    assert actions[:4] == [
        "tenant.export_fetched",
        "tenant.export_fetched",
        "tenant.exported",
        "tenant.export_requested",
    ]


def test_a_line_holds_what_a_column_can_hold() -> None:
    """T7: an export must not stop at the first table with another kind of column."""
    row = {"at": datetime(2026, 1, 2, tzinfo=UTC), "on": date(2026, 1, 2), "raw": b"\x00\xff", "sum": Decimal("1.10")}
    assert line_of(row) == b'{"at":"2026-01-02T00:00:00+00:00","on":"2026-01-02","raw":"AP8=","sum":"1.10"}\n'
    with pytest.raises(TypeError):
        line_of({"what": object()})


async def test_an_export_by_the_clock_is_as_if_the_owner_had_ordered_it(database: Database) -> None:
    """J3, T7: once for each run; not where exports are switched off."""
    await make_tenant(database)
    run = attempt("acme", {"scheduled_for": "2026-05-02T06:00:00+00:00"})
    done = await OrderExport(database).run(run)
    assert done.effect is not None
    for _ in range(2):
        async with database.write("acme") as unit:
            await done.effect(unit)
    (export,) = await rows(database, TenantExport)
    assert [(job.tenant_id, job.kind) for job in await rows(database, Job)] == [("acme", "tenant.export")]
    assert export.requested_by == run.created_by
    await make_tenant(database, "plain", features={"exports": False})
    with pytest.raises(GiveUp, match="switched off"):
        await OrderExport(database).run(attempt("plain", {}))
