"""Z1: from a request to its effects, through the edge, the contexts, the relay, NATS, the consumers and the jobs."""

import asyncio
import csv
import email
import io
from collections.abc import AsyncIterator
from email.policy import default
from pathlib import Path
from typing import Any

import httpx
import pytest
from standardwebhooks import Webhook

from db.settings import DatabaseSettings
from tests.deployments.local_http import answer, serving
from tests.eventing.harness import empty_stream, eventually, is_true
from tests.factories import ANSWERS, PARTY
from tests.serve_app.one_process import NOWHERE, OneProcess, one_process, settings_for

SURVEY = "RespondentID,Name,Score\n1,Ada,3\n2,Grace,5\n3,Zoë,4\n"


@pytest.fixture
async def platform(
    tmp_path: Path, database_settings: DatabaseSettings, nats_server: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[OneProcess]:
    async with empty_stream(nats_server):
        pass
    settings = settings_for(tmp_path, database_settings, nats_server)
    async with one_process(settings, monkeypatch) as running:
        yield running


@pytest.fixture
async def quiet_platform(
    tmp_path: Path, database_settings: DatabaseSettings, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[OneProcess]:
    """One whose NATS server is away."""
    async with one_process(settings_for(tmp_path, database_settings, NOWHERE), monkeypatch, works=False) as running:
        yield running


async def publish_party(client: httpx.AsyncClient, **settings: Any) -> str:
    created = await client.post(
        "/api/v1/forms", json={"slug": "party", "title": "Party", "definition": PARTY, "settings": settings}
    )
    assert created.status_code == 201, created.text
    form_id: str = created.json()["id"]
    published = await client.post(f"/api/v1/forms/{form_id}/publish")
    assert published.status_code == 200, published.text
    return form_id


async def test_a_submission_becomes_a_mail_and_a_signed_delivery(platform: OneProcess) -> None:
    """E2, N1, W1."""
    async with await platform.sign_up() as client, serving(answer("204 No Content")) as receiver:
        form_id = await publish_party(client, send_notification=True, notification_recipients=["team@example.org"])
        hook = await client.post(
            "/api/v1/webhooks",
            json={"url": f"http://127.0.0.1:{receiver.port}/hook", "events": ["response.submitted"]},
        )
        assert hook.status_code == 201, hook.text
        submitted = await client.post("/api/v1/public/acme/party/responses", json={"answers": ANSWERS})
        assert submitted.status_code == 201, submitted.text
        async with asyncio.timeout(30):
            await receiver.seen.wait()
        (request,) = receiver.requests
        event = Webhook(hook.json()["secret"]).verify(request.body, request.headers)
        assert event["data"]["response_id"] == submitted.json()["id"]

        folder = platform.settings.data_dir / "mail"

        def mailed() -> set[str]:
            messages = [email.message_from_bytes(path.read_bytes(), policy=default) for path in folder.glob("*.eml")]
            return {str(message["To"]) for message in messages}

        await eventually(lambda: is_true(lambda: mailed() == {"owner@acme.example", "team@example.org"}))

        async def is_delivered() -> bool:
            page = await client.get(f"/api/v1/webhooks/{hook.json()['id']}/deliveries")
            return [row["state"] for row in page.json()["data"]] == ["delivered"]

        await eventually(is_delivered)
        listed = await client.get(f"/api/v1/forms/{form_id}/responses")
        assert [row["answers"] for row in listed.json()["data"]] == [ANSWERS]


async def test_a_survey_is_imported_by_a_job(platform: OneProcess) -> None:
    """F6, J2, X1."""
    async with await platform.sign_up() as client:
        started = await client.post(
            "/api/v1/imports",
            files={"file": ("survey.csv", SURVEY.encode(), "text/csv")},
            data={"format": "surveymonkey_csv", "slug": "survey", "title": "Survey"},
            headers={"Idempotency-Key": "once"},
        )
        assert started.status_code == 202, started.text

        async def has_ended() -> bool:
            return (await client.get(started.headers["location"])).json()["state"] in {"succeeded", "failed"}

        await eventually(has_ended)
        job = (await client.get(started.headers["location"])).json()
        assert job["state"] == "succeeded", job
        assert (job["result"]["imported"], job["progress"]) == (3, {"done": 3, "total": 3})
        exported = await client.get(f"/api/v1/forms/{job['result']['form_id']}/responses.csv")
        rows = list(csv.reader(io.StringIO(exported.text)))
        assert {cell for row in rows[1:] for cell in row} >= {"Ada", "Grace", "Zoë"}


async def test_the_parts_say_how_they_are(platform: OneProcess) -> None:
    """O: health of each part, and what autoscaling looks at."""
    assert platform.worker is not None
    assert platform.edge is not None
    async with platform.client() as client:
        assert (await client.get("/health")).status_code == 200
        ready = await client.get("/health/ready")
        assert (ready.status_code, ready.json()["failing"]) == (200, [])
    for host in platform.hosts.values():
        host.check_health()
        assert host.record_autoscaling_stats() == {"calls": 0.0}
    platform.worker.check_health()
    assert await platform.worker.record_autoscaling_stats() == {"lag": 0.0}
    await platform.edge.check_health()


async def test_parts_whose_loops_have_ended_ask_to_be_replaced(
    platform: OneProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """D5: the controller replaces what raises in check_health."""
    worker = platform.worker
    assert worker is not None
    await eventually(lambda: is_true(lambda: worker._consumers))
    with monkeypatch.context() as patch:
        patch.setattr("serve_app.worker._STALE_S", -1.0)
        with pytest.raises(RuntimeError, match="consumer"):
            worker.check_health()
    worker._running.cancel()
    await asyncio.wait({worker._running})
    with pytest.raises(RuntimeError, match="job runner"):
        worker.check_health()
    host = platform.hosts["hot"]
    host._runtime._link._task.cancel()
    await asyncio.wait({host._runtime._link._task})
    with pytest.raises(RuntimeError, match="event transport"):
        host.check_health()


async def test_submissions_do_not_wait_for_nats(quiet_platform: OneProcess) -> None:
    """E7."""
    async with await quiet_platform.sign_up() as client:
        await publish_party(client)
        answers = await asyncio.gather(
            *(client.post("/api/v1/public/acme/party/responses", json={"answers": ANSWERS}) for _ in range(20))
        )
        assert [response.status_code for response in answers] == [201] * 20
        assert (await client.get("/health/ready")).status_code == 200


async def test_calls_of_one_batch_stand_alone(quiet_platform: OneProcess) -> None:
    """D2: each has its own result or error."""
    async with await quiet_platform.sign_up() as client:
        form_id = await publish_party(client)
        paths = [f"/api/v1/forms/{name}" for name in (form_id, "frm_none", form_id, "frm_other")]
        answers = await asyncio.gather(*(client.get(path) for path in paths))
        assert [response.status_code for response in answers] == [200, 404, 200, 404]


@pytest.mark.parametrize("database_url", ["postgresql://nobody@127.0.0.1:1/formstream"])
async def test_a_database_that_is_away_is_503_with_a_time(
    tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """H3: a problem with Retry-After, never a 500; liveness does not depend on it."""
    settings = settings_for(tmp_path, DatabaseSettings(url=database_url))
    async with one_process(settings, monkeypatch, works=False) as platform, platform.client() as client:
        refused = await client.post("/api/v1/public/acme/party/responses", json={"answers": ANSWERS})
        assert refused.status_code == 503, refused.text
        assert refused.headers["content-type"] == "application/problem+json"
        assert int(refused.headers["retry-after"]) >= 1
        assert "127.0.0.1" not in refused.text
        ready = await client.get("/health/ready")
        assert ready.status_code == 503
        assert sorted(ready.json()["failing"]) == ["calm", "hot"]
        assert (await client.get("/health")).status_code == 200
        for host in platform.hosts.values():
            host.check_health()
