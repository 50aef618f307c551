"""T7: a tenant from its first form to its receipt, through the API, the job runner and a real event stream."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from nats.js import JetStreamContext
from rich.console import Console
from sqlalchemy import update
from sqlmodel import col

from db.models.identity import Tenant
from db.session import Database
from db.settings import DatabaseSettings
from deployments.identity.bootstrap import ensure_administrator
from deployments.kit.objects import ObjectStore
from serve_app.cli import receipt as receipts
from serve_app.cli.failure import CommandFailed
from tests.deployments.tenancy.population import LONG_AGO, counts
from tests.eventing.harness import Transport, empty_stream, eventually
from tests.factories import ANSWERS, PARTY
from tests.serve_app.one_process import OneProcess, one_process, settings_for

PASSWORD = "correct horse battery"


@pytest.fixture
async def transport(nats_server: str) -> AsyncIterator[Transport]:
    async with empty_stream(nats_server) as transport:
        yield transport


@pytest.fixture
async def platform(
    database: Database,
    database_settings: DatabaseSettings,
    transport: Transport,
    nats_server: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[OneProcess]:
    await ensure_administrator(database, "root@example.com", PASSWORD)
    async with one_process(settings_for(tmp_path, database_settings, nats_server), monkeypatch) as running:
        yield running


async def _messages(stream: JetStreamContext, tenant_id: str) -> int:
    info = await stream.stream_info("EVENTS", subjects_filter=f"events.{tenant_id}.>")
    return sum((info.state.subjects or {}).values())


async def _lively(client: httpx.AsyncClient, tenant_id: str) -> None:
    """A form with answers, a webhook and an import."""
    form = await client.post("/api/v1/forms", json={"slug": "party", "title": "Party", "definition": PARTY})
    await client.post(f"/api/v1/forms/{form.json()['id']}/publish")
    hook = {"url": "https://example.invalid/hook", "events": ["response.submitted"]}
    assert (await client.post("/api/v1/webhooks", json=hook)).status_code == 201
    for _ in range(3):
        answer = await client.post(f"/api/v1/public/{tenant_id}/party/responses", json={"answers": ANSWERS})
        assert answer.status_code == 201, answer.text


async def _succeeded(client: httpx.AsyncClient, location: str) -> Any:
    async with asyncio.timeout(60):
        while (job := (await client.get(location)).json())["state"] != "succeeded":
            assert job["state"] in ("queued", "running"), job
            await asyncio.sleep(0.05)
    return job


async def test_from_the_first_form_to_the_receipt(
    platform: OneProcess, database: Database, transport: Transport, tmp_path: Path
) -> None:
    """T7: rows, files, messages; nothing of the neighbour; proof that anybody can check."""
    acme, other = await platform.sign_up(), await platform.sign_up("acme2")
    await _lively(acme, "acme")
    await _lively(other, "acme2")
    await _succeeded(acme, (await acme.post("/api/v1/tenants/acme/export")).headers["location"])
    login = {"tenant": None, "email": "root@example.com", "password": PASSWORD}
    root = platform.client((await platform.client().post("/api/v1/auth/login", json=login)).json()["access_token"])
    erase = {"confirm": "acme", "force": True}
    refused = await root.post("/api/v1/tenants/acme/erase", json=erase)
    assert (refused.status_code, refused.json()["code"]) == (409, "erasure.not_deleted")
    assert (await acme.delete("/api/v1/tenants/acme")).status_code == 200
    async with database.unscoped_write() as unit:
        await unit.session.execute(update(Tenant).where(col(Tenant.id) == "acme").values(deleted_at=LONG_AGO))
    stream = transport.client.jetstream()

    async def published() -> bool:
        return await _messages(stream, "acme") >= 5 and await _messages(stream, "acme2") >= 5

    await eventually(published)
    kept = await _messages(stream, "acme2")

    ordered = await root.post("/api/v1/tenants/acme/erase", json=erase)
    assert ordered.status_code == 202, ordered.text
    job = await _succeeded(root, ordered.headers["location"])

    shown = await root.get(job["result"]["receipt_url"])
    assert shown.status_code == 200, shown.text
    receipt = shown.json()
    assert (receipt["rows"]["form"], receipt["rows"]["response"], receipt["rows"]["user_account"]) == (1, 3, 1)
    assert receipt["objects"] == 1
    assert receipt["messages"] >= 5
    assert (await root.get("/api/v1/erasure-receipts")).json()["data"] == [receipt]
    left = await counts(database, "acme")
    assert {name: count for name, count in left.items() if count} == {"tenant": 1}
    assert (await _messages(stream, "acme"), await _messages(stream, "acme2")) == (0, kept)
    objects = ObjectStore(platform.settings.object_store())
    assert [key async for key, _ in objects.below("acme")] == []
    assert (await other.get("/api/v1/forms")).json()["data"][0]["slug"] == "party"
    again = {"tenant": {"id": "acme", "name": "Acme"}, "user": {**login, "name": "Eve"}}
    del again["user"]["tenant"]
    assert (await platform.client().post("/api/v1/signup", json=again)).status_code == 409

    file = tmp_path / "receipt.json"
    file.write_text(shown.text)
    key = receipts.platform_key(platform.settings, file)
    receipts.verify(file, key, Console(quiet=True))
    file.write_text(shown.text.replace('"objects":1', '"objects":0'))
    with pytest.raises(CommandFailed, match="was not signed"):
        receipts.verify(file, key, Console(quiet=True))
    for content, reason in (("{}", "is no receipt"), (None, "cannot be read")):
        file.unlink()
        if content is not None:
            file.write_text(content)
        with pytest.raises(CommandFailed, match=reason):
            receipts.verify(file, key, Console(quiet=True))
