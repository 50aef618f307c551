"""The local Ray: started, watched, stopped."""

import atexit
import logging
import os
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

import psutil
import ray

from serve_app.cli.failure import CommandFailed
from serve_app.cli.signals import Signals, Stopped

_LOGICAL_CPUS: Final = 8
"""Replicas ask for a tenth of one; the number bounds how many there may be, not how much they compute."""
_OBJECT_STORE: Final = 100_000_000
"""Bytes. Nothing large crosses a handle, and the default takes 30 % of the memory."""
_HEAD: Final = frozenset({"gcs_server", "raylet"})
_LONGEST_FOLDER: Final = 40
"""Ray puts sockets some 65 characters below its folder, and the kernel takes paths of 107."""
_SHUTDOWN_S: Final = 15.0


class Cluster:
    """One node, on loopback, with all its processes below this one."""

    def __init__(self) -> None:
        self._head: list[psutil.Process] = []
        self.dashboard_url = ""
        self.log_dir = Path()

    def start(self, signals: Signals, *, dashboard: bool) -> None:
        """Start the node. Raises CommandFailed with Ray's reason."""
        try:
            context: Any = ray.init(
                address="local",  # never one that happens to run here already
                namespace="serve",
                num_cpus=_LOGICAL_CPUS,
                object_store_memory=_OBJECT_STORE,
                include_dashboard=dashboard,
                dashboard_host="127.0.0.1",
                log_to_driver=False,
                logging_level=logging.WARNING,
                _node_ip_address="127.0.0.1",
                _temp_dir=_folder(),
            )
        except SystemExit:
            # What Ray's own handler of SIGTERM does.
            raise Stopped from None
        except Exception as error:
            raise CommandFailed(f"Ray did not start: {' '.join(str(error).split())}") from error
        finally:
            signals.install()
        self.dashboard_url = f"http://{context.dashboard_url}" if dashboard else ""
        self.log_dir = Path(context.address_info["session_dir"]) / "logs"
        self._head = [child for child in psutil.Process().children() if child.name() in _HEAD]

    def failure(self) -> str | None:
        """Why the node cannot go on, None while it can."""
        for process in self._head:
            if not process.is_running() or process.status() == psutil.STATUS_ZOMBIE:
                return f"Ray has lost its {_name(process)}; its logs are in {self.log_dir}."
        return None

    def stop(self, signals: Signals) -> None:
        """Leave the node and end it; what does not end is left to the process tree."""
        lost = self.failure() is not None
        if lost or not signals.bounded(ray.shutdown, _SHUTDOWN_S):
            # Handlers run last in, first out: this process ends before Ray's waits for what is gone.
            atexit.register(_leave, 1 if lost else 0)


def _leave(code: int) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _name(process: psutil.Process) -> str:
    try:
        return process.name()
    except psutil.NoSuchProcess:
        return "head process"


def _folder() -> str | None:
    """None for Ray's own choice; another folder where that belongs to somebody else or makes paths too long."""
    parent = Path(os.environ.get("RAY_TMPDIR") or os.environ.get("TMPDIR") or "/tmp")  # noqa: S108 - as Ray does
    own = parent / "ray"
    usable = own if own.exists() else parent
    if os.access(usable, os.W_OK | os.X_OK) and len(str(own)) <= _LONGEST_FOLDER:
        return None
    short = Path("/tmp", f"ray-{os.getuid()}")  # noqa: S108 - short is what counts; made private below
    try:
        short.mkdir(mode=0o700, exist_ok=True)
        with tempfile.TemporaryFile(dir=short):
            pass
    except OSError as error:
        raise CommandFailed(
            f"Ray needs a folder for its sockets, and {short} cannot be written ({error.strerror})."
        ) from None
    return str(short)
