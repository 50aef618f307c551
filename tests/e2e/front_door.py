"""Caddy with the Caddyfile of one host, leading to one edge or to several."""

import asyncio
import os
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from tests.e2e.platform import ROOT, Platform, free_port

_READY_S = 30.0
_ATTEMPTS = 3


class FrontDoor(Platform):
    """What clients reach; it is led to another port without being closed. `data_dir` is that of the platform behind."""

    def __init__(self, data_dir: Path) -> None:
        super().__init__(data_dir)
        self._admin = f"127.0.0.1:{free_port()}"
        self._file = data_dir / "Caddyfile"
        self._program = program()

    def open(self, first: int) -> None:
        """Lead to the port `first`. Raises AssertionError when nobody answers."""
        caddyfile = (ROOT / "deploy" / "Caddyfile").read_text()
        self._file.write_text(caddyfile.replace("\n{\n", f"\n{{\n\tadmin {self._admin}\n", 1))
        with (self.data_dir / "caddy.log").open("wb") as log:
            self._process = subprocess.Popen(
                [self._program, "run", "--config", str(self._file), "--adapter", "caddyfile"],
                env=self._variables({first: 1}),
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        deadline = time.monotonic() + _READY_S
        while time.monotonic() < deadline:
            try:
                if httpx.get(f"{self.url}/api/v1/openapi.json", trust_env=False).is_success:
                    return
            except httpx.HTTPError:
                time.sleep(0.1)
        raise AssertionError("Caddy does not answer")

    def lead_to(self, weights: Mapping[int, int]) -> None:
        """Give new requests to the ports, in these proportions."""
        command = [self._program, "reload", "--config", str(self._file), "--adapter", "caddyfile"]
        command += ["--address", self._admin]
        for _ in range(_ATTEMPTS):
            # Caddy replaces the address that it is told at, too, sometimes before it has answered.
            done = subprocess.run(command, env=self._variables(weights), capture_output=True, text=True, check=False)
            if done.returncode == 0:
                return
        raise AssertionError(done.stderr)

    @property
    def errors(self) -> list[str]:
        """What Caddy says of requests that it could not serve."""
        lines = (self.data_dir / "caddy.log").read_text().splitlines()
        return [line for line in lines if '"level":"error"' in line]

    def _variables(self, weights: Mapping[int, int]) -> dict[str, str]:
        upstreams = [f"127.0.0.1:{port}" for port, weight in weights.items() for _ in range(weight)]
        return {
            **os.environ,
            "FORMSTREAM_DOMAIN": self.url,
            "FORMSTREAM_UPSTREAMS": " ".join(upstreams),
            "XDG_DATA_HOME": str(self.data_dir),
            "XDG_CONFIG_HOME": str(self.data_dir),
        }


@asynccontextmanager
async def open_to(first: int, data_dir: Path) -> AsyncIterator[FrontDoor]:
    """A door that leads to the port `first`."""
    door = FrontDoor(data_dir)
    try:
        await asyncio.to_thread(door.open, first)
        yield door
    finally:
        await asyncio.to_thread(door.stop)


def program() -> Path:
    """Where Caddy is; `make test-upgrade` has it among its tools."""
    found = shutil.which("caddy")
    assert found, "Caddy is not installed"
    return Path(found)
