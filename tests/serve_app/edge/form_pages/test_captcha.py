"""R6, Y1: a captcha on the hosted page in a real browser, of a provider that speaks Turnstile's protocol."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from db.settings import DatabaseSettings
from tests.certificates import tls_for
from tests.chromium import Page, chromium
from tests.deployments.responses.captchas import SECRET, provider
from tests.serve_app.edge.form_pages.definitions import three_pages
from tests.serve_app.edge.form_pages.test_browser import PROBLEMS, SENT, Scene
from tests.serve_app.one_process import one_process, settings_for

HOST = "challenges.cloudflare.com"
# As the provider's own script: it fills each box of its class with a frame of its origin, and puts the token that comes
# from there into a field inside of the box; `reset` takes the token back.
SCRIPT = """
(() => {
  const origin = "https://challenges.cloudflare.com";
  const solved = new Map();
  const render = (box) => {
    const frame = document.createElement("iframe");
    frame.src = `${origin}/turnstile/frame?k=${box.dataset.sitekey}`;
    frame.title = "Widget containing a challenge";
    const field = document.createElement("input");
    field.type = "hidden";
    field.name = "cf-turnstile-response";
    box.append(frame, field);
    solved.set(frame.contentWindow, field);
  };
  addEventListener("message", (event) => {
    if (event.origin === origin && solved.has(event.source)) solved.get(event.source).value = event.data;
  });
  window.turnstile = {
    reset() {
      solved.forEach((field) => { field.value = ""; });
    },
  };
  document.querySelectorAll(".cf-turnstile").forEach(render);
})();
"""
# The first challenge is failed, unknown to the page.
FRAME = """<!doctype html><title>Challenge</title>
<style>body { margin: 0 } button { width: 100vw; height: 100vh }</style><button>I am a person</button><script>
let tries = 0;
document.querySelector("button").onclick = () => parent.postMessage(tries++ ? `good-${tries}` : "bad-0", "*");
</script>"""
FILES = {
    "/turnstile/v0/api.js": ("text/javascript", SCRIPT),
    "/turnstile/frame": ("text/html", FRAME),
}


def _file(path: str) -> bytes:
    kind, text = FILES.get(path, ("text/plain", ""))
    body = text.encode()
    head = f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
    return head.encode() + body


@asynccontextmanager
async def site(tls: ssl.SSLContext) -> AsyncIterator[int]:
    """The provider's site; its port."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError):  # a browser opens connections that it may need
            path = (await reader.readuntil(b"\r\n\r\n")).decode().split()[1].partition("?")[0]
            writer.write(_file(path))
            await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0, ssl=tls) as server:
        yield server.sockets[0].getsockname()[1]


async def solve(page: Page) -> None:
    """Click into the frame and wait for its token."""
    before = await page.value("document.querySelector('[name=cf-turnstile-response]').value")
    await page.value("document.querySelector('#captcha iframe').scrollIntoView()")
    place = (
        "(() => { const r = document.querySelector('#captcha iframe').getBoundingClientRect(); return [r.x, r.y] })()"
    )
    async with asyncio.timeout(20):
        # The frame of another origin is another process, which may still be starting.
        while await page.value("document.querySelector('[name=cf-turnstile-response]').value") == before:
            x, y = await page.value(place)
            await page.click(x + 20, y + 20)
            await asyncio.sleep(0.2)


async def test_a_visitor_shows_to_be_a_person(
    tmp_path: Path, sqlite_settings: DatabaseSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a token and with a bad one nothing is stored and the page says so; with a good one it is sent once."""
    server, _ = tls_for(HOST, tmp_path)
    settings = settings_for(tmp_path / "data", sqlite_settings)
    async with (
        one_process(settings, monkeypatch, works=False) as platform,
        provider() as verifying,
        site(server) as port,
        chromium(
            tmp_path / "browser", f"--host-resolver-rules=MAP {HOST} 127.0.0.1:{port}", "--ignore-certificate-errors"
        ) as page,
    ):
        scene = Scene(platform, await platform.sign_up(), page)
        account = {"provider": "turnstile", "site_key": "0x4AAA", "secret": SECRET, "verify_url": verifying.url}
        assert (await scene.owner.put("/api/v1/captcha", json=account)).status_code == 200
        await scene.publish(three_pages())
        change = {"settings": {"spam": {"captcha": {"when_down": "refuse"}}}}
        assert (await scene.owner.patch(f"/api/v1/forms/{scene.form_id}", json=change)).status_code == 200

        await scene.open("?name=Ada&town=Ulm")
        await page.until("document.querySelector('#captcha iframe') !== null")
        assert await page.value("document.getElementById('captcha').hidden") is True  # asked for at the end only
        for following in ("p2", "p3"):
            await page.value("document.getElementById('next').click()")
            await page.until(f"!document.getElementById('page-{following}').hidden")
        assert await page.value("document.getElementById('captcha').hidden") is False

        await page.value("document.getElementById('submit').click()")
        await page.until(PROBLEMS)
        assert "you are a person" in await page.value("document.getElementById('problems').textContent")
        assert verifying.asked == []

        await solve(page)
        await page.value("document.getElementById('submit').click()")
        await page.until("document.querySelector('[name=cf-turnstile-response]').value === ''")  # taken back
        assert [each["response"] for each in verifying.asked] == ["bad-0"]
        assert await scene.stored() == []

        await solve(page)
        await page.value("document.getElementById('submit').click()")
        await page.until(SENT)
        assert await scene.stored() == [{"name": "Ada", "town": "Ulm"}]
        assert [each["response"][:4] for each in verifying.asked] == ["bad-", "good"]
        assert {each["secret"] for each in verifying.asked} == {SECRET}
        origins = {
            "/".join(request.split()[0].split("/")[:3]) for request in page.requests if "://" in request.split()[0]
        }
        assert origins - {"data:", "about:"} == {scene.origin, f"https://{HOST}"}
        assert [said for said in page.complaints if "422" not in said] == []
