"""Log lines: JSON, with their request, without secrets. In a process of its own, since logging is global."""

import json
import subprocess
import sys

import pytest

from serve_app.logging import configure

SCRIPT = """
import logging
import structlog
from deployments.kit.calls import CALLER
from deployments.kit.principal import Principal
from eventing.events.envelope import Origin
from serve_app.logging import configure

configure("info", "edge")
log = structlog.get_logger("x")
log.debug("not shown")
CALLER.set(Principal("acme", "usr_1", "user", origin=Origin("req-1")))
log.info("hello", number=1, refresh_token="t0p", nested={"Authorization": "t0p", "list": [{"password": "t0p"}]})
try:
    1 / 0
except ZeroDivisionError:
    log.exception("broken")
logging.getLogger("library").warning("of a %s", "library")
"""


def test_lines_are_json_with_the_request_and_without_secrets() -> None:
    process = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    assert process.stdout == ""
    assert "t0p" not in process.stderr
    hello, broken, library = (json.loads(line) for line in process.stderr.splitlines())
    assert (hello["event"], hello["level"], hello["service"], hello["number"]) == ("hello", "info", "edge", 1)
    assert (hello["tenant"], hello["request_id"]) == ("acme", "req-1")
    assert hello["timestamp"].endswith("Z")
    assert hello["nested"]["list"] == [{"password": "[redacted]"}]
    assert "ZeroDivisionError" in broken["exception"]
    assert (library["event"], library["logger"], library["level"]) == ("of a library", "library", "warning")


def test_an_unknown_level_is_an_error() -> None:
    with pytest.raises(ValueError, match="loud"):
        configure("loud")
