"""The machine: limits, disk, memory, processors, time zones."""

import os
import resource
import statistics
import tempfile
import time
import zoneinfo
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import psutil

from serve_app.cli.doctor.finding import Finding, doubtful, fine, wrong
from serve_app.cli.doctor.installation import Installation
from serve_app.settings import Settings

_FILES: Final = 8_192
_THREADS: Final = 2_048
_SHARED_MEMORY: Final = 100_000_000
"""What `formstream up` and the image's entry point give Ray's object store."""
_ROOM: Final = 512 * 1024**2
_ENOUGH_ROOM: Final = 5 * 1024**3
_SLOW_FSYNC_S: Final = 0.02
_PROCESSES_MEMORY: Final = 2 * 1024**3
"""What Ray and four replicas take without a load."""
_IN_MEMORY: Final = frozenset({"tmpfs", "ramfs"})
_REMOTE: Final = frozenset({"nfs", "nfs4", "cifs", "smb3", "fuse.sshfs", "9p", "ceph", "glusterfs"})


async def examine(installation: Installation) -> list[Finding]:
    """Look at everything that holds for whatever runs here."""
    settings = installation.settings
    return [
        open_files(),
        threads(),
        shared_memory(),
        *disk(settings.data_dir),
        memory(settings, psutil.virtual_memory().total),
        processors(settings, os.cpu_count() or 1),
        time_zones(),
    ]


def open_files() -> Finding:
    """Ray raises its soft limit to the hard one, so that is the one that counts."""
    name = "machine.open-files"
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard != resource.RLIM_INFINITY and hard < _FILES:
        return doubtful(
            name,
            f"A process may open {hard} files; every connection is one.",
            "Raise the hard limit to 65536: `ulimit -Hn`, LimitNOFILE= of systemd, `ulimits` of docker-compose.",
        )
    return fine(name, f"{_count(hard)} files may be open.")


def threads() -> Finding:
    """Ray's processes have many threads each, and the limit counts threads."""
    name = "machine.threads"
    soft = resource.getrlimit(resource.RLIMIT_NPROC)[0]
    if soft != resource.RLIM_INFINITY and soft < _THREADS:
        return doubtful(
            name,
            f"{soft} threads may run; Ray alone has some hundreds.",
            "Raise it to 8192: `ulimit -u`, TasksMax= of systemd, `pids` of docker-compose.",
        )
    return fine(name, f"{_count(soft)} threads may run.")


def shared_memory(folder: Path = Path("/dev/shm")) -> Finding:  # noqa: S108 - where Ray has its object store
    """A container has 64 MB of it unless told otherwise."""
    name = "machine.shared-memory"
    size = psutil.disk_usage(str(folder)).total if folder.is_dir() else 0
    if size < _SHARED_MEMORY:
        return doubtful(
            name,
            f"{folder} has {_size(size)}; Ray's object store goes to a disk instead.",
            "Give it 256 MB: `shm_size: 256m` in docker-compose, an emptyDir with medium: Memory on Kubernetes.",
        )
    return fine(name, f"{_size(size)} in {folder}.")


def disk(data_dir: Path, slow_s: float = _SLOW_FSYNC_S) -> Iterator[Finding]:
    """Room, kind and speed of the disk below the data folder."""
    folder = next(each for each in (data_dir, *data_dir.parents) if each.is_dir())
    free = psutil.disk_usage(str(folder)).free
    cure = "Make room, or choose another folder with FORMSTREAM_DATA_DIR."
    if free < _ROOM:
        yield wrong("disk.space", f"{_size(free)} are left in {folder}.", cure)
    elif free < _ENOUGH_ROOM:
        yield doubtful("disk.space", f"{_size(free)} are left in {folder}.", cure)
    else:
        yield fine("disk.space", f"{_size(free)} are left in {folder}.")
    yield _file_system(folder)
    yield _fsync(folder, slow_s)


def _file_system(folder: Path) -> Finding:
    name = "disk.file-system"
    kind = _kind_of(folder)
    cure = "Put FORMSTREAM_DATA_DIR on a disk of this machine."
    if kind in _IN_MEMORY:
        return wrong(name, f"{folder} is {kind}: everything is gone when the machine restarts.", cure)
    if kind in _REMOTE:
        return wrong(name, f"{folder} is {kind}, whose locks and syncs a database cannot rely on.", cure)
    return fine(name, f"{folder} is {kind or 'of an unknown kind'}.")


def _kind_of(folder: Path) -> str:
    resolved = folder.resolve()
    mounts = {Path(each.mountpoint): each.fstype for each in psutil.disk_partitions(all=True)}
    return next((mounts[each] for each in (resolved, *resolved.parents) if each in mounts), "")


def _fsync(folder: Path, slow_s: float) -> Finding:
    name = "disk.fsync"
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            took = statistics.median(_synced(file.fileno()) for _ in range(10))
    except OSError as error:
        return wrong(
            name,
            f"Nothing can be written in {folder}: {error.strerror}.",
            "Let the user that runs Formstream own it, or choose another with FORMSTREAM_DATA_DIR.",
        )
    says = f"An fsync takes {took * 1_000:.1f} ms, and a submission waits for one."
    if took > slow_s:
        return doubtful(name, says, "Use a local SSD, or a volume with more guaranteed writes a second.")
    return fine(name, says)


def _synced(file: int) -> float:
    began = time.perf_counter()
    os.write(file, b"\0" * 4_096)
    os.fsync(file)
    return time.perf_counter() - began


def memory(settings: Settings, present: int) -> Finding:
    """Whether what the settings promise can be held at the same time."""
    name = "machine.memory"
    promised = (settings.sql_memory_mb * settings.sql_processes + settings.search_memory_mb) * 2**20
    wanted = promised + _PROCESSES_MEMORY
    says = f"{_size(present)} of memory; the settings allow for {_size(wanted)}."
    if present < _PROCESSES_MEMORY:
        return wrong(name, says, f"Give the machine at least {_size(_PROCESSES_MEMORY)}.")
    if present < wanted:
        return doubtful(
            name, says, "Lower FORMSTREAM_SQL_MEMORY_MB, FORMSTREAM_SQL_PROCESSES or FORMSTREAM_SEARCH_MEMORY_MB."
        )
    return fine(name, says)


def processors(settings: Settings, present: int) -> Finding:
    """Whether a model would fight with itself."""
    name = "machine.processors"
    if settings.model_threads > present:
        return doubtful(
            name,
            f"FORMSTREAM_MODEL_THREADS={settings.model_threads}, and {present} processors are here.",
            f"Set it to {present} at most; more threads than processors make a model slower.",
        )
    return fine(name, f"{present} processors.")


def time_zones() -> Finding:
    """Schedules and series of figures are asked for in time zones by name."""
    name = "machine.time-zones"
    try:
        zoneinfo.ZoneInfo.no_cache("Europe/Berlin")
    except (zoneinfo.ZoneInfoNotFoundError, OSError):
        return wrong(name, "There are no time zones here.", "Install the package tzdata, of the system or of Python.")
    return fine(name, "Time zones are known by name.")


def _count(limit: int) -> str:
    return "Any number of" if limit == resource.RLIM_INFINITY else str(limit)


def _size(count: int) -> str:
    return f"{count / 1024**3:.1f} GiB" if count >= 1024**3 else f"{count / 1024**2:.0f} MiB"
