"""H3: sessions in cookies, and no request with one that its user did not mean."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from deployments.identity.contracts import LogIn, Refresh, Session
from tests.serve_app.edge.fakes import Fakes, running
from tests.serve_app.edge.test_answers import FORM, problem

LOGIN = {"email": "a@b.c", "password": "x"}
OWN = "https://forms.example"


class Sessions:
    def __init__(self) -> None:
        self.commands: list[Any] = []

    async def log_in(self, _: Any, command: LogIn) -> Session:
        self.commands.append(command)
        return Session(access_token="owner", refresh_token="first", expires_in=900)

    async def refresh(self, _: Any, command: Refresh) -> Session:
        self.commands.append(command)
        return Session(access_token="owner", refresh_token="second", expires_in=900)

    async def log_out(self, _: Any, command: Refresh) -> None:
        self.commands.append(command)


@pytest.fixture
def sessions(fakes: Fakes) -> Sessions:
    sessions = Sessions()
    for name in ("log_in", "refresh", "log_out"):
        setattr(fakes.identity, name, getattr(sessions, name))
    return sessions


@pytest.fixture
async def browser(fakes: Fakes, sessions: Sessions) -> AsyncIterator[httpx.AsyncClient]:
    async with running(fakes, public_url=OWN, default_tenant="acme") as client:
        yield client


async def log_in(browser: httpx.AsyncClient) -> dict[str, str]:
    """The headers that a page of the session sends."""
    answer = await browser.post("/api/v1/auth/login", json=LOGIN, headers={"x-session": "cookie", "origin": OWN})
    assert answer.status_code == 200, answer.text
    assert set(answer.json()) == {"csrf_token", "expires_in"}
    access, refresh = answer.headers.get_list("set-cookie")
    assert access == "__Host-formstream_session=owner; Path=/; SameSite=Lax; HttpOnly; Secure"
    assert refresh == ("__Secure-formstream_refresh=first; Path=/api/v1/auth; SameSite=Strict; HttpOnly; Secure")
    browser.cookies.clear()
    return {
        "cookie": "__Host-formstream_session=owner; __Secure-formstream_refresh=first",
        "x-csrf-token": answer.json()["csrf_token"],
        "origin": OWN,
        "sec-fetch-site": "same-origin",
    }


async def test_a_page_works_with_its_cookie_and_token(browser: httpx.AsyncClient) -> None:
    headers = await log_in(browser)
    assert (await browser.get("/api/v1/me", headers={"cookie": headers["cookie"]})).status_code == 200
    assert (await browser.post("/api/v1/forms", json=FORM, headers=headers)).status_code == 201


@pytest.mark.parametrize(
    "change",
    [
        {"x-csrf-token": ""},
        {"x-csrf-token": "0" * 64},
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
async def test_what_is_not_proved_meant_is_403(
    browser: httpx.AsyncClient, fakes: Fakes, change: dict[str, str]
) -> None:
    """H3: cross-site request forgery."""
    headers = await log_in(browser) | change
    for path in ("/api/v1/forms", "/api/v1/auth/refresh", "/api/v1/auth/logout"):
        body = FORM if path.endswith("forms") else {}
        problem(await browser.post(path, json=body, headers=headers), 403, "csrf.failed")
    assert not fakes.forms.commands


@pytest.mark.parametrize(
    "change",
    [{"origin": "https://evil.example"}, {"origin": "null"}, {"origin": OWN, "sec-fetch-site": "cross-site"}],
)
async def test_no_page_of_another_site_logs_anybody_in(
    browser: httpx.AsyncClient, sessions: Sessions, change: dict[str, str]
) -> None:
    """H3: whoever is logged in unawares would tell an account of somebody else's."""
    answer = await browser.post("/api/v1/auth/login", json=LOGIN, headers={"x-session": "cookie"} | change)
    problem(answer, 403, "csrf.failed")
    assert "set-cookie" not in answer.headers
    assert not sessions.commands


async def test_the_authorization_header_wins_and_needs_no_token(browser: httpx.AsyncClient) -> None:
    cookie = {"cookie": "__Host-formstream_session=owner"}
    headers = cookie | {"authorization": "Bearer reader", "origin": "https://evil.example"}
    problem(await browser.post("/api/v1/forms", json=FORM, headers=headers), 403, "forbidden")
    problem(await browser.get("/api/v1/me", headers=cookie | {"authorization": "Basic x"}), 401, "unauthenticated")


async def test_refresh_and_logout_take_the_cookie(browser: httpx.AsyncClient, sessions: Sessions) -> None:
    headers = await log_in(browser)
    refreshed = await browser.post("/api/v1/auth/refresh", json={}, headers=headers)
    assert "refresh_token" not in refreshed.json()
    assert "__Secure-formstream_refresh=second" in refreshed.headers.get_list("set-cookie")[1]
    ended = await browser.post("/api/v1/auth/logout", json={}, headers=headers)
    assert ended.status_code == 204
    access, refresh = ended.headers.get_list("set-cookie")
    assert access == "__Host-formstream_session=; Path=/; Max-Age=0; SameSite=Lax; HttpOnly; Secure"
    assert refresh.startswith("__Secure-formstream_refresh=; Path=/api/v1/auth; Max-Age=0; ")
    assert [command.refresh_token for command in sessions.commands[1:]] == ["first", "first"]


async def test_two_cookies_of_the_name_and_tokens_in_the_query_are_refused(browser: httpx.AsyncClient) -> None:
    twice = {"cookie": "__Host-formstream_session=owner; __Host-formstream_session=owner"}
    problem(await browser.get("/api/v1/me", headers=twice), 401, "unauthenticated")
    for name in ("access_token", "token", "authorization"):
        problem(await browser.get(f"/api/v1/me?{name}=owner"), 401, "unauthenticated")


async def test_a_login_without_a_tenant_is_for_the_default_tenant(
    browser: httpx.AsyncClient, sessions: Sessions
) -> None:
    """T2: null still means the platform."""
    for body in (LOGIN, LOGIN | {"tenant": None}, LOGIN | {"tenant": "globex"}):
        assert "access_token" in (await browser.post("/api/v1/auth/login", json=body)).json()
    assert [command.tenant for command in sessions.commands] == ["acme", None, "globex"]
