"""R1, R2, R3, R7 over HTTP: what a response goes through, from its beginning to the purge."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from db.settings import DatabaseSettings
from tests.eventing.harness import eventually
from tests.factories import ANSWERS, PARTY
from tests.serve_app.one_process import OneProcess, one_process, settings_for

PUBLIC = "/api/v1/public/acme/party/responses"
RESUME = "/api/v1/public/responses"


@pytest.fixture
async def platform(
    tmp_path: Path, database_settings: DatabaseSettings, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[OneProcess]:
    settings = settings_for(tmp_path, database_settings, rate_limits={}, access_log=True)
    async with one_process(settings, monkeypatch) as running:
        yield running


async def published(owner: httpx.AsyncClient, **settings: Any) -> str:
    """The party, whose e-mail address is personal."""
    elements = [{**each, "personal": each["id"] == "email"} for each in PARTY["pages"][0]["elements"]]
    definition = {**PARTY, "pages": [{"id": "p1", "elements": elements}]}
    form = {"slug": "party", "title": "Party", "definition": definition, "settings": settings}
    form_id: str = ok(await owner.post("/api/v1/forms", json=form), 201)["id"]
    ok(await owner.post(f"/api/v1/forms/{form_id}/publish"))
    return form_id


def ok(answer: httpx.Response, status: int = 200) -> Any:
    assert answer.status_code == status, answer.text
    return answer.json() if answer.content else None


def refused(answer: httpx.Response, status: int, code: str) -> None:
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text


async def test_a_visitor_goes_on_elsewhere(platform: OneProcess) -> None:
    """R2: save, resume, complete; keys, limits and tokens as the document says."""
    owner, visitor = await platform.sign_up(), platform.client()
    await platform.sign_up("other")
    form_id = await published(owner, max_responses=1)
    with capture_logs() as logs:
        begun = ok(
            await visitor.post(PUBLIC, json={"answers": {"name": "Ada"}, "status": "partial", "timings": {"p1": 10}}),
            201,
        )
        assert begun.keys() == {"id", "status", "version", "submitted_at", "resume_token", "expires_at"}
        address = f"{RESUME}/{begun['resume_token']}"
        again = ok(await platform.client().get(address))
        assert (again["status"], again["answers"], again["version"]) == ("partial", {"name": "Ada"}, 1)
        assert [page["id"] for page in again["definition"]["pages"]] == ["p1"]
        key = {"Idempotency-Key": "k-1"}
        saved = await visitor.patch(address, json={"answers": {"email": "ada@example.org"}}, headers=key)
        assert ok(saved)["answers"] == {"name": "Ada", "email": "ada@example.org"}
        repeated = await visitor.patch(address, json={"answers": {"email": "ada@example.org"}}, headers=key)
        assert (ok(repeated)["status"], repeated.headers["idempotent-replayed"]) == ("partial", "true")
        refused(await visitor.patch(address, json={"answers": {}}, headers=key), 422, "idempotency.mismatch")
        bad = await visitor.patch(address, json={"answers": {"score": 99}, "status": "complete"})
        refused(bad, 422, "response.invalid")
        assert [error["pointer"] for error in bad.json()["errors"]] == ["/answers/score"]
        done = ok(await visitor.patch(address, json={"answers": {"score": 9}, "status": "complete"}))
        assert (done["status"], done["id"]) == ("complete", begun["id"])
        assert "definition" not in done or done["definition"] is None
        repeated = await visitor.patch(address, json={"answers": {"score": 9}, "status": "complete"})
        assert (ok(repeated)["submitted_at"], repeated.headers["idempotent-replayed"]) == (done["submitted_at"], "true")
        refused(await visitor.get(address), 409, "response.completed")
        refused(await visitor.patch(address, json={"answers": {"score": 8}}), 409, "response.completed")
        refused(await visitor.get(f"{RESUME}/fsr_acme.{'x' * 43}"), 404, "response.not_found")
        for token in (begun["resume_token"].replace("acme", "other"), f"fsr_nobody.{'x' * 43}"):
            refused(await visitor.get(f"{RESUME}/{token}"), 404, "response.not_found")
        for token in ("x", "fsr_x", f"fsr_.{'x' * 43}"):
            refused(await visitor.get(f"{RESUME}/{token}"), 404, "not_found")
        second = ok(await visitor.post(PUBLIC, json={"answers": ANSWERS, "status": "partial"}), 201)
        full = await visitor.patch(f"{RESUME}/{second['resume_token']}", json={"status": "complete"})
        refused(full, 403, "quota.responses")
    # H2, R8: tokens and answers have no place in the logs.
    assert any(entry.get("path") == f"{RESUME}/{{resume_token}}" for entry in logs)
    assert begun["resume_token"] not in str(logs)
    assert "ada@example.org" not in str(logs)
    found = ok(await owner.get(f"/api/v1/responses/{begun['id']}"))
    assert (found["status"], found["timings"], found["submitted_by"]) == ("complete", {"p1": 10}, "anonymous")
    assert found["seconds"] >= 0
    assert ok(await owner.get(f"/api/v1/forms/{form_id}/responses?include_total=true"))["meta"]["total"] == 2


async def test_the_tenants_pages_and_limits_count(platform: OneProcess) -> None:
    """H3: the token names the tenant, so its origins and its rate limits hold for those who go on."""
    owner, visitor = await platform.sign_up(), platform.client()
    await published(owner)
    begun = ok(await visitor.post(PUBLIC, json={"answers": {}, "status": "partial"}), 201)
    ok(await owner.patch("/api/v1/tenants/acme", json={"settings": {"allowed_origins": ["https://acme.example"]}}))
    address, page = f"{RESUME}/{begun['resume_token']}", {"Origin": "https://acme.example"}

    async def is_allowed() -> bool:
        answer = await visitor.get(address, headers=page)
        return answer.headers.get("access-control-allow-origin") == page["Origin"]

    await eventually(is_allowed)
    asked = {**page, "Access-Control-Request-Method": "PATCH"}
    assert "PATCH" in (await visitor.options(address, headers=asked)).headers["access-control-allow-methods"]
    foreign = await visitor.get(address, headers={"Origin": "https://evil.example"})
    assert "access-control-allow-origin" not in foreign.headers
    assert (await visitor.get(address, headers={"X-Tenant-ID": "other"})).status_code == 400


async def test_a_person_begins_one_too(platform: OneProcess) -> None:
    """R2: with a credential; the one who began it is who submitted it."""
    owner = await platform.sign_up()
    form_id = await published(owner)
    begun = ok(await owner.post(f"/api/v1/forms/{form_id}/responses", json={"answers": {}, "status": "partial"}), 201)
    ok(
        await platform.client().patch(
            f"{RESUME}/{begun['resume_token']}", json={"answers": ANSWERS, "status": "complete"}
        )
    )
    me = ok(await owner.get("/api/v1/me"))["subject"]
    assert ok(await owner.get(f"/api/v1/responses/{begun['id']}"))["submitted_by"] == me


async def test_a_response_is_worked_on(platform: OneProcess) -> None:
    """R3: edit with If-Match, history, diff, revert, review, comments, tags, assignment."""
    owner = await platform.sign_up()
    form_id = await published(owner)
    response_id = ok(await platform.client().post(PUBLIC, json={"answers": ANSWERS}), 201)["id"]
    its = f"/api/v1/responses/{response_id}"
    first = await owner.get(its)
    assert first.headers["etag"] == '"1"'
    edited = await owner.patch(its, json={"answers": {"name": "Eve"}, "reason": "asked"}, headers={"If-Match": '"1"'})
    assert (ok(edited)["revision"], edited.headers["etag"]) == (2, '"2"')
    stale = await owner.patch(its, json={"answers": {"name": "Zoë"}}, headers={"If-Match": '"1"'})
    refused(stale, 412, "response.outdated")
    assert ok(await owner.patch(its, json={"answers": {"name": "Zoë"}}))["revision"] == 3
    versions = ok(await owner.get(f"{its}/versions?limit=2"))
    assert [(each["revision"], each["reason"]) for each in versions["data"]] == [(3, None), (2, "asked")]
    cursor = versions["meta"]["next_cursor"]
    assert [each["revision"] for each in ok(await owner.get(f"{its}/versions?cursor={cursor}"))["data"]] == [1]
    assert ok(await owner.get(f"{its}/versions/1"))["answers"] == ANSWERS
    assert (await owner.get(f"{its}/versions/x")).status_code == 404
    changed = ok(await owner.get(f"{its}/diff?from=1&to=3"))
    assert changed["changes"] == [{"field": "name", "before": "Ada", "after": "Zoë"}]
    assert (await owner.get(f"{its}/diff?from=0")).status_code == 422
    assert ok(await owner.post(f"{its}/revert", json={"revision": 1}))["answers"] == ANSWERS

    me = ok(await owner.get("/api/v1/me"))["subject"]
    ok(await owner.put(f"{its}/review", json={"state": "in_review", "comment": "Is it she?"}))
    refused(await owner.put(f"{its}/review", json={"state": "perhaps"}), 422, "invalid")
    ok(await owner.put(f"{its}/assignee", json={"user_id": me}))
    ok(await owner.post(f"{its}/tags", json={"add": ["vip"]}))
    comment = ok(await owner.post(f"{its}/comments", json={"text": "Call her."}), 201)
    ok(await owner.patch(f"{its}/comments/{comment['id']}", json={"text": "Called her."}))
    found = ok(await owner.get(its))
    assert (found["review"], found["reviewed_by"], found["assignee"], found["tags"]) == ("in_review", me, me, ["vip"])
    assert [each["text"] for each in found["comments"]] == ["Is it she?", "Called her."]
    assert (await owner.delete(f"{its}/comments/{comment['id']}")).status_code == 204
    assert len(ok(await owner.get(f"{its}/comments"))["data"]) == 1
    assert ok(await owner.get(f"/api/v1/forms/{form_id}/responses/tags"))["data"] == [{"tag": "vip", "count": 1}]


async def test_a_viewer_reads_and_comments(platform: OneProcess) -> None:
    """U5, R8: without personal data, and without a hand in anything else."""
    owner = await platform.sign_up()
    form_id = await published(owner)
    response_id = ok(await platform.client().post(PUBLIC, json={"answers": ANSWERS}), 201)["id"]
    new = {"email": "v@acme.example", "password": "correct horse battery", "name": "V", "role": "viewer"}
    ok(await owner.post("/api/v1/users", json=new), 201)
    login = {"tenant": "acme", "email": "v@acme.example", "password": "correct horse battery"}
    viewer = platform.client(ok(await platform.client().post("/api/v1/auth/login", json=login))["access_token"])
    its = f"/api/v1/responses/{response_id}"
    found = ok(await viewer.get(its))
    assert (found["answers"]["email"], found["answers"]["name"], found["masked"]) == (None, "Ada", ["email"])
    assert ok(await viewer.post(f"{its}/comments", json={"text": "Nice."}), 201)["text"] == "Nice."
    listed = await viewer.get(f"/api/v1/forms/{form_id}/responses")
    exported = await viewer.get(f"/api/v1/forms/{form_id}/responses.csv")
    for answer in (listed, exported):
        assert answer.status_code == 200
        assert "Ada" in answer.text
        assert ANSWERS["email"] not in answer.text
    refused(await viewer.patch(its, json={"answers": {"name": "Eve"}}), 403, "forbidden")
    refused(await viewer.delete(its), 403, "forbidden")


async def test_to_the_trash_and_back_by_the_hundred(platform: OneProcess) -> None:
    """R3, R7: a job with progress and a count of what became of each."""
    owner, visitor = await platform.sign_up(), platform.client()
    form_id = await published(owner)
    ids = [ok(await visitor.post(PUBLIC, json={"answers": ANSWERS}), 201)["id"] for _ in range(5)]
    bulk = f"/api/v1/forms/{form_id}/responses/bulk"
    order = {"action": "trash", "ids": [*ids[:4], "rsp_none"]}
    started = await owner.post(bulk, json=order, headers={"Idempotency-Key": "k-1"})
    job = await finished(owner, started)
    assert job["progress"] == {"done": 5, "total": 5}
    assert (job["result"]["changed"], job["result"]["failed"]) == (4, 1)
    assert [error["id"] for error in job["result"]["errors"]] == ["rsp_none"]
    repeated = await owner.post(bulk, json=order, headers={"Idempotency-Key": "k-1"})
    assert repeated.headers["location"] == started.headers["location"]
    assert repeated.headers["idempotent-replayed"] == "true"
    refused(await owner.post(bulk, json={"action": "trash"}), 422, "invalid")

    trash = ok(await owner.get(f"/api/v1/forms/{form_id}/responses/trash?limit=3"))
    assert (len(trash["data"]), trash["meta"]["next_cursor"] is not None) == (3, True)
    assert (await owner.get(f"/api/v1/responses/{ids[0]}")).status_code == 404
    assert ok(await owner.post(f"/api/v1/responses/{ids[0]}/restore"))["id"] == ids[0]
    assert (await owner.post(f"/api/v1/responses/{ids[1]}/purge")).status_code == 204
    refused(await owner.post(f"/api/v1/responses/{ids[1]}/restore"), 404, "response.not_found")
    job = await finished(owner, await owner.post(bulk, json={"action": "restore", "filter": {}}))
    assert job["result"]["changed"] == 2
    job = await finished(owner, await owner.post(bulk, json={"action": "tag", "filter": {}, "tags": ["done"]}))
    assert (job["result"]["changed"], job["progress"]["total"]) == (4, 4)


async def finished(client: httpx.AsyncClient, started: httpx.Response) -> Any:
    assert started.status_code == 202, started.text

    async def has_ended() -> bool:
        return ok(await client.get(started.headers["location"]))["state"] in {"succeeded", "failed"}

    await eventually(has_ended)
    job = ok(await client.get(started.headers["location"]))
    assert job["state"] == "succeeded", job
    return job
