"""What the doctor says of the machine."""

import os
import resource
import sys
import zoneinfo
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from serve_app.cli.doctor import machine
from serve_app.cli.doctor.finding import Severity
from serve_app.settings import Settings
from tests.serve_app.cli.doctor.looking import worst


@contextmanager
def limit(kind: int, soft: int) -> Iterator[None]:
    """A limit of this process; only the soft one, which can be raised again."""
    before = resource.getrlimit(kind)
    resource.setrlimit(kind, (soft, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(kind, before)


def test_few_open_files() -> None:
    """The hard limit counts, and it cannot be raised again: a process of its own lowers it."""
    child = os.fork()
    if child == 0:
        resource.setrlimit(resource.RLIMIT_NOFILE, (512, 512))
        os._exit(int(machine.open_files().severity))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == Severity.WARNING


def test_few_threads() -> None:
    assert machine.threads().severity is Severity.OK
    with limit(resource.RLIMIT_NPROC, 100):
        found = machine.threads()
    assert (found.severity, found.says[:3]) == (Severity.WARNING, "100")


def test_little_shared_memory() -> None:
    # A file system of no size at all.
    assert machine.shared_memory(Path("/proc")).severity is Severity.WARNING


def test_a_full_disk(tmp_path: Path) -> None:
    assert worst(machine.disk(Path("/proc")), "disk.space").severity is Severity.ERROR
    assert worst(machine.disk(tmp_path / "not" / "made"), "disk.space").severity is not Severity.ERROR


def test_a_data_folder_in_memory() -> None:
    found = worst(machine.disk(Path("/dev/shm")), "disk.file-system")  # noqa: S108
    assert (found.severity, "tmpfs" in found.says) == (Severity.ERROR, True)


def test_a_slow_disk(tmp_path: Path) -> None:
    assert worst(machine.disk(tmp_path, slow_s=0.0), "disk.fsync").severity is Severity.WARNING


def test_a_folder_that_cannot_be_written() -> None:
    assert worst(machine.disk(Path("/proc")), "disk.fsync").severity is Severity.ERROR


def test_settings_that_allow_for_more_memory_than_there_is() -> None:
    settings = Settings(sql_processes=64, sql_memory_mb=4_096)
    assert machine.memory(settings, 64 * 2**30).severity is Severity.WARNING
    assert machine.memory(Settings(), 64 * 2**30).severity is Severity.OK
    assert machine.memory(Settings(), 2**30).severity is Severity.ERROR


def test_a_model_with_more_threads_than_processors() -> None:
    assert machine.processors(Settings(model_threads=8), 4).severity is Severity.WARNING
    assert machine.processors(Settings(model_threads=4), 4).severity is Severity.OK


def test_no_time_zones(monkeypatch: pytest.MonkeyPatch) -> None:
    assert machine.time_zones().severity is Severity.OK
    # Whatever was imported of the package before is found without it.
    for name in {"tzdata", *(each for each in sys.modules if each.startswith("tzdata."))}:
        monkeypatch.setitem(sys.modules, name, None)
    zoneinfo.reset_tzpath(to=[])
    try:
        found = machine.time_zones()
    finally:
        zoneinfo.reset_tzpath()
    assert found.severity is Severity.ERROR
