"""U3, N4: one-time codes and second factors over HTTP, with the jobs that carry the codes."""

import email
import json
import re
from collections.abc import AsyncIterator
from email.policy import default
from pathlib import Path
from typing import Any

import httpx
import pyotp
import pytest

from db.session import Database
from db.settings import DatabaseSettings
from deployments.identity.bootstrap import ensure_administrator
from tests.deployments.local_http import answer, serving
from tests.eventing.harness import eventually, is_true
from tests.serve_app.one_process import OneProcess, one_process, settings_for

PASSWORD = {"current_password": "correct horse battery"}
LOGIN = {"tenant": "acme", "email": "owner@acme.example", "password": "correct horse battery"}
PHONE = "+14155552671"


@pytest.fixture
async def platform(
    tmp_path: Path, database_settings: DatabaseSettings, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[OneProcess]:
    """One that works its jobs; its event stream is away, which they do not need."""
    async with one_process(settings_for(tmp_path, database_settings), monkeypatch) as running:
        yield running


async def said(client: httpx.AsyncClient, method: str, path: str, status: int, body: Any = None) -> Any:
    """The JSON of an answer that has this status."""
    response = await client.request(method, f"/api/v1/{path}", json=body)
    assert response.status_code == status, response.text
    return response.json() if response.content else None


async def mailed(platform: OneProcess, subject: str) -> str:
    """The text of the one mail with this subject, once it is there."""
    folder = platform.settings.data_dir / "mail"

    def found() -> list[str]:
        messages = [email.message_from_bytes(path.read_bytes(), policy=default) for path in folder.glob("*.eml")]
        return [
            str(message.get_body(("plain",)).get_content()) for message in messages if message["Subject"] == subject
        ]

    await eventually(lambda: is_true(found))
    (text,) = found()
    return text


def code_in(text: str) -> str:
    found = re.search(r"\b\d{6}\b", text)
    assert found is not None, text
    return found[0]


async def allow(platform: OneProcess, **features: bool) -> None:
    """Switch features of `acme` on, as the platform's administrator."""
    anybody = platform.client()
    login = {"tenant": None, "email": "root@example.com", "password": "correct horse battery"}
    token = (await said(anybody, "POST", "auth/login", 200, login))["access_token"]
    await said(platform.client(token), "PATCH", "tenants/acme", 200, {"settings": {"features": features}})


@pytest.fixture
async def administrator(platform: OneProcess) -> None:
    database = Database(platform.settings.database())
    await ensure_administrator(database, "root@example.com", "correct horse battery")
    await database.close()


async def test_login_by_a_code_in_the_mail(platform: OneProcess, administrator: None) -> None:
    """U3: from the request to the session; an unknown account is answered alike."""
    await platform.sign_up()
    await allow(platform, login_codes=True)
    anybody = platform.client()
    unknown = await said(anybody, "POST", "auth/otp/request", 202, {"tenant": "nowhere", "email": "owner@acme.example"})
    sent = await said(anybody, "POST", "auth/otp/request", 202, {"tenant": "acme", "email": "Owner@acme.example"})
    assert sent.keys() == unknown.keys() == {"challenge", "expires_in"}
    limited = await anybody.post("/api/v1/auth/otp/request", json={"tenant": "acme", "email": "owner@acme.example"})
    assert (limited.status_code, limited.json()["code"]) == (429, "login.code_limited")
    assert 0 < int(limited.headers["retry-after"]) <= 30

    code = code_in(await mailed(platform, "Your code to log in"))

    wrong = await said(anybody, "POST", "auth/otp/verify", 401, {"challenge": unknown["challenge"], "code": code})
    assert wrong["code"] == "login.code_failed"
    session = await said(anybody, "POST", "auth/otp/verify", 200, {"challenge": sent["challenge"], "code": code})
    me = await said(platform.client(session["access_token"]), "GET", "me", 200)
    assert me["user"]["email"] == "owner@acme.example"


async def test_an_authenticator_app_from_setup_to_recovery(platform: OneProcess) -> None:
    """U3: the refusal names the challenge and the methods as members of the problem (RFC 9457)."""
    owner = await platform.sign_up()
    anybody = platform.client()
    refused = await said(owner, "POST", "auth/totp", 422, {"current_password": "wrong password"})
    assert [fault["pointer"] for fault in refused["errors"]] == ["/current_password"]
    started = await said(owner, "POST", "auth/totp", 200, PASSWORD)
    app = pyotp.TOTP(started["secret"])
    assert started["uri"].startswith("otpauth://totp/acme:owner%40acme.example?secret=")
    codes = (await said(owner, "POST", "auth/totp/confirm", 200, {"code": app.now()}))["recovery_codes"]
    await mailed(platform, "A way to log in was added")

    problem = await said(anybody, "POST", "auth/login", 401, LOGIN)

    assert problem["code"] == "login.second_factor"
    assert problem["type"] == "urn:formstream:problem:login.second_factor"
    assert (problem["methods"], problem["channels"], problem["expires_in"]) == (["totp", "recovery"], [], 300)
    shown = {"challenge": problem["challenge"], "method": "recovery", "code": codes[3]}
    session = await said(anybody, "POST", "auth/login/second-factor", 200, shown)
    assert (await said(anybody, "POST", "auth/login/second-factor", 401, shown))["code"] == "login.code_failed"
    again = platform.client(session["access_token"])
    factors = await said(again, "GET", "auth/factors", 200)
    assert ([factor["kind"] for factor in factors["data"]], factors["recovery_codes_left"]) == (["totp"], 9)
    assert len((await said(again, "POST", "auth/totp/recovery-codes", 200, PASSWORD))["recovery_codes"]) == 10
    await mailed(platform, "A recovery code was used")
    await said(again, "DELETE", "auth/totp", 422, {})
    await said(again, "DELETE", "auth/totp", 204, PASSWORD)
    await mailed(platform, "A way to log in was removed")
    await said(anybody, "POST", "auth/login", 200, LOGIN)
    actions = [entry["action"] for entry in (await said(owner, "GET", "audit?limit=100", 200))["data"]]
    assert {"user.factor_added", "user.factor_removed", "user.recovery_code_used"} <= set(actions)


async def test_text_messages_as_second_factor(
    tmp_path: Path, sqlite_settings: DatabaseSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """U3, N4: through a provider that speaks Twilio's API."""
    async with serving(answer("201 Created", b'{"sid": "SM1"}')) as provider:
        url = f"twilio://AC1:token@127.0.0.1:{provider.port}?from=+15550100&scheme=http"
        settings = settings_for(tmp_path, sqlite_settings, sms_url=url)
        async with one_process(settings, monkeypatch) as platform:
            owner, anybody = await platform.sign_up(), platform.client()

            async def texted(number: int) -> str:
                await eventually(lambda: is_true(lambda: len(provider.requests) >= number))
                return code_in(provider.requests[number - 1].body.decode().partition("Body=")[2])

            assert (await said(owner, "PUT", "auth/factors/sms", 409, PASSWORD))["code"] == "phone.missing"
            sent = await said(owner, "PUT", "auth/phone", 202, {"phone": "+1 415 555 2671", **PASSWORD})
            proof = {"challenge": sent["challenge"], "code": await texted(1)}
            assert (await said(owner, "POST", "auth/phone/verify", 200, proof))["phone"] == PHONE
            assert len((await said(owner, "PUT", "auth/factors/sms", 200, PASSWORD))["recovery_codes"]) == 10

            problem = await said(anybody, "POST", "auth/login", 401, LOGIN)
            assert (problem["methods"], problem["channels"]) == (["code", "recovery"], ["sms"])
            ask = {"challenge": problem["challenge"], "channel": "sms"}
            await said(anybody, "POST", "auth/login/second-factor/code", 202, ask)
            shown = {"challenge": problem["challenge"], "method": "code", "code": await texted(2)}
            await said(anybody, "POST", "auth/login/second-factor", 200, shown)
            await said(owner, "DELETE", "auth/phone", 204, PASSWORD)
            await said(anybody, "POST", "auth/login", 200, LOGIN)


async def test_without_a_provider_messages_land_in_a_folder(platform: OneProcess) -> None:
    """N4: development needs no provider."""
    owner = await platform.sign_up()
    await said(owner, "PUT", "auth/phone", 202, {"phone": PHONE, **PASSWORD})
    folder = platform.settings.data_dir / "sms"
    await eventually(lambda: is_true(lambda: list(folder.glob("*.json"))))
    (path,) = folder.glob("*.json")
    assert json.loads(path.read_bytes())["to"] == PHONE


async def test_a_tenant_requires_a_second_factor(platform: OneProcess, administrator: None) -> None:
    """U3: who has none sets one up on the way in; an administrator of the tenant takes it away again."""
    owner, anybody = await platform.sign_up(), platform.client()
    ann = {"email": "ann@acme.example", "password": "correct horse battery", "name": "Ann", "role": "editor"}
    user_id = (await said(owner, "POST", "users", 201, ann))["id"]
    await allow(platform, require_second_factor=True)
    login = {**LOGIN, "email": "ann@acme.example"}
    problem = await said(anybody, "POST", "auth/login", 401, login)
    assert problem["code"] == "login.second_factor_required_setup"
    challenge = {"challenge": problem["challenge"]}
    started = await said(anybody, "POST", "auth/login/second-factor/setup", 200, challenge)
    code = pyotp.TOTP(started["secret"]).now()
    made = await said(anybody, "POST", "auth/login/second-factor/setup/confirm", 200, {**challenge, "code": code})
    assert len(made["recovery_codes"]) == 10
    assert (await said(platform.client(made["access_token"]), "GET", "me", 200))["role"] == "editor"
    assert (await said(anybody, "POST", "auth/login", 401, login))["code"] == "login.second_factor"

    await said(owner, "DELETE", f"users/{user_id}/factors", 204)

    again = await said(anybody, "POST", "auth/login", 401, login)
    assert again["code"] == "login.second_factor_required_setup"


async def test_every_fault_of_a_request_is_named(platform: OneProcess) -> None:
    """H2: all at once, and unreadable input is told apart from wrong codes."""
    anybody = platform.client()
    problem = await said(
        anybody, "POST", "auth/otp/request", 422, {"tenant": "_platform", "email": "a" * 321, "channel": "fax", "x": 1}
    )
    assert {fault["pointer"] for fault in problem["errors"]} == {"/tenant", "/email", "/channel", "/x"}
    problem = await said(anybody, "POST", "auth/otp/verify", 422, {"challenge": "a b", "code": ""})
    assert {fault["pointer"] for fault in problem["errors"]} == {"/challenge", "/code"}
