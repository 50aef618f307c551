"""Z1: `formstream up` starts everything, stops everything, and finds its data again."""

import subprocess
import sys

import psutil
import pytest

from tests.e2e.platform import ROOT, Platform
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
