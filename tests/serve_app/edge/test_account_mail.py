"""U1: verification, forgotten passwords and invitations over HTTP, on the platform in one process."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from db.settings import DatabaseSettings
from tests.serve_app.one_process import OneProcess, one_process, settings_for

PASSWORD = "correct horse battery"


@pytest.fixture
async def platform(
    tmp_path: Path, database_settings: DatabaseSettings, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[OneProcess]:
    settings = settings_for(tmp_path, database_settings, require_verified_email=True)
    async with one_process(settings, monkeypatch, works=False) as running:
        yield running


def _said(answer: httpx.Response) -> Any:
    return {name: value for name, value in answer.json().items() if name not in ("correlation_id", "instance")}


async def test_forgetting_a_password_tells_nothing(platform: OneProcess) -> None:
    """U1: one answer for what exists and what does not, until the address has asked too often."""
    await platform.sign_up()
    anybody = platform.client()
    asked = [
        {"tenant": "acme", "email": "owner@acme.example"},
        {"tenant": "acme", "email": "nobody@acme.example"},
        {"tenant": "nowhere", "email": "owner@acme.example"},
        {"tenant": None, "email": "not an address"},
    ]
    answers = [await anybody.post("/api/v1/auth/password/forgot", json=body) for body in asked]
    assert {(answer.status_code, answer.content) for answer in answers} == {(202, b"")}
    assert {tuple(sorted(answer.headers)) for answer in answers} == {tuple(sorted(answers[0].headers))}

    more = [{"tenant": "acme", "email": f"guess{number}@acme.example"} for number in range(20)]
    statuses = [(await anybody.post("/api/v1/auth/password/forgot", json=body)).status_code for body in more]
    assert statuses == [202] * 16 + [429] * 4
    refused = await anybody.post("/api/v1/auth/password/forgot", json=more[0])
    assert refused.json()["code"] == "letters.limited"
    assert 0 < int(refused.headers["retry-after"]) <= 3600


async def test_worthless_links_get_one_answer(platform: OneProcess) -> None:
    """U1: 400 `token.invalid`, whatever is wrong with them and wherever they are tried."""
    owner, anybody = await platform.sign_up(), platform.client()
    calls = (
        (anybody, "auth/email/verify", {}),
        (anybody, "auth/password/reset", {"new_password": PASSWORD}),
        (anybody, "invitations/lookup", {}),
        (anybody, "invitations/accept", {"name": "Ada", "password": PASSWORD}),
        (owner, "invitations/join", {}),
    )
    answers = [
        await client.post(f"/api/v1/{path}", json={"token": token, **body})
        for client, path, body in calls
        for token in ("", "garbage", "fsl_" + "A" * 43)
    ]
    assert {answer.status_code for answer in answers} == {400}
    assert [_said(answer) for answer in answers] == [_said(answers[0])] * len(answers)
    assert answers[0].json()["code"] == "token.invalid"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("auth/email/verify", {"token": "x", "user_id": "usr_1"}),
        ("auth/password/forgot", {"tenant": "acme", "email": "a@b.example", "template": "x"}),
        ("auth/password/reset", {"token": "x", "new_password": PASSWORD, "role": "owner"}),
        ("invitations/accept", {"token": "x", "name": "Ada", "password": PASSWORD, "email": "a@b.example"}),
        ("invitations", {"email": "a@b.example", "role": "viewer", "invited_by": "usr_1"}),
        ("invitations", {"email": "a@b.example", "role": "administrator"}),
        ("invitations", {"email": "a@b.example", "name": "Ada\r\nBcc: all@example.com"}),
        ("auth/email/change", {"email": "a@b.example\r\nBcc: all@example.com", "current_password": PASSWORD}),
    ],
)
async def test_what_nobody_asked_for_is_refused(platform: OneProcess, path: str, body: dict[str, Any]) -> None:
    """API3: no property beyond the contract, no role that is none, no line breaks."""
    owner = await platform.sign_up()
    answer = await owner.post(f"/api/v1/{path}", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")


async def test_logging_in_needs_the_address(platform: OneProcess) -> None:
    """U1: with FORMSTREAM_REQUIRE_VERIFIED_EMAIL; a wrong password is told nothing of it."""
    owner = await platform.sign_up()
    login = {"tenant": "acme", "email": "owner@acme.example", "password": PASSWORD}
    answer = await platform.client().post("/api/v1/auth/login", json=login)
    assert (answer.status_code, answer.json()["code"]) == (403, "login.email_unverified")
    wrong = await platform.client().post("/api/v1/auth/login", json={**login, "password": "wrong password"})
    assert (wrong.status_code, wrong.json()["code"]) == (401, "login.failed")
    assert (await owner.post("/api/v1/auth/email/verify/resend")).status_code == 202
    me = (await owner.get("/api/v1/me")).json()["user"]
    assert me["email_verified_at"] is None


async def test_invitations_are_listed_sent_again_and_taken_back(platform: OneProcess) -> None:
    """U1: what is shown of an invitation opens nothing."""
    owner = await platform.sign_up()
    made = await owner.post("/api/v1/invitations", json={"email": "ada@example.com"})
    assert made.status_code == 201
    assert made.json().keys() == {
        *("id", "email", "name", "role", "form_id", "form_role", "invited_by", "created_at", "expires_at")
    }
    again = await owner.post(f"/api/v1/invitations/{made.json()['id']}/resend")
    assert (again.status_code, again.json()["id"]) == (200, made.json()["id"])
    listed = (await owner.get("/api/v1/invitations")).json()
    assert [each["id"] for each in listed["data"]] == [made.json()["id"]]
    assert (await owner.delete(f"/api/v1/invitations/{made.json()['id']}")).status_code == 204
    gone = await owner.delete(f"/api/v1/invitations/{made.json()['id']}")
    assert (gone.status_code, gone.json()["code"]) == (404, "invitation.not_found")
    actions = [each["action"] for each in (await owner.get("/api/v1/audit")).json()["data"]]
    assert {"invitation.created", "invitation.resent", "invitation.revoked"} <= set(actions)
