"""The receivers that the guide shows accept what is sent, and nothing else."""

import asyncio
import json
import re
import threading
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from deployments.kit.egress import Egress
from deployments.webhooks.sender import Outcome, send
from deployments.webhooks.signing import headers, new_secret, public_key
from tests.architecture.rooms import ROOT
from tests.chromium import chromium
from tests.deployments.local_http import answer, serving

BODY = json.dumps({"type": "response.submitted", "id": "evt_1", "data": {"name": "Zoë 🎉"}}).encode()
BLOCKS = re.findall(r"```(python|js)\n(.*?)```", (ROOT / "docs" / "guides" / "webhooks.md").read_text(), re.DOTALL)


def code(language: str, marker: str) -> str:
    (block,) = [text for name, text in BLOCKS if name == language and marker in text]
    return block


@pytest.fixture
async def egress() -> AsyncIterator[Egress]:
    egress = Egress(("127.0.0.0/8",), keep_s=5)
    yield egress
    await egress.aclose()


async def test_the_receiver_in_python(egress: Egress, monkeypatch: pytest.MonkeyPatch) -> None:
    """W1: verified with the library of the standard, and each event dealt with once."""
    secret = new_secret()
    monkeypatch.setenv("WEBHOOK_SECRET", secret)
    program: dict[str, Any] = {"__name__": "receiver"}
    exec(code("python", "class Receiver"), program)  # noqa: S102 - the guide's own text
    heard: list[str] = []
    program["print"] = lambda type_, _: heard.append(type_)
    monkeypatch.setattr(program["Receiver"], "log_message", lambda *_: None)
    server = ThreadingHTTPServer(("127.0.0.1", 0), program["Receiver"])
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        url = f"http://127.0.0.1:{server.server_port}/"
        for secrets, outcome in (([secret], 204), ([new_secret(), secret], 204), ([new_secret()], 401)):
            attempt = await send(egress, url, secrets, "evt_1", BODY, {}, datetime.now(UTC))
            assert attempt.status == outcome
        assert attempt.outcome is Outcome.RETRY
        # It has heard all it wants to: closing ends the thread of the connection that is kept.
        await egress.aclose()
    finally:
        await asyncio.to_thread(server.shutdown)
        thread.join()
        server.server_close()
    assert heard == ["response.submitted"]


async def test_the_receiver_in_javascript(tmp_path: Path) -> None:
    """W1: in a real browser, whose cryptography is that of Node.js."""
    secret, now = new_secret(), datetime.now(UTC)
    good = headers("evt_1", BODY, [new_secret(), secret], now)
    text, seconds = BODY.decode(), now.timestamp()
    cases = [
        (secret, good, text, seconds),
        (secret, good, text + " ", seconds),
        (secret, {**good, "webhook-id": "evt_2"}, text, seconds),
        (secret, {}, text, seconds),
        (secret, good, text, seconds + 301),
        (new_secret(), good, text, seconds),
    ]
    script = f"(async () => {{ {code('js', 'async function verify')}; const cases = {json.dumps(cases)};"
    script += "return JSON.stringify(await Promise.all(cases.map((each) => verify(...each)))); })()"
    async with (
        serving(answer("200 OK", b"<title>x</title>", "content-type: text/html")) as server,
        chromium(tmp_path / "browser") as page,
    ):
        await page.open(f"http://127.0.0.1:{server.port}/")
        found = json.loads(await page.value(script))
    assert found == [json.loads(text), None, None, None, None, None]


def test_the_asymmetric_receiver() -> None:
    """W1: v1a."""
    program: dict[str, Any] = {}
    exec(code("python", "Ed25519PublicKey"), program)  # noqa: S102 - the guide's own text
    secret = new_secret("v1a")
    sent = headers("evt_1", BODY, [new_secret("v1a"), new_secret(), secret], datetime.now(UTC))
    is_genuine = program["is_genuine"]
    assert is_genuine(public_key(secret), sent, BODY)
    assert not is_genuine(public_key(secret), sent, BODY + b" ")
    assert not is_genuine(public_key(new_secret("v1a")), sent, BODY)
    assert not is_genuine(public_key(secret), {**sent, "webhook-timestamp": "1"}, BODY)
