"""O3: defects are told in Sentry's protocol, by the real library over real HTTP, and nobody's words with them."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from serve_app.error_tracking import open_tracker
from serve_app.settings import Settings
from tests.architecture.rooms import ROOT
from tests.http_server import answering

KEY = "0123456789abcdef0123456789abcdef"

# What a defect can look like: the answer in the message, in a variable, in a cause, in a field of the line.
PROGRAM = """
import asyncio, logging, os, sys
import structlog
from deployments.kit.calls import CALLER
from deployments.kit.principal import Principal
from eventing.events.envelope import Origin
from serve_app.error_tracking import open_tracker
from serve_app.logging import configure
from serve_app.settings import Settings

tracker = open_tracker(Settings(), "edge")
configure("info", "edge", tracker)
log = structlog.get_logger("x")
CALLER.set(Principal("acme", "usr_1", "user", origin=Origin("req-of-ada", "192.0.2.7", "a browser")))


def store(answers, cookie, password):
    try:
        int(answers["disease"])
    except ValueError as error:
        raise RuntimeError(f"cannot store {answers} of {cookie} with {password}") from error


try:
    store({"disease": "measles"}, "session=s3ss10n", "hunter2")
except RuntimeError:
    log.exception("request failed", operation="submit_response", body="measles", authorization="Bearer s3ss10n")
log.error("call failed", context="forms", exc_info=KeyError("measles"))
log.warning("not told", exc_info=KeyError("measles"))
log.error("no exception", operation="x")
try:
    1 / 0
except ZeroDivisionError:
    logging.getLogger("library").exception("while it worked on %s", "measles")
asyncio.run(tracker.close())
"""


class Tracker:
    """What came: envelopes as bytes, and their events."""

    def __init__(self) -> None:
        self.port = 0
        self.paths: list[str] = []
        self.bodies: list[bytes] = []

    @property
    def events(self) -> list[dict[str, Any]]:
        lines = [body.split(b"\n") for body in self.bodies]
        # Header of the envelope, then header and payload of each item.
        return [json.loads(each[2]) for each in lines if json.loads(each[1])["type"] == "event"]


@pytest.fixture
def tracker() -> Iterator[Tracker]:
    found = Tracker()

    def answer(path: str, _headers: Mapping[str, str], body: bytes) -> tuple[int, bytes]:
        found.paths.append(path)
        found.bodies.append(body)
        return 200, b"{}"

    with answering(answer) as found.port:
        yield found


def test_a_defect_is_told_by_its_type_and_place_and_nobodys_words_are(tracker: Tracker, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env={
            "FORMSTREAM_SENTRY_DSN": f"http://{KEY}@127.0.0.1:{tracker.port}/7",
            "FORMSTREAM_SENTRY_ENVIRONMENT": "staging",
            "FORMSTREAM_DATA_DIR": str(tmp_path),
        },
    )
    assert done.returncode == 0, done.stderr
    assert set(tracker.paths) == {"/api/7/envelope/"}
    raised, failed, library = tracker.events
    assert [(each["type"], each["value"]) for each in raised["exception"]["values"]] == [
        ("ValueError", ""),
        ("RuntimeError", ""),
    ]
    assert raised["exception"]["values"][1]["stacktrace"]["frames"][-1]["function"] == "store"
    assert raised["tags"] == {
        "service": "edge",
        "request_id": "req-of-ada",
        "tenant": "acme",
        "operation": "submit_response",
    }
    assert (raised["transaction"], raised["environment"]) == ("request failed", "staging")
    assert (failed["tags"]["context"], failed["exception"]["values"][0]["type"]) == ("forms", "KeyError")
    assert (library["logger"], library["transaction"]) == ("library", "")
    sent = b"\n".join(tracker.bodies)
    assert not [word for word in ("measles", "s3ss10n", "hunter2", "192.0.2.7", "usr_1") if word.encode() in sent]
    # The log is as it is without a tracker.
    assert [json.loads(line)["event"] for line in done.stderr.splitlines()] == [
        "request failed",
        "call failed",
        "not told",
        "no exception",
        "while it worked on measles",
    ]


def test_nothing_of_it_is_loaded_while_it_is_off(tmp_path: Path) -> None:
    assert open_tracker(Settings(data_dir=tmp_path), "edge") is None
    program = "import serve_app.error_tracking, sys; print([name for name in sys.modules if name.startswith('sentry')])"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
