"""Z1: `formstream up` starts everything, stops everything, and finds its data again."""

import asyncio
import subprocess
import sys
from datetime import timedelta

import httpx
import psutil
import pytest
from pydantic import SecretStr
from rich.console import Console

from deployments.kit.secret_keys import key_id
from serve_app.cli import secret_keys
from serve_app.settings import Settings
from tests.e2e.platform import ROOT, Platform
from tests.eventing.harness import eventually
from tests.factories import ANSWERS, PARTY


@pytest.mark.cluster
def test_everything_listens_on_loopback_alone(platform: Platform) -> None:
    """D9: whatever Ray's processes and Serve's replicas open, nobody on the network reaches it."""
    open_ports = [
        connection.laddr
        for process in platform.processes()
        for connection in process.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert len(open_ports) > 5
    assert {address for address, _ in open_ports} <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}


@pytest.mark.cluster
async def test_a_restart_finds_its_data_and_leaves_nothing_behind(platform: Platform) -> None:
    administrator = platform.administrator()
    client = await platform.sign_up("restart")
    form = (await client.post("/api/v1/forms", json={"slug": "party", "title": "Party", "definition": PARTY})).json()
    await client.post(f"/api/v1/forms/{form['id']}/publish")
    first = await client.post(f"/api/v1/forms/{form['id']}/responses", json={"answers": ANSWERS})
    assert first.status_code == 201

    rival = subprocess.run(
        [sys.executable, "-m", "serve_app", "up", "--data-dir", str(platform.data_dir), "--port", "0"],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=ROOT,
        check=False,
    )
    assert rival.returncode != 0
    assert str(platform.pid) in rival.stderr
    assert "Traceback" not in rival.stderr

    started = [process.pid for process in platform.processes()]
    assert platform.stop() == 0
    assert [pid for pid in started if psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie"] == []

    platform.start()
    assert platform.administrator() == administrator
    found = await client.get(f"/api/v1/responses/{first.json()['id']}")
    assert found.json()["answers"] == ANSWERS
    second = await client.post(f"/api/v1/forms/{form['id']}/responses", json={"answers": ANSWERS})
    assert second.status_code == 201
    await client.aclose()


@pytest.mark.cluster
async def test_the_secret_key_is_rotated_without_a_restart(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    """O9: every process of Ray reads the file of keys again; who is logged in stays so until the old key is removed."""
    monkeypatch.setattr(secret_keys, "HEAD_START", timedelta(seconds=2))
    settings, quiet = Settings(data_dir=platform.data_dir, secret_key=SecretStr("")), Console(quiet=True)
    first, started = key_id(settings.secret_keys().current), {process.pid for process in platform.processes()}
    before = await logged_in(platform, "before")
    await asyncio.to_thread(secret_keys.rotate, settings, quiet)
    await asyncio.to_thread(secret_keys.reseal, settings, quiet)
    after = await logged_in(platform, "after")
    for client in (before, after):
        assert (await client.get("/api/v1/me")).status_code == 200
    await asyncio.to_thread(secret_keys.remove, settings, first, quiet, at_once=True)

    async def is_refused() -> bool:
        return (await before.get("/api/v1/me")).status_code == 401

    await eventually(is_refused)
    assert (await after.get("/api/v1/me")).status_code == 200
    assert platform.find("edge").pid in started
    for client in (before, after):
        await client.aclose()


async def logged_in(platform: Platform, tenant: str) -> httpx.AsyncClient:
    """A client with the session of a new tenant's owner."""
    owner = {"email": f"owner@{tenant}.example", "password": "correct horse battery", "name": "Owner"}
    async with platform.client() as anybody:
        answer = await anybody.post("/api/v1/signup", json={"tenant": {"id": tenant, "name": tenant}, "user": owner})
    assert answer.status_code == 201, answer.text
    return platform.client(answer.json()["access_token"])
