"""Y1: the pages that links in letters lead to, in a real browser, on the whole platform in one process."""

import email
import re
from collections.abc import AsyncIterator
from email.policy import default
from pathlib import Path

import httpx
import pytest

from db.settings import DatabaseSettings
from deployments.identity.letters import Letters
from deployments.kit.vault import Vault
from serve_app.edge.account_pages import ACCOUNT_PAGES
from tests.chromium import Page, chromium
from tests.eventing.harness import eventually
from tests.factories import PARTY
from tests.serve_app.one_process import OneProcess, one_process, settings_for

OWNER = "owner@acme.example"
PASSWORD = "correct horse battery"
FRESH = "another horse battery"
LINK = re.compile(r"http://\S+/account/\w+#token=\S+")
SHOWN = "!document.getElementById('{}').hidden"


@pytest.fixture
async def platform(
    tmp_path: Path, sqlite_settings: DatabaseSettings, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[OneProcess]:
    async with one_process(settings_for(tmp_path / "data", sqlite_settings), monkeypatch) as running:
        yield running


@pytest.fixture
async def page(tmp_path: Path) -> AsyncIterator[Page]:
    async with chromium(tmp_path / "browser") as page:
        yield page


async def link_to(platform: OneProcess, recipient: str, subject: str) -> str:
    """The link in a letter, once it has arrived."""
    found: list[str] = []

    async def arrived() -> bool:
        for path in (platform.settings.data_dir / "mail").glob("*.eml"):
            message = email.message_from_bytes(path.read_bytes(), policy=default)
            if (str(message["To"]), str(message["Subject"])) == (recipient, subject):
                body = message.get_body(("plain",))
                assert body is not None
                found.extend(LINK.findall(body.get_content()))
        return bool(found)

    await eventually(arrived)
    return found[0]


async def logs_in(platform: OneProcess, address: str, password: str) -> httpx.Response:
    body = {"tenant": "acme", "email": address, "password": password}
    return await platform.client().post("/api/v1/auth/login", json=body)


def assert_discreet(page: Page, link: str) -> None:
    """The token was in no address, no header and no complaint; nothing came from elsewhere; nothing was refused."""
    token = link.partition("#token=")[2]
    assert page.requests
    assert not [request for request in page.requests if token in request]
    origin = link.partition("/account")[0]
    addresses = [request.split()[0] for request in page.requests if "://" in request.split()[0]]
    assert {address for address in addresses if not address.startswith((origin, "data:", "about:"))} == set()
    assert page.complaints == []


async def test_an_address_is_confirmed_by_keyboard(platform: OneProcess, page: Page) -> None:
    """U1, Y1: nothing happens by opening the link, which mail scanners do, too."""
    owner = await platform.sign_up()
    link = await link_to(platform, OWNER, "Confirm your e-mail address")
    origin = link.partition("/account")[0]
    await page.command("Network.setCookie", name="session", value="c00kie", url=origin, path="/api")
    await page.open(link)
    await page.until(SHOWN.format("verify"))
    assert (await owner.get("/api/v1/me")).json()["user"]["email_verified_at"] is None
    assert await page.named("heading") == ["Confirm your e-mail address"]
    assert await page.named("button") == ["Confirm the address"]

    await page.press("Tab")
    await page.press("Enter")
    await page.until(SHOWN.format("done"))

    await page.focuses("done")
    assert (await owner.get("/api/v1/me")).json()["user"]["email_verified_at"] is not None
    assert "token" not in await page.value("location.href")
    assert_discreet(page, link)
    assert not [request for request in page.requests if "c00kie" in request]


async def test_a_forgotten_password_is_chosen_anew(platform: OneProcess, page: Page) -> None:
    """U1, Y1: every fault is said at the field and in a summary that has the focus; then the new password holds."""
    await platform.sign_up()
    asked = await platform.client().post("/api/v1/auth/password/forgot", json={"tenant": "acme", "email": OWNER})
    assert (asked.status_code, asked.content) == (202, b"")
    link = await link_to(platform, OWNER, "Choose a new password")
    await page.open(link)
    await page.until(SHOWN.format("reset"))
    await page.press("Tab")
    await page.focuses("reset-password")
    assert await page.named("textbox") == ["New password"]

    await page.type("short")
    await page.press("Enter")
    await page.until(SHOWN.format("problem"))
    await page.focuses("problem")
    assert await page.value("document.getElementById('reset-password').getAttribute('aria-invalid')") == "true"
    described = await page.value(
        "document.getElementById('reset-password').getAttribute('aria-describedby').split(' ')"
        ".map(id => document.getElementById(id).textContent).join(' ')"
    )
    assert "At least 10 characters." in described
    await page.press("Tab")
    await page.press("Enter")
    await page.focuses("reset-password")

    await page.value("document.getElementById('reset-password').select()")
    await page.type(FRESH)
    await page.press("Tab")
    await page.press(" ")
    assert await page.value("document.getElementById('reset-password').type") == "text"
    await page.press("Tab")
    await page.press("Enter")
    await page.until(SHOWN.format("done"))

    assert (await logs_in(platform, OWNER, FRESH)).status_code == 200
    assert (await logs_in(platform, OWNER, PASSWORD)).status_code == 401
    assert not [said for said in page.complaints if "422" not in said]
    page.complaints.clear()
    assert_discreet(page, link)


async def test_a_newcomer_accepts_an_invitation(platform: OneProcess, page: Page) -> None:
    """U1, Y1: what people call themselves is text on the page, whatever it looks like."""
    owner = await platform.sign_up()
    users = (await owner.get("/api/v1/users")).json()["data"]
    evil = {"name": "<img src=x onerror=alert(1)>"}
    assert (await owner.patch(f"/api/v1/users/{users[0]['id']}", json=evil)).status_code == 200
    invited = await owner.post("/api/v1/invitations", json={"email": "ada@example.com", "role": "editor"})
    assert invited.status_code == 201, invited.text
    link = await link_to(platform, "ada@example.com", "<img src=x onerror=alert(1)> invites you to acme")
    await page.open(link)
    await page.until(SHOWN.format("accept"))
    assert evil["name"] in await page.value("document.querySelector('.intro').textContent")
    assert await page.value("document.images.length") == 0
    assert await page.named("textbox") == ["E-mail", "Your name", "Choose a password"]

    await page.value("document.getElementById('accept-name').focus()")
    await page.type("Ada")
    await page.press("Tab")
    await page.type(FRESH)
    await page.press("Enter")
    await page.until(SHOWN.format("done"))

    session = (await logs_in(platform, "ada@example.com", FRESH)).json()
    me = (await platform.client(session["access_token"]).get("/api/v1/me")).json()
    assert (me["role"], me["user"]["name"]) == ("editor", "Ada")
    sessions = (await platform.client(session["access_token"]).get("/api/v1/sessions")).json()["data"]
    assert [each["current"] for each in sessions] == [True]
    assert_discreet(page, link)


async def test_somebody_with_an_account_joins_a_form(platform: OneProcess, page: Page) -> None:
    """U5, Y1: after a wrong password the right one is enough."""
    owner = await platform.sign_up()
    form = await owner.post("/api/v1/forms", json={"slug": "party", "title": "Party", "definition": PARTY})
    new = {"email": "ada@example.com", "password": PASSWORD, "name": "Ada", "role": "guest"}
    ada = (await owner.post("/api/v1/users", json=new)).json()
    body = {"email": "ada@example.com", "form_id": form.json()["id"], "form_role": "editor"}
    invited = await owner.post("/api/v1/invitations", json=body)
    assert invited.status_code == 201, invited.text
    link = await link_to(platform, "ada@example.com", "Owner shares the form Party with you")
    await page.open(link)
    await page.until(SHOWN.format("join"))
    await page.value("document.getElementById('join-password').focus()")
    await page.type("wrong password")
    await page.press("Enter")
    await page.until(SHOWN.format("problem"))
    await page.focuses("problem")
    assert "not right" in await page.value("document.getElementById('problem').textContent")

    await page.value("document.getElementById('join-password').select()")
    await page.value("document.getElementById('join-password').focus()")
    await page.type(PASSWORD)
    await page.press("Enter")
    await page.until(SHOWN.format("done"))

    grants = (await owner.get(f"/api/v1/forms/{form.json()['id']}/grants")).json()["data"]
    assert [(grant["user_id"], grant["role"]) for grant in grants] == [(ada["id"], "editor")]


@pytest.mark.parametrize("name", ["verify", "reset", "invitation"])
async def test_a_link_that_is_worth_nothing_says_so(platform: OneProcess, page: Page, name: str) -> None:
    """U1, Y1: garbage and a link without its token."""
    address = f"http://127.0.0.1:{platform.settings.port}/account/{name}"
    await page.open(address)
    await page.until(SHOWN.format("problem"))
    assert "not complete" in await page.value("document.getElementById('problem').textContent")
    await page.open(f"{address}#token=fsl_garbage")
    if name == "verify":
        await page.until(SHOWN.format("verify"))
        await page.press("Tab")
        await page.press("Enter")
    elif name == "reset":
        await page.until(SHOWN.format("reset"))
        await page.press("Tab")
        await page.type(FRESH)
        await page.press("Enter")
    await page.until("document.getElementById('problem').textContent.includes('not valid any more')")
    await page.focuses("problem")
    assert await page.value("document.getElementById('done').hidden") is True


async def test_pages_speak_german(platform: OneProcess, tmp_path: Path) -> None:
    """F8: to whom their browser says that they read it."""
    async with chromium(tmp_path / "browser", language="de-DE") as page:
        await page.open(f"http://127.0.0.1:{platform.settings.port}/account/reset#token=x")
        await page.until(SHOWN.format("reset"))
        assert await page.value("document.documentElement.lang") == "de"
        assert await page.named("heading") == ["Wählen Sie ein neues Passwort"]
        assert await page.named("button") == ["Passwort speichern"]


async def test_they_are_served_like_pages(client: httpx.AsyncClient) -> None:
    """H3: our own script and style only, in nobody's frame, without a referrer."""
    for operation in ACCOUNT_PAGES:
        answer = await client.get(operation.path)
        assert answer.status_code == 200
        policy = answer.headers["content-security-policy"]
        for rule in ("default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "form-action 'none'"):
            assert rule in policy
        assert "unsafe" not in policy
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["x-content-type-options"] == "nosniff"
        if answer.headers["content-type"].startswith("text/html"):
            assert "://" not in answer.text
            assert "<script>" not in answer.text
            assert "style=" not in answer.text


def test_letters_lead_to_the_pages() -> None:
    letters = Letters(Vault("s" * 32), "https://forms.example/")
    for page in ("verify", "reset", "invitation"):
        address, _, token = letters.link(page, "t").partition("#")
        assert token == "token=t"
        assert address.removeprefix("https://forms.example") in {operation.path for operation in ACCOUNT_PAGES}
