"""A running platform, started by the command a user types and driven over HTTP alone."""

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import httpx
import psutil

from tests.plain_http import TRUSTS_NOBODY

ROOT = Path(__file__).parents[2]
_READY_S = 240.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


PROGRAMS = ("nats-server", "gcs_server", "raylet")


class Platform:
    """`formstream up` in a process of its own."""

    def __init__(self, data_dir: Path, **environment: str) -> None:
        self.data_dir = data_dir
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = data_dir.parent / f"{data_dir.name}.log"
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None
        self._began_at = 0

    def start(self) -> Self:
        """Start and wait until it says that it is ready. Raises AssertionError with its output."""
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("FORMSTREAM_")},
            "PYTHONPATH": str(ROOT),
            "FORMSTREAM_DATA_DIR": str(self.data_dir),
            "FORMSTREAM_PORT": str(self.port),
            "FORMSTREAM_EGRESS_ALLOW": "127.0.0.0/8",
            **self._environment,
        }
        self._began_at = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.e2e.formstream", "up", "--no-dashboard"],
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                cwd=ROOT,
            )
        deadline = time.monotonic() + _READY_S
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                break
            if re.search(r"^\W*Ready", self.output, re.MULTILINE):
                return self
            time.sleep(0.1)
        raise AssertionError(f"the platform did not become ready:\n{self.output}")

    @property
    def output(self) -> str:
        """What the command has printed since it was last started."""
        with self.log.open("rb") as log:
            log.seek(self._began_at)
            return log.read().decode(errors="replace")

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def stop(self, timeout_s: float = 90.0) -> int:
        """SIGTERM, and the exit code."""
        assert self._process is not None
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            for process in [*self.processes(), psutil.Process(self.pid)]:
                process.kill()
            self._process.wait()
            raise

    def wait(self, timeout_s: float = 120.0) -> int:
        """The exit code, once it ended by itself."""
        assert self._process is not None
        return self._process.wait(timeout_s)

    def processes(self) -> Iterator[psutil.Process]:
        """Everything the command started that still runs."""
        yield from psutil.Process(self.pid).children(recursive=True)

    def find(self, role: str) -> psutil.Process:
        """The process of a role: a program of `PROGRAMS`, or the application of a replica."""
        wanted = f"/{role}" if role in PROGRAMS else f"ServeReplica:{role}:"
        for process in self.processes():
            try:
                command = " ".join(process.cmdline())
            except psutil.Error:
                continue
            if wanted in command and "launcher" not in command:
                return process
        raise LookupError(f"there is no process for {role}")

    def kill(self, role: str) -> int:
        """kill -9 the process of a role; its pid."""
        process = self.find(role)
        process.kill()
        return process.pid

    def administrator(self) -> dict[str, str]:
        """The generated credentials."""
        found: dict[str, str] = json.loads((self.data_dir / "admin.json").read_text())
        return found

    def client(self, token: str | None = None, **options: Any) -> httpx.AsyncClient:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx.AsyncClient(base_url=self.url, headers=headers, timeout=30, verify=TRUSTS_NOBODY, **options)

    async def sign_up(self, tenant: str) -> httpx.AsyncClient:
        """A new tenant without limits, and a client that may do everything in it."""
        async with self.client() as anybody:
            owner = {"email": f"owner@{tenant}.example", "password": "correct horse battery", "name": "Owner"}
            answer = await anybody.post(
                "/api/v1/signup", json={"tenant": {"id": tenant, "name": tenant}, "user": owner}
            )
            assert answer.status_code == 201, answer.text
            token = answer.json()["access_token"]
            login = {"tenant": None, **self.administrator()}
            admin_token = (await anybody.post("/api/v1/auth/login", json=login)).json()["access_token"]
            unlimited = {"settings": {"max_responses_per_form": None, "max_forms": None}}
            changed = await anybody.patch(
                f"/api/v1/tenants/{tenant}", json=unlimited, headers={"Authorization": f"Bearer {admin_token}"}
            )
            assert changed.status_code == 200, changed.text
        key = {
            "name": "test",
            "scopes": [
                "forms:read",
                "forms:write",
                "responses:read",
                "responses:write",
                "webhooks:read",
                "webhooks:write",
                "jobs:read",
                "jobs:write",
                "analytics:read",
                "events:read",
            ],
        }
        async with self.client(token) as owner_client:
            created = await owner_client.post("/api/v1/api-keys", json=key)
            assert created.status_code == 201, created.text
        return self.client(created.json()["key"])


async def finished_job(client: httpx.AsyncClient, location: str, timeout_s: float = 120.0) -> dict[str, Any]:
    """The job, once it has an end."""
    async with asyncio.timeout(timeout_s):
        while True:
            answer = await client.get(location)
            assert answer.status_code == 200, answer.text
            job: dict[str, Any] = answer.json()
            if job["state"] in {"succeeded", "failed", "cancelled"}:
                return job
            await asyncio.sleep(0.1)
