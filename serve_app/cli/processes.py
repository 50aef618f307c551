"""The processes that this one has started, with all their descendants; nobody else's are ever touched."""

import json
import os
from collections.abc import Iterable
from pathlib import Path

import psutil

from serve_app.cli.private_file import write_private

_POLITE_S = 2.0
_KILLED_S = 5.0
# Both clocks are the kernel's; a process id is not used again within seconds.
_SAME_START_S = 1.0


class ProcessTree:
    """Keeps a list of the tree in a file, so that the next start can clean up after a `kill -9` of this one."""

    def __init__(self, record: Path) -> None:
        self._record = record
        # Also those whose parent has gone meanwhile and who are nobody's children now.
        self._seen: dict[int, psutil.Process] = {}

    def note(self) -> None:
        """Write down who belongs to the tree now."""
        for process in psutil.Process().children(recursive=True):
            self._seen.setdefault(process.pid, process)
        self._seen = {pid: process for pid, process in self._seen.items() if process.is_running()}
        entries = []
        for process in self._seen.values():
            try:
                entries.append({"pid": process.pid, "created": process.create_time()})
            except psutil.NoSuchProcess:
                continue
        write_private(self._record, json.dumps(entries))

    def stop(self) -> int:
        """End what is left of the tree; how many there were."""
        self.note()
        ended = _end(self._seen.values())
        self._record.unlink(missing_ok=True)
        return ended

    def stop_leftovers(self) -> int:
        """End those of an earlier start that still live; how many there were."""
        try:
            entries = json.loads(self._record.read_text())
            leftovers = [found for entry in entries if (found := _find(int(entry["pid"]), float(entry["created"])))]
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            leftovers = []
        ended = _end(leftovers)
        self._record.unlink(missing_ok=True)
        return ended


def _find(pid: int, created: float) -> psutil.Process | None:
    """The process with this id, if it is the one that was started then."""
    try:
        process = psutil.Process(pid)
        same = abs(process.create_time() - created) < _SAME_START_S
    except psutil.NoSuchProcess:
        return None
    return process if same and pid != os.getpid() else None


def _end(processes: Iterable[psutil.Process]) -> int:
    """Ask them to end, then make them; how many were alive."""
    alive = [process for process in processes if _lives(process)]
    for process in alive:
        _signal(process, kill=False)
    _, stubborn = psutil.wait_procs(alive, timeout=_POLITE_S)
    for process in stubborn:
        _signal(process, kill=True)
    psutil.wait_procs(stubborn, timeout=_KILLED_S)
    return len(alive)


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _signal(process: psutil.Process, *, kill: bool) -> None:
    try:
        if kill:
            process.kill()
        else:
            process.terminate()
    except psutil.NoSuchProcess:
        return
