"""Y1: the hosted form page in a real browser, on the whole platform in one process."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from db.settings import DatabaseSettings
from tests.accessibility import barriers
from tests.chromium import Page, chromium
from tests.eventing.harness import eventually
from tests.serve_app.edge.form_pages.definitions import every_type, three_pages, whole
from tests.serve_app.one_process import OneProcess, one_process, settings_for

READY = "'ready' in (document.getElementById('form') || document.body).dataset"
SENT = "location.pathname.endsWith('/sent')"
PROBLEMS = "!document.getElementById('problems').hidden"


@dataclass
class Scene:
    """The platform with a tenant, and a browser."""

    platform: OneProcess
    owner: httpx.AsyncClient
    page: Page
    form_id: str = ""

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.platform.settings.port}"

    @property
    def address(self) -> str:
        return f"{self.origin}/f/acme/party"

    async def publish(self, definition: dict[str, Any]) -> None:
        body = {"slug": "party", "title": "Party", "definition": definition}
        made = await self.owner.post("/api/v1/forms", json=body)
        assert made.status_code == 201, made.text
        self.form_id = made.json()["id"]
        assert (await self.owner.post(f"/api/v1/forms/{self.form_id}/publish")).status_code == 200

    async def stored(self) -> list[dict[str, Any]]:
        listed = await self.owner.get(f"/api/v1/forms/{self.form_id}/responses?sort=submitted_at")
        return [response["answers"] for response in listed.json()["data"]]

    async def timings(self) -> list[dict[str, int] | None]:
        listed = await self.owner.get(f"/api/v1/forms/{self.form_id}/responses?sort=submitted_at")
        return [response["timings"] for response in listed.json()["data"]]

    async def answers(self, status: int) -> bool:
        """Whether a submission gets this status: what the platform knows of a form is half a second old at most."""
        path = "/api/v1/public/acme/party/responses"
        return (await self.owner.post(path, json={"answers": {}})).status_code == status

    async def is_framed_by(self, origin: str) -> bool:
        """Whether the origin may frame the page: what an edge knows of a tenant is a second old at most."""
        return origin in (await self.owner.get("/f/acme/party")).headers["content-security-policy"]

    async def open(self, query: str = "") -> None:
        await self.page.open(self.address + query)
        await self.page.until(READY)

    async def focus(self, name: str) -> None:
        await self.page.value(f"document.getElementById('{name}').focus()")

    async def shown(self) -> str:
        return str(await self.page.value("document.querySelector('[data-page]:not([hidden])').dataset.page"))

    def assert_discreet(self) -> None:
        """Nothing came from elsewhere, nothing was refused by the policy, no script failed."""
        addresses = [request.split()[0] for request in self.page.requests if "://" in request.split()[0]]
        assert {address for address in addresses if not address.startswith((self.origin, "data:", "about:"))} == set()
        assert [said for said in self.page.complaints if "422" not in said] == []


@pytest.fixture
async def scene(
    tmp_path: Path, sqlite_settings: DatabaseSettings, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Scene]:
    async with (
        one_process(settings_for(tmp_path / "data", sqlite_settings), monkeypatch, works=False) as platform,
        chromium(tmp_path / "browser") as page,
    ):
        yield Scene(platform, await platform.sign_up(), page)


async def test_a_form_is_filled_in_by_keyboard(scene: Scene) -> None:
    """Y1, WCAG 2.1.1, 2.4.3, 3.3.1: Enter goes on, the problem has the focus and leads to its field, pages turn."""
    page = scene.page
    await scene.publish(three_pages())
    await scene.open()
    await page.press("Tab")
    await page.focuses("f-name")
    await page.press("Enter")
    await page.until(PROBLEMS)
    await page.focuses("problems")
    assert await scene.shown() == "p1"
    assert await page.value("document.getElementById('f-name').getAttribute('aria-invalid')") == "true"
    assert await page.value("document.getElementById('e-name').textContent") == "Error: Please answer this question."
    await page.press("Tab")
    await page.press("Enter")
    await page.focuses("f-name")

    await page.type("Ada")
    assert await page.value("document.getElementById('e-name')") is None
    await page.press("Enter")
    await page.until("!document.getElementById('page-p2').hidden")
    assert await page.value("document.activeElement.textContent") == "Where"
    assert await page.value("document.getElementById('announce').textContent") == "Page 2 of 3"
    await page.press("Tab")
    await page.type("Ulm")
    await page.press("Tab")
    await page.focuses("next")
    await page.press("Tab")
    await page.focuses("back")
    await page.press("Enter")
    await page.until("!document.getElementById('page-p1').hidden")
    await page.press("Tab")
    await page.press("Enter")
    await page.until("!document.getElementById('page-p2').hidden")
    await page.value("history.back()")
    await page.until("!document.getElementById('page-p1').hidden")
    await page.press("Tab")
    await page.press("Enter")
    await page.until("!document.getElementById('page-p2').hidden")
    await page.press("Tab")
    await page.press("Enter")
    await page.until("!document.getElementById('page-p3').hidden")
    await page.press("Tab")
    await page.press("Tab")
    await page.focuses("submit")
    assert await scene.stored() == []
    await page.press(" ")
    await page.until(SENT)

    assert await scene.stored() == [{"name": "Ada", "town": "Ulm"}]
    (spent,) = await scene.timings()
    assert {name for name, ms in (spent or {}).items() if 0 < ms < 60_000} == {"p1", "p2", "p3"}  # R2
    assert await page.named("heading") == ["Thank you"]
    assert await page.value("localStorage.length") == 0
    scene.assert_discreet()


async def test_a_form_is_filled_in_without_scripts(scene: Scene) -> None:
    """Y1: the same by the browser's own means."""
    page = scene.page
    await scene.publish(three_pages())
    await page.scripts(on=False)
    await page.open(scene.address)
    await scene.focus("f-name")
    await page.press("Enter")
    await page.until(PROBLEMS)
    await page.focuses("problems")
    await page.press("Tab")
    await page.press("Enter")
    await page.focuses("f-name")
    await page.type("Ada")
    await page.press("Enter")
    await page.until("!document.getElementById('page-p2').hidden")
    await scene.focus("f-town")
    await page.type("Ulm")
    await page.press("Enter")
    await page.until("!document.getElementById('page-p3').hidden")
    await scene.focus("submit")
    await page.press("Enter")
    await page.until(SENT)
    assert await scene.stored() == [{"name": "Ada", "town": "Ulm"}]
    assert not [request for request in page.requests if ".js" in request]
    scene.assert_discreet()


async def test_nothing_stands_in_anybodys_way(scene: Scene) -> None:
    """Y1, WCAG 2.2 AA: axe-core finds nothing on any state of the page, and nothing needs to be scrolled sideways."""
    page = scene.page
    languages = {"languages": ["en", "ar", "de"]}
    await scene.publish(whole() | languages)
    found: dict[str, list[str]] = {}

    async def look(state: str, width: int, *, dark: bool = False) -> None:
        await page.screen(width, dark=dark)
        if state != "without scripts":  # axe-core is one
            found[state] = await barriers(page)
        # 1.4.10: at 320 pixels, too.
        assert await page.value("document.documentElement.scrollWidth") <= width, state

    loaded = "[...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]"
    for query, state in (("?lang=en", "english"), ("?lang=ar", "arabic")):
        await scene.open(query)
        if state == "english":
            sizes = await page.value(f"{loaded}.map((each) => [each.name, each.transferSize])")
            assert {Path(name).name.partition("?")[0] for name, _ in sizes} >= {
                "party",
                "form.js",
                "logic.js",
                "form.css",
            }
            assert 10_000 < sum(size for _, size in sizes) < 50_000, sizes
        await look(f"{state} wide", 1280)
        await look(f"{state} narrow", 320, dark=True)
        await page.value("document.getElementById('submit').click()")
        await page.until(PROBLEMS)
        await look(f"{state} with problems", 320)
        await look(f"{state} with problems, dark", 1280, dark=True)
    assert await page.value("document.documentElement.dir") == "rtl"
    await page.scripts(on=False)
    await page.open(scene.address)
    await look("without scripts", 320)
    await page.scripts(on=True)
    await page.open(scene.address + "/sent")
    await look("sent", 320)
    await page.open(scene.origin + "/f/acme/nothing")
    await look("missing", 320)
    assert {state: problems for state, problems in found.items() if problems} == {}


async def test_texts_run_their_own_way(scene: Scene) -> None:
    """Y1, F8: what is written in another script than the page's ends where its readers expect, on the page's side."""
    page = scene.page
    elements = [
        {"id": "name", "type": "short_text", "title": "ما اسمك؟", "description": "الاسم الكامل."},
        {"id": "dish", "type": "choice", "title": "Dish?", "options": [{"id": "rice", "label": "أرز."}]},
    ]
    await scene.publish({"title": "أهلًا!", "languages": ["en", "ar"], "pages": [{"id": "p1", "elements": elements}]})
    measure = """(selector) => {
        const node = document.querySelector(selector), text = node.firstChild;
        const box = (start, end) => {
            const range = document.createRange();
            range.setStart(text, start);
            range.setEnd(text, end);
            return range.getBoundingClientRect();
        };
        const all = box(0, text.length), around = node.getBoundingClientRect();
        const last = box(text.length - 1, text.length), first = box(0, 1);
        return [last.left < first.left, Math.abs(all.left - around.left) < 2, Math.abs(all.right - around.right) < 2];
    }"""
    for language, is_left in (("en", True), ("ar", False)):
        await scene.open(f"?lang={language}")
        for selector in ("h1", "#q-name > label", "#d-name"):
            ends_left, stands_left, stands_right = await page.value(f"({measure})('{selector}')")
            assert ends_left, (language, selector)
            assert stands_left if is_left else stands_right, (language, selector)
        assert (await page.value(f"({measure})('#q-dish .choice > span')"))[0]
        # A Latin question among them keeps its mark behind it.
        assert not (await page.value(f"({measure})('#q-dish > legend')"))[0], language


async def test_answers_are_there_again_after_a_break(scene: Scene) -> None:
    """Y1: what was entered is kept in the browser until it is sent or started anew."""
    page = scene.page
    await scene.publish(three_pages())
    await scene.open()
    await scene.focus("f-name")
    await page.type("Ada")
    await page.press("Enter")
    await page.until("!document.getElementById('page-p2').hidden")
    await scene.focus("f-town")
    await page.type("Ulm")
    await scene.open()
    assert await scene.shown() == "p2"
    assert await page.value("document.getElementById('f-town').value") == "Ulm"
    assert "Your earlier answers are here again." in await page.value("document.getElementById('notice').textContent")
    await page.value("document.querySelector('#notice button').click()")
    await page.until(f"{READY} && document.getElementById('f-name').value === ''")
    assert (await scene.shown(), await page.value("localStorage.length")) == ("p1", 0)


async def test_controls_help(scene: Scene) -> None:
    """Y1, WCAG 2.5.7: a ranking needs no dragging; characters are counted; the free text comes with its option."""
    page = scene.page
    await scene.publish(every_type())
    await scene.open()
    hidden = "document.getElementById('f-the_choice.other').closest('.other').hidden"
    assert await page.value(hidden) is True
    await page.value("document.getElementById('f-the_choice.o').click()")
    assert await page.value(hidden) is False
    await scene.focus("f-the_choice.other")
    await page.type("Beans")

    await scene.focus("f-the_short_text")
    await page.type("Ada")
    assert await page.value("document.getElementById('c-the_short_text').textContent") == "77 characters left"
    await page.type("x" * 80)
    assert await page.value("document.getElementById('announce').textContent") == "3 characters too many"
    await page.value("document.getElementById('f-the_short_text').select()")
    await page.type("Ada")
    await scene.focus("f-the_email")
    await page.type("ada@example.com")

    buttons = await page.named("button")
    assert [name for name in buttons if name.startswith("Move Corn")] == ["Move Corn up", "Move Corn down"]
    await scene.focus("f-the_ranking")
    await page.press("Tab")
    await page.press("Enter")
    assert await page.value("document.getElementById('announce').textContent") == "Corn is number 2 of 3"
    assert await page.value("document.activeElement.getAttribute('aria-label')") == "Move Corn down"
    await page.press(" ")

    await scene.focus("f-the_nps")
    await page.press(" ")
    for _ in range(9):
        await page.press("ArrowRight")
    await page.value("document.getElementById('f-the_datetime').value = '2026-07-01T09:30'")
    await page.value("document.getElementById('f-the_datetime').dispatchEvent(new Event('input', {bubbles: true}))")
    minutes = await page.value("-new Date('2026-07-01T09:30').getTimezoneOffset()")
    await scene.focus("submit")
    await page.press("Enter")
    await page.until(SENT)
    (answers,) = await scene.stored()
    assert answers["the_choice"] == {"other": "Beans"}
    assert answers["the_ranking"] == {"yams": 1, "rice": 2, "corn": 3}
    assert answers["the_nps"] == 9
    if minutes == 0:
        assert answers["the_datetime"] == "2026-07-01T09:30:00Z"
    scene.assert_discreet()


async def test_two_clicks_are_one_response(scene: Scene) -> None:
    """R1: with scripts, and without them, where the browser sends the form twice."""
    page = scene.page
    await scene.publish(three_pages() | {"pages": three_pages()["pages"][:1]})
    await scene.open("?name=Ada")
    await page.value("(() => { for (let i = 0; i < 5; i++) document.getElementById('submit').click() })()")
    await page.until(SENT)
    assert await scene.stored() == [{"name": "Ada"}]
    await page.scripts(on=False)
    await page.open(scene.address + "?name=Bea")
    key = await page.value("document.forms.form.elements._key.value")
    async with httpx.AsyncClient() as browser:
        data = {"_key": key, "_page": "p1", "_go": "submit", "name": "Bea"}
        answers = await asyncio.gather(*(browser.post(scene.address, data=data) for _ in range(5)))
    assert {answer.status_code for answer in answers} == {303}
    assert await scene.stored() == [{"name": "Ada"}, {"name": "Bea"}]


async def test_a_lost_connection_loses_nothing(scene: Scene) -> None:
    """Y1: without the platform pages still turn, the visitor is told, and sending again is one response."""
    page = scene.page
    await scene.publish(three_pages())
    await scene.open("?name=Ada&town=Ulm")
    network = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
    await page.command("Network.emulateNetworkConditions", offline=True, **network)
    for following in ("p2", "p3"):
        await page.value("document.getElementById('next').click()")
        await page.until(f"!document.getElementById('page-{following}').hidden")
    await page.value("document.getElementById('submit').click()")
    await page.until(PROBLEMS)
    assert "could not be sent" in await page.value("document.getElementById('problems').textContent")
    await page.command("Network.emulateNetworkConditions", offline=False, **network)
    await page.value("document.getElementById('submit').click()")
    await page.until(SENT)
    assert await scene.stored() == [{"name": "Ada", "town": "Ulm"}]


async def test_a_form_that_has_closed_meanwhile_says_so(scene: Scene) -> None:
    page = scene.page
    await scene.publish(three_pages() | {"pages": three_pages()["pages"][:1]})
    await scene.open("?name=Ada")
    body = {"settings": {"closes_at": "2020-01-01T00:00:00Z"}}
    assert (await scene.owner.patch(f"/api/v1/forms/{scene.form_id}", json=body)).status_code == 200
    await eventually(partial(scene.answers, 403))
    await page.value("document.getElementById('submit').click()")
    await page.until("document.querySelector('h1').textContent === 'This form is closed'")
    assert await scene.stored() == []


@asynccontextmanager
async def website(html: str) -> AsyncIterator[str]:
    """A page of somebody else's at an origin of its own; its address."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        body = html.encode()
        head = f"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def _is_refused(page: Page) -> bool:
    """Whether there is a frame that shows that it may not show anything."""
    tree = (await page.command("Page.getFrameTree"))["frameTree"]
    return any("unreachableUrl" in child["frame"] for child in tree.get("childFrames", ()))


async def test_one_line_puts_it_into_another_page(scene: Scene) -> None:
    """Y1: in a frame as high as the form, for the origins that the tenant allows and no other."""
    page = scene.page
    await scene.publish(every_type())
    line = f'<script async src="{scene.origin}/embed.js" data-form="acme/party" data-title="Our party"></script>'
    async with website(f"<!doctype html><title>Host</title><p>Before</p>{line}<p>After</p>") as host:
        await page.open(host)
        await eventually(partial(_is_refused, page))
        page.complaints.clear()

        body = {"settings": {"allowed_origins": [host]}}
        allowed = await scene.owner.patch("/api/v1/tenants/acme", json=body)
        assert allowed.status_code == 200, allowed.text
        await eventually(partial(scene.is_framed_by, host))
        await page.open(host)
        await page.until("parseInt(document.querySelector('iframe')?.style.height) > 2000")
        assert await page.value("document.querySelector('iframe').title") == "Our party"
        # Messages of others are not listened to.
        height = "document.querySelector('iframe').style.height"
        before = await page.value(height)
        await page.value("window.postMessage({type: 'formstream:height', height: 60}, '*')")
        await page.value("new Promise((done) => setTimeout(done, 50))")
        assert await page.value(height) == before
        assert page.complaints == []
