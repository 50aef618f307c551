"""P1, P2: reports over HTTP: ordered, made by a worker, fetched by ranges and by links, scheduled and mailed."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from db.settings import DatabaseSettings
from serve_app import subscriptions
from tests.architecture.rooms import ROOT
from tests.deployments.reports.test_documents import text_of
from tests.deployments.reports.test_making import FORM, Figures
from tests.e2e.platform import finished_job
from tests.serve_app.one_process import OneProcess, one_process, settings_for
from tests.serve_app.test_guides import _commands as commands_of
from tests.serve_app.test_guides import _request as request_of

GUIDE = ROOT / "docs" / "guides" / "reports.md"


@pytest.fixture
async def platform(
    tmp_path: Path, sqlite_settings: DatabaseSettings, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[OneProcess]:
    monkeypatch.setattr(subscriptions, "LiveMetrics", lambda _: Figures())
    async with one_process(settings_for(tmp_path, sqlite_settings), monkeypatch) as running:
        yield running


async def test_a_report_is_ordered_fetched_and_mailed(platform: OneProcess, tmp_path: Path) -> None:
    client = await platform.sign_up()
    made = await client.post("/api/v1/forms", json={"slug": "party", "title": "Party", "definition": FORM})
    form_id = made.json()["id"]
    assert (await client.post(f"/api/v1/forms/{form_id}/publish")).status_code == 200
    order = {"form_id": form_id, "language": "de"}
    ordered = await client.post("/api/v1/reports", json=order, headers={"Idempotency-Key": "k1"})
    assert ordered.status_code == 202, ordered.text
    again = await client.post("/api/v1/reports", json=order, headers={"Idempotency-Key": "k1"})
    assert (again.json(), again.headers["idempotent-replayed"]) == (ordered.json(), "true")
    job = await finished_job(client, ordered.headers["location"])
    assert job["state"] == "succeeded", job
    file = await client.get(job["result"]["download_url"])
    assert (file.status_code, file.headers["content-type"]) == (200, "application/pdf")
    assert "Vollständige Antworten 200" in text_of(file.content)
    part = await client.get(job["result"]["download_url"], headers={"Range": "bytes=0-4"})
    assert (part.status_code, part.content) == (206, b"%PDF-")
    report = f"/api/v1/reports/{ordered.json()['report_id']}"
    link = (await client.post(f"{report}/link", json={})).json()["url"]
    async with platform.client() as anybody:
        assert (await anybody.get(link)).content == file.content
    assert [each["id"] for each in (await client.get("/api/v1/reports")).json()["data"]] == [report[16:]]

    sent = await client.post(f"/api/v1/forms/{form_id}/responses", json={"answers": {"name": "Ada", "side": ["a"]}})
    path = f"/api/v1/responses/{sent.json()['id']}"
    document = await client.get(f"{path}.pdf", params={"language": "de"})
    assert (document.status_code, document.headers["content-type"]) == (200, "application/pdf")
    assert "Your name Ada" in text_of(document.content)
    known = {"If-None-Match": document.headers["etag"]}
    assert (await client.get(f"{path}.pdf", params={"language": "de"}, headers=known)).status_code == 304
    assert (await client.get(path)).json()["answers"] == {"name": "Ada", "side": ["a"]}
    assert (await client.get("/api/v1/responses/none.pdf")).status_code == 404

    plan = {"name": "Yearly", "form_id": form_id, "cron": "0 0 1 1 *", "recipients": ["boss@acme.example"]}
    wrong = await client.post("/api/v1/report-schedules", json={**plan, "cron": "no", "recipients": ["nobody"]})
    assert wrong.status_code == 422
    assert {(fault["pointer"], fault["code"]) for fault in wrong.json()["errors"]} == {
        ("/cron", "cron.invalid"),
        ("/recipients/0", "format.email"),
    }
    schedule = await client.post("/api/v1/report-schedules", json=plan)
    assert schedule.status_code == 201, schedule.text
    started = await client.post(f"{schedule.headers['location']}/run")
    assert started.status_code == 202
    planned = await finished_job(client, started.headers["location"])
    assert (await finished_job(client, f"/api/v1/jobs/{planned['result']['job_id']}"))["state"] == "succeeded"
    async with asyncio.timeout(20):
        while b"boss@acme.example" not in _mails(tmp_path / "mail"):
            await asyncio.sleep(0.05)
    assert (await client.delete(schedule.headers["location"])).status_code == 204
    assert (await client.delete(report)).status_code == 204
    assert (await client.get(report)).status_code == 404


def _mails(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.glob("*.eml"))


async def test_every_command_of_the_guide_works(platform: OneProcess) -> None:
    client = await platform.sign_up()
    variables = {"api": "/api/v1", "auth": f"Authorization: {client.headers['authorization']}"}
    seen: list[tuple[str, int]] = []
    for name, member, command in commands_of(GUIDE):
        answer = await platform.client().request(**request_of(re.sub(r" -o \S+", "", command), variables))
        assert answer.status_code < 300, (command, answer.text)
        if answer.status_code == 202:
            assert (await finished_job(client, answer.headers["location"]))["state"] == "succeeded"
        if name is not None and member is not None:
            variables[name] = answer.json()[member]
        seen.append((answer.request.method, answer.status_code))
    assert len(seen) == 15
    assert {("POST", 202), ("DELETE", 204)} < set(seen)
