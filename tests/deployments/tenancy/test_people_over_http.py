"""R8: a person from the first answer to the receipt, through the API, the workers, a real event stream and files."""

import asyncio
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from rich.console import Console
from sqlalchemy import insert, select, update
from sqlmodel import col

from db.models.events import Event as EventRow
from db.models.forms import FormCounter
from db.models.responses import Response as ResponseRow
from db.session import Database
from db.settings import DatabaseSettings
from db.types import new_id, utc_now
from deployments.kit.objects import ObjectStore
from serve_app.cli import receipt as receipts
from serve_app.cli.failure import CommandFailed
from tests.deployments.files.scene import send
from tests.deployments.tenancy.people import Scene
from tests.deployments.tenancy.population import contents
from tests.eventing.harness import Transport, empty_stream, eventually
from tests.factories import ANSWERS, make_form, make_tenant
from tests.serve_app.one_process import OneProcess, one_process, settings_for

ADA = "ada.lovelace@example.org"
FORM = {
    "slug": "party",
    "title": "Party",
    "definition": {
        "pages": [
            {
                "id": "p1",
                "elements": [
                    {"id": "email", "type": "email", "title": "E-mail"},
                    {"id": "cv", "type": "file", "title": "CV"},
                ],
            }
        ]
    },
}


@pytest.fixture
async def transport(nats_server: str) -> AsyncIterator[Transport]:
    async with empty_stream(nats_server) as transport:
        yield transport


@pytest.fixture
async def platform(
    database_settings: DatabaseSettings,
    transport: Transport,
    nats_server: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[OneProcess]:
    async with one_process(settings_for(tmp_path, database_settings, nats_server), monkeypatch) as running:
        yield running


async def _succeeded(client: httpx.AsyncClient, location: str) -> Any:
    async with asyncio.timeout(60):
        while (job := (await client.get(location)).json())["state"] != "succeeded":
            assert job["state"] in ("queued", "running"), job
            await asyncio.sleep(0.05)
    return job


async def _answer(client: httpx.AsyncClient, email: str) -> dict[str, Any]:
    sent = await send(client, b"the life of a person", f"{email}.txt")
    answers = {"email": email, "cv": [sent.json()["id"]]}
    answer = await client.post("/api/v1/public/acme/party/responses", json={"answers": answers})
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_from_the_first_answer_to_the_receipt(
    platform: OneProcess, database: Database, transport: Transport, tmp_path: Path
) -> None:
    """R8: rows, files, messages; nothing of the neighbour; proof that anybody can check."""
    acme = await platform.sign_up()
    form = (await acme.post("/api/v1/forms", json=FORM)).json()
    assert (await acme.post(f"/api/v1/forms/{form['id']}/publish")).status_code == 200
    anybody = platform.client()
    ada, bob = await _answer(anybody, ADA), await _answer(anybody, "bob@example.org")
    body = {"subject": {"email": ADA.upper()}}
    ordered = await acme.post("/api/v1/erasures", json=body)
    assert ordered.status_code == 202, ordered.text
    await _succeeded(acme, ordered.headers["location"])
    dry = (await acme.get(f"/api/v1/erasures/{ordered.json()['id']}")).json()
    assert (dry["state"], dry["forms"], dry["places"]["file"]) == ("done", {form["id"]: 1}, 1)
    assert (await acme.get(f"/api/v1/responses/{ada['id']}")).status_code == 200

    ordered = await acme.post("/api/v1/erasures", json={**body, "dry_run": False})
    job = await _succeeded(acme, ordered.headers["location"])

    assert job["result"] == {"erasure_id": ordered.json()["id"], "dry_run": False, "responses": 1}
    assert (await acme.get(f"/api/v1/responses/{ada['id']}")).status_code == 404
    assert (await acme.get(f"/api/v1/responses/{bob['id']}")).status_code == 200
    texts = await contents(database, "acme")
    assert [name for name, text in texts.items() if ADA.encode() in text.lower()] == []
    objects = ObjectStore(platform.settings.object_store())
    assert len([key async for key, _ in objects.below("acme")]) == 1
    stream = transport.client.jetstream()

    async def swept() -> bool:
        info = await stream.stream_info("EVENTS", subjects_filter="events.acme.>")
        return "events.acme.response.purged" in (info.state.subjects or {})

    await eventually(swept)
    info = await stream.stream_info("EVENTS", subjects_filter="events.acme.>")
    assert {"events.acme.response.submitted", "events.acme.file.uploaded"}.isdisjoint(info.state.subjects or {})

    shown = await acme.get(f"/api/v1/erasures/{ordered.json()['id']}/receipt")
    assert shown.status_code == 200, shown.text
    assert (shown.json()["places"]["file"], shown.json()["places"]["stream_message"]) == (1, 4)
    file = tmp_path / "receipt.json"
    file.write_text(shown.text)
    key = receipts.platform_key(platform.settings, file)
    receipts.verify(file, key, Console(quiet=True))
    file.write_text(shown.text.replace('"file":1', '"file":2'))
    with pytest.raises(CommandFailed, match="was not signed"):
        receipts.verify(file, key, Console(quiet=True))


@pytest.mark.parametrize("number", [200, 1_000])
async def test_memory_does_not_grow_with_the_number_of_responses(
    sqlite_settings: DatabaseSettings, tmp_path: Path, number: int
) -> None:
    """R8: all of one person, erased in batches, so that many need as much memory as few."""
    database = Database(sqlite_settings)
    owner = await make_tenant(database)
    form = await make_form(database, owner)
    scene = Scene(database, ObjectStore((tmp_path / "objects").as_uri()), owner)
    await _multiply(database, await scene.submit({**ANSWERS, "email": ADA}), form.id, number)
    erasure = await scene.order({"email": ADA})
    tracemalloc.start()
    try:
        done = await scene.run(erasure, read=200, erased=100, told=200)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    await database.close()
    assert done.forms == {form.id: number}
    assert {"response": number, "event": number}.items() <= done.places.items()
    assert peak < 8 * 2**20


async def _multiply(database: Database, response_id: str, form_id: str, number: int) -> None:
    """So many responses, and events that tell of them, like this one."""
    now = utc_now()
    async with database.write("acme") as unit:
        rows = await unit.session.scalars(select(EventRow).where(col(EventRow.entity_id) == response_id))
        told = rows.one()
        shared = {"tenant_id": "acme", "form_id": form_id}
        response = {**shared, "version": 1, "status": "complete", "answers": {**ANSWERS, "email": ADA}, "meta": {}}
        response |= {"submitted_by": "anonymous", "submitted_at": now}
        event = {**shared, "type": told.type, "occurred_at": now, "published_at": now, "envelope": told.envelope}
        ids = [new_id("rsp") for _ in range(number - 1)]
        connection = await unit.session.connection()
        await connection.execute(
            insert(ResponseRow), [{**response, "id": id_, "change": place} for place, id_ in enumerate(ids, 2)]
        )
        await connection.execute(insert(EventRow), [{**event, "id": new_id("evt"), "entity_id": id_} for id_ in ids])
        counter = update(FormCounter).where(col(FormCounter.form_id) == form_id)
        await unit.session.execute(counter.values(responses=number, changes=number))
