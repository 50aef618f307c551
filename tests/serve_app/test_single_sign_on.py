"""U8: logging in with a real provider, through the running platform, as a browser does it."""

import re
import warnings
from collections.abc import AsyncIterator, Iterator
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest

from db.session import Database
from db.settings import DatabaseSettings
from deployments.identity.bootstrap import ensure_administrator
from tests.serve_app.one_process import OneProcess, one_process, settings_for

pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning:authlib.*", "ignore::DeprecationWarning:oidc_provider_mock.*"
)


@pytest.fixture(scope="module")
def provider() -> Iterator[str]:
    """The issuer of a provider that runs in a thread of its own and knows `ada`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from oidc_provider_mock import User, run_server_in_thread
    claims: dict[str, Any] = {"email": "ada@acme.example.com", "email_verified": True, "groups": ["staff", "editors"]}
    ada = User(sub="ada", claims=claims)
    eve = User(sub="eve", claims={"email": "eve@acme.example.com", "email_verified": False})
    with run_server_in_thread(user_claims=[ada, eve]) as server:
        yield f"http://127.0.0.1:{server.server_port}"


@pytest.fixture
async def platform(
    tmp_path: Path, database_settings: DatabaseSettings, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[OneProcess]:
    async with one_process(settings_for(tmp_path, database_settings), monkeypatch, works=False) as running:
        yield running


async def connect(owner: httpx.AsyncClient, issuer: str, **provisioning: Any) -> dict[str, Any]:
    rules = {"mode": "auto", "allowed_domains": ["acme.example.com"], **provisioning}
    made = await owner.post(
        "/api/v1/sso/connections",
        json={
            "name": "Mock",
            "issuer": issuer,
            "client_id": "formstream",
            "client_secret": "not-shown-again",
            "provisioning": rules,
        },
    )
    assert made.status_code == 201, made.text
    assert "not-shown-again" not in made.text
    connection: dict[str, Any] = made.json()
    return connection


async def authorize(browser: httpx.AsyncClient, location: str, **form: str) -> str:
    """What the provider sends the browser to, once somebody has filled in its page."""
    page = await browser.get(location)
    assert page.status_code == 200, page.text
    answered = await browser.post(location, data=form)
    assert answered.status_code == 302, answered.text
    return str(answered.headers["location"])


def fragment_of(answer: httpx.Response) -> dict[str, str]:
    assert answer.status_code == 302, answer.text
    return dict(parse_qsl(urlsplit(answer.headers["location"]).fragment))


async def test_a_person_logs_in(platform: OneProcess, provider: str) -> None:
    """U8: there, back, and a session; no token is part of any address."""
    owner = await platform.sign_up()
    connection = await connect(owner, provider, role_claim="groups", role_map={"editors": "editor"})
    assert connection["redirect_uri"] == f"http://127.0.0.1:{platform.settings.port}/api/v1/auth/oidc/callback"
    browser = platform.client()

    started = await browser.get(
        f"/api/v1/auth/oidc/acme/{connection['id']}/start", params={"return_to": "/console?a=b"}
    )
    assert started.status_code == 302, started.text
    cookie = started.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Secure" not in cookie  # this platform is reached without TLS
    assert started.headers["cache-control"] == "private, no-store"

    back = await authorize(browser, started.headers["location"], sub="ada")
    assert back.startswith(connection["redirect_uri"])
    landed = await browser.get(back)
    home = f"http://127.0.0.1:{platform.settings.port}/console?a=b#login_code="
    assert landed.headers["location"].startswith(home), landed.headers["location"]
    code = fragment_of(landed)["login_code"]

    exchanged = await browser.post("/api/v1/auth/oidc/exchange", json={"code": code})
    assert exchanged.status_code == 200, exchanged.text
    me = (await platform.client(exchanged.json()["access_token"]).get("/api/v1/me")).json()
    assert (me["tenant_id"], me["role"], me["user"]["email"]) == ("acme", "editor", "ada@acme.example.com")
    refreshed = await browser.post("/api/v1/auth/refresh", json={"refresh_token": exchanged.json()["refresh_token"]})
    assert refreshed.status_code == 200

    again = await browser.post("/api/v1/auth/oidc/exchange", json={"code": code})
    assert (again.status_code, again.json()["code"]) == (401, "sso.code_invalid")
    replayed = await browser.get(back)
    assert (replayed.status_code, replayed.json()["code"]) == (400, "sso.state_invalid")

    trail = (await owner.get("/api/v1/audit", params={"limit": 100})).json()["data"]
    assert {"sso_connection.created", "user.federated", "user.logged_in"} <= {entry["action"] for entry in trail}
    assert "not-shown-again" not in str(trail)


@pytest.mark.parametrize("cookies", [False, True])
async def test_a_person_logs_out_at_the_provider_too(platform: OneProcess, provider: str, cookies: bool) -> None:
    """V7.6: with tokens or with cookies; the provider names who leaves and sends the browser back."""
    connection = await connect(await platform.sign_up(), provider)
    home = f"http://127.0.0.1:{platform.settings.port}"
    assert connection["post_logout_redirect_uri"] == f"{home}/api/v1/auth/oidc/logged-out"
    browser = platform.client()
    started = await browser.get(f"/api/v1/auth/oidc/acme/{connection['id']}/start")
    landed = await browser.get(await authorize(browser, started.headers["location"], sub="ada"))
    wanted = {"x-session": "cookie"} if cookies else {}
    code = {"code": fragment_of(landed)["login_code"]}
    session = (await browser.post("/api/v1/auth/oidc/exchange", json=code, headers=wanted)).json()

    end = {"return_to": "/console?bye"}
    if cookies:
        proof = {"x-csrf-token": session["csrf_token"]}
    else:
        end |= {"refresh_token": session["refresh_token"]}
        proof = {"authorization": f"Bearer {session['access_token']}"}
    ended = await browser.post("/api/v1/auth/oidc/logout", json=end, headers=proof)
    assert ended.status_code == 200, ended.text
    assert bool(ended.headers.get_list("set-cookie")) is cookies
    assert "formstream_refresh" not in browser.cookies
    url = ended.json()["provider_logout_url"]
    assert url.startswith(f"{provider}/oauth2/end_session?")

    page = await browser.get(url)
    (address,) = re.findall('name="redirect_uri" value="([^"]+)"', page.text)
    sent = await browser.post(f"{provider}/oauth2/end_session/confirm", data={"redirect_uri": unescape(address)})
    back = sent.headers["location"]
    assert back.startswith(f"{connection['post_logout_redirect_uri']}?state=")
    assert (await browser.get(back)).headers["location"] == f"{home}/console?bye"
    assert (await browser.get("/api/v1/auth/oidc/logged-out?state=x")).headers["location"] == f"{home}/"


async def test_a_person_who_changes_their_mind_comes_back(platform: OneProcess, provider: str) -> None:
    """U8: `error=access_denied` leads home, with the reason."""
    connection = await connect(await platform.sign_up(), provider)
    browser = platform.client()
    started = await browser.get(f"/api/v1/auth/oidc/acme/{connection['id']}/start")
    back = await authorize(browser, started.headers["location"], sub="ada", action="deny")
    if "state=" not in back:  # this provider forgets it, which the standard does not allow
        state = dict(parse_qsl(urlsplit(started.headers["location"]).query))["state"]
        back = str(httpx.URL(back).copy_merge_params({"state": state}))
    assert fragment_of(await browser.get(back)) == {"error": "sso.denied"}


async def test_an_unverified_email_opens_nothing(platform: OneProcess, provider: str) -> None:
    """U8: or everybody could be anybody."""
    connection = await connect(await platform.sign_up(), provider)
    browser = platform.client()
    started = await browser.get(f"/api/v1/auth/oidc/acme/{connection['id']}/start")
    back = await authorize(browser, started.headers["location"], sub="eve")
    assert fragment_of(await browser.get(back)) == {"error": "sso.email_unverified"}


async def test_another_browser_cannot_use_the_answer(platform: OneProcess, provider: str) -> None:
    """U8: login CSRF, with real cookies; two cookies of the name are none."""
    connection = await connect(await platform.sign_up(), provider)
    attacker, victim = platform.client(), platform.client()
    started = await attacker.get(f"/api/v1/auth/oidc/acme/{connection['id']}/start")
    back = await authorize(attacker, started.headers["location"], sub="ada")
    await victim.get(f"/api/v1/auth/oidc/acme/{connection['id']}/start")
    refused = await victim.get(back)
    assert (refused.status_code, refused.json()["code"]) == (400, "sso.state_invalid")
    value = attacker.cookies["formstream_login"]
    async with httpx.AsyncClient() as raw:
        doubled = {"cookie": f"formstream_login={value}; formstream_login={'x' * 43}"}
        assert (await raw.get(back, headers=doubled)).status_code == 400
        own = {"cookie": f"other=1; formstream_login={value}"}
        assert fragment_of(await raw.get(back, headers=own)).keys() == {"login_code"}


@pytest.mark.parametrize("path", ["//evil.example", "/\\evil.example", "https://evil.example", "/%09/evil.example"])
async def test_nobody_is_sent_elsewhere(platform: OneProcess, provider: str, path: str) -> None:
    """U8: no open redirect, percent-encoding included."""
    connection = await connect(await platform.sign_up(), provider)
    url = f"/api/v1/auth/oidc/acme/{connection['id']}/start?return_to={path}"
    refused = await platform.client().get(url)
    assert (refused.status_code, refused.json()["code"]) == (422, "sso.return_to_unsafe")


async def test_a_suspended_tenant_lets_nobody_in(platform: OneProcess, provider: str) -> None:
    """T1: wherever the login is when the tenant is suspended."""
    connection = await connect(await platform.sign_up(), provider)
    start = f"/api/v1/auth/oidc/acme/{connection['id']}/start"
    ready, under_way, late = platform.client(), platform.client(), platform.client()
    backs = [
        await authorize(browser, (await browser.get(start)).headers["location"], sub="ada")
        for browser in (ready, under_way)
    ]
    code = fragment_of(await ready.get(backs[0]))["login_code"]
    await suspend(platform)
    exchanged = await ready.post("/api/v1/auth/oidc/exchange", json={"code": code})
    assert (exchanged.status_code, exchanged.json()["code"]) == (403, "tenant.suspended")
    assert fragment_of(await under_way.get(backs[1])) == {"error": "tenant.suspended"}
    refused = await late.get(start)
    assert (refused.status_code, refused.json()["code"]) == (403, "tenant.suspended")


async def test_looking_takes_no_answer(platform: OneProcess, provider: str) -> None:
    """A HEAD request, as previews of links send it, must not use up a login."""
    connection = await connect(await platform.sign_up(), provider)
    browser = platform.client()
    started = await browser.get(f"/api/v1/auth/oidc/acme/{connection['id']}/start")
    back = await authorize(browser, started.headers["location"], sub="ada")
    assert (await browser.head(back)).status_code == 405
    assert fragment_of(await browser.get(back)).keys() == {"login_code"}


async def test_behind_tls_the_cookie_is_bound_to_the_host(
    tmp_path: Path, sqlite_settings: DatabaseSettings, provider: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """U8: Secure, and no neighbouring host can set it."""
    settings = settings_for(tmp_path, sqlite_settings, public_url="https://forms.example.com")
    async with one_process(settings, monkeypatch, works=False) as platform:
        connection = await connect(await platform.sign_up(), provider)
        started = await platform.client().get(f"/api/v1/auth/oidc/acme/{connection['id']}/start")
        cookie = started.headers["set-cookie"]
        assert cookie.startswith("__Host-formstream_login=")
        assert {"Secure", "HttpOnly", "Path=/", "SameSite=Lax"} <= set(cookie.split("; "))
        asked = dict(parse_qsl(urlsplit(started.headers["location"]).query))
        assert asked["redirect_uri"] == "https://forms.example.com/api/v1/auth/oidc/callback"


async def suspend(platform: OneProcess) -> None:
    database = Database(platform.settings.database())
    await ensure_administrator(database, "root@example.com", "correct horse battery")
    await database.close()
    login = {"tenant": None, "email": "root@example.com", "password": "correct horse battery"}
    session = await platform.client().post("/api/v1/auth/login", json=login)
    suspended = await platform.client(session.json()["access_token"]).post("/api/v1/tenants/acme/suspend")
    assert suspended.status_code == 200, suspended.text
