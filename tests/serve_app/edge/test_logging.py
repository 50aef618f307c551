"""Log lines: JSON, with their request, without secrets. In a process of its own, since logging is global."""

import json
import subprocess
import sys

import httpx
import pytest
from structlog.testing import capture_logs

from serve_app.logging import add_caller, configure

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


async def test_a_line_is_of_its_own_request_and_not_of_one_before_on_the_connection(owner: httpx.AsyncClient) -> None:
    """O1: behind a proxy, requests of many customers share a connection, and whoever answers them is one task."""
    with capture_logs(processors=[add_caller]) as logs:
        assert (
            await owner.get("/api/v1/tenants/_nobody", headers={"X-Correlation-ID": "of-acme-1"})
        ).status_code >= 400
        refused = {"X-Correlation-ID": "of-a-stranger", "Authorization": "Bearer wrong"}
        assert (await owner.get("/api/v1/forms", headers=refused)).status_code == 401
    first, second = (log for log in logs if log["event"] == "request")
    assert (first["request_id"], first["tenant"]) == ("of-acme-1", "acme")
    assert second["request_id"] == "of-a-stranger"
    assert "tenant" not in second
