"""The production path on one machine: a plain Ray cluster, PostgreSQL, an external NATS, `serve deploy`."""

import asyncio
import os
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import asyncpg
import httpx
import psutil

from eventing.server import EmbeddedServer
from serve_app.ray_environment import RAY_ENVIRONMENT
from tests.conftest import sqlalchemy_url
from tests.e2e.platform import ROOT, Platform, free_port
from tests.plain_http import TRUSTS_NOBODY

ROLES = (
    *("identity", "forms", "responses", "webhooks", "imports", "files", "events", "jobs", "inference", "embedding"),
    "analytics",
    *("consumers", "runners", "edge"),
)
_BIN = Path(sys.executable).parent
# Some twenty processes start at once, on as few processors as there are.
_READY_S = 300.0
_STOP_S = 20.0
_LEAVE_S = 60.0


class Cluster(Platform):
    """A Ray head of its own with the applications of a Serve configuration; every process of it is found by its
    data folder, so that nothing else on the machine is ever touched. `source` is the folder that its code is in; one
    that stands `beside` another has the other's database, NATS, objects and secret."""

    def __init__(
        self, data_dir: Path, postgres_server: str, *, source: Path = ROOT, beside: "Cluster | None" = None
    ) -> None:
        self._postgres_server = postgres_server
        self._beside = beside
        self._source = source
        self._database = beside._database if beside else f"cluster_{secrets.token_hex(6)}"
        # Ray puts sockets some 65 characters below its folder, and the kernel takes paths of 107.
        self._ray_dir = Path(tempfile.mkdtemp(prefix="fs-", dir="/tmp"))
        self.nats = beside.nats if beside else EmbeddedServer(data_dir.parent / "nats")
        self._dashboard_port = free_port()
        self.ray_port = free_port()
        self.config = beside.config if beside else ROOT / "serve_config.yaml"
        self.migrated = ""
        super().__init__(data_dir)

    def start(self) -> Self:
        """Start everything an operator starts, as README and docs/operations.md say, and wait until it is ready."""
        self.data_dir.mkdir()
        if self._beside is None:
            asyncio.run(self._create_database())
            self.nats.start()
        self._environment = self._variables()
        self.migrated = self.run("formstream", "migrate")
        self.start_ray()
        self.deploy(self.config)
        self.wait_ready()
        return self

    def start_ray(self) -> None:
        """Start the head."""
        self.start_node(
            *("--head", "--disable-usage-stats", "--node-ip-address=127.0.0.1"),
            *(f"--port={self.ray_port}", f"--temp-dir={self._ray_dir}"),
            *("--include-dashboard=true", "--dashboard-host=127.0.0.1", f"--dashboard-port={self._dashboard_port}"),
            f"--ray-client-server-port={free_port()}",
        )

    def start_node(self, *arguments: str) -> None:
        """Start a node."""
        self.run(
            *("ray", "start", "--num-cpus=8", "--object-store-memory=100000000", *arguments),
            f"--dashboard-agent-listen-port={free_port()}",
            # Any free ones: two clusters of one machine would else give their workers the same.
            *("--min-worker-port=0", "--max-worker-port=0"),
        )

    def deploy(self, config: Path) -> None:
        """`serve deploy`; returns when the configuration is accepted."""
        self.run("serve", "deploy", str(config), "--address", self.dashboard)
        self.config = config

    def wait_ready(self, timeout_s: float = _READY_S) -> None:
        """Until Serve says that all it was told is running, and the edge that every application answers."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if self._is_ready():
                return
            time.sleep(0.5)
        states = {
            name: f"{application['status']} {application['message']}" for name, application in self.status().items()
        }
        raise AssertionError(f"the cluster did not become ready: {states}")

    def status(self) -> dict[str, Any]:
        """Serve's own account of every application."""
        headers = {"Authorization": f"Bearer {self._environment['RAY_AUTH_TOKEN']}"}
        answer = self._get(f"{self.dashboard}/api/serve/applications/", headers)
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()["applications"]
        return found

    def run(self, command: str, *arguments: str) -> str:
        """Run `formstream`, `ray` or `serve` of the virtual environment; what it printed. Raises AssertionError."""
        program = [sys.executable, "-m", "serve_app"] if command == "formstream" else [str(_BIN / command)]
        done = subprocess.run(
            [*program, *arguments],
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            timeout=120,
            cwd=self.data_dir,
            check=False,
        )
        assert done.returncode == 0, f"{command} {arguments}: {done.stdout}"
        return done.stdout

    @property
    def dashboard(self) -> str:
        return f"http://127.0.0.1:{self._dashboard_port}"

    def processes(self) -> Iterator[psutil.Process]:
        """Everything that runs with this cluster's environment."""
        mine = str(self.data_dir)
        for process in psutil.process_iter():
            try:
                if process.environ().get("FORMSTREAM_DATA_DIR") == mine and process.pid != os.getpid():
                    yield process
            except psutil.Error:
                continue

    def replicas(self) -> dict[int, str]:
        """The role of every replica by its pid."""
        return {process.pid: role for process, role in self._replicas()}

    def beside(self, data_dir: Path, source: Path = ROOT) -> "Cluster":
        """Another one with the same data, to be started."""
        return Cluster(data_dir, self._postgres_server, source=source, beside=self)

    def leave(self, timeout_s: float = _LEAVE_S) -> int:
        """Let the replicas finish what they do and end; how many did not."""
        replicas = [process for process, _ in self._replicas()]
        if replicas:
            self.run("serve", "shutdown", "--yes", "--address", self.dashboard)
        return len(psutil.wait_procs(replicas, timeout_s)[1])

    def stop(self, timeout_s: float = _STOP_S) -> int:
        """End it all, the replicas first and politely; how many processes had to be killed."""
        try:
            self.leave(timeout_s)
        finally:
            left = list(self.processes())
            for process in left:
                process.terminate()
            _, late = psutil.wait_procs(left, 5)
            for process in late:
                process.kill()
            psutil.wait_procs(late, timeout_s)
            if self._beside is None:
                self.nats.stop()
                asyncio.run(self._drop_database())
            shutil.rmtree(self._ray_dir, ignore_errors=True)
        return len(late)

    def _replicas(self) -> Iterator[tuple[psutil.Process, str]]:
        for process in self.processes():
            with suppress(psutil.Error):
                if found := re.search(r"ServeReplica:([a-z]+):", " ".join(process.cmdline())):
                    yield process, found[1]

    def _is_ready(self) -> bool:
        # The edge first: Serve's account of some twenty deployments takes the time of those that want to start.
        try:
            if self._get(f"{self.url}/health/ready", {}).status_code != 200:
                return False
        except httpx.HTTPError:
            return False
        return {application["status"] for application in self.status().values()} == {"RUNNING"}

    def _get(self, url: str, headers: dict[str, str]) -> httpx.Response:
        return httpx.get(url, headers=headers, timeout=10, trust_env=False, verify=TRUSTS_NOBODY)

    def _variables(self) -> dict[str, str]:
        own = {
            "PYTHONPATH": str(self._source),
            "RAY_AUTH_TOKEN": secrets.token_hex(32),
            "FORMSTREAM_DATA_DIR": str(self.data_dir),
            "FORMSTREAM_PORT": str(self.port),
        }
        if self._beside is not None:
            return self._beside._environment | own
        # Measured by coverage, each of some forty processes would take twice as long to start, and Ray kills them
        # before they could save it.
        not_theirs = ("COVERAGE_", "FORMSTREAM_", "RAY_")
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(not_theirs)}
        return {
            **inherited,
            **RAY_ENVIRONMENT,
            **own,
            "RAY_AUTH_MODE": "token",
            "FORMSTREAM_DATABASE_URL": sqlalchemy_url(self.database_uri),
            "FORMSTREAM_NATS_URL": self.nats.url,
            "FORMSTREAM_OBJECT_STORE_URL": f"file://{self.data_dir / 'objects'}",
            "FORMSTREAM_SECRET_KEY": secrets.token_urlsafe(48),
            "FORMSTREAM_EGRESS_ALLOW": "127.0.0.0/8",
        }

    async def fetch_value(self, query: str, *arguments: object) -> Any:
        """What a query answers, asked as PostgreSQL's superuser."""
        connection = await asyncpg.connect(self.database_uri)
        try:
            return await connection.fetchval(query, *arguments, timeout=60)
        finally:
            await connection.close()

    @property
    def database_uri(self) -> str:
        head, _, query = self._postgres_server.partition("?")
        return f"{head.rpartition('/')[0]}/{self._database}?{query}"

    async def _create_database(self) -> None:
        connection = await asyncpg.connect(self._postgres_server)
        await connection.execute(f"CREATE DATABASE {self._database}")
        await connection.close()

    async def _drop_database(self) -> None:
        connection = await asyncpg.connect(self._postgres_server)
        await connection.execute(f"DROP DATABASE IF EXISTS {self._database} WITH (FORCE)")
        await connection.close()
