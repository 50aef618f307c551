"""What the processes of a platform take, those of its PostgreSQL included: time of a processor, and memory."""

import contextlib
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import TypeAlias

import psutil

from benchmarks.form import Watched

Times: TypeAlias = Mapping[tuple[int, str], float]

_QUIET = 0.3
_QUIET_S = 600.0
_LOOK_S = 1.0
_IN_A_ROW = 3


def processor_times(platform: Watched) -> Times:
    """Seconds of processor time that each process has had, by its number and name."""
    times = {}
    for process in _processes(platform):
        with contextlib.suppress(psutil.Error):
            used = process.cpu_times()
            times[process.pid, _name(process)] = used.user + used.system
    return times


def costs(before: Times, after: Times, number: int) -> dict[str, float]:
    """Milliseconds that each process has spent on one of so many, the dearest first; those of all as `all`."""
    spent: defaultdict[str, float] = defaultdict(float)
    for (pid, name), seconds in after.items():
        spent[name] += (seconds - before.get((pid, name), 0.0)) * 1000 / number
    dearest = sorted(spent.items(), key=lambda item: -item[1])
    return {name: cost for name, cost in dearest if cost >= 0.01} | {"all": sum(spent.values())}


def until_quiet(platform: Watched) -> None:
    """Return once the platform has nothing left to do: it takes less than a third of a processor for some seconds.

    Raises AssertionError when it does not come to rest.
    """
    deadline, quiet = time.monotonic() + _QUIET_S, 0
    while time.monotonic() < deadline:
        before, began = processor_times(platform), time.monotonic()
        time.sleep(_LOOK_S)
        spent = sum(processor_times(platform).values()) - sum(before.values())
        quiet = quiet + 1 if spent / (time.monotonic() - began) < _QUIET else 0
        if quiet == _IN_A_ROW:
            return
    raise AssertionError(f"the platform is not at rest after {_QUIET_S:g} s")


def memory(platform: Watched) -> dict[str, tuple[float, float]]:
    """MiB of each process by name: with its part of what it shares, and resident."""
    found: defaultdict[str, tuple[float, float]] = defaultdict(lambda: (0.0, 0.0))
    for process in _processes(platform):
        with contextlib.suppress(psutil.Error):
            info, name = process.memory_full_info(), _name(process)
            found[name] = (found[name][0] + info.pss / 2**20, found[name][1] + info.rss / 2**20)
    return dict(found)


def _processes(platform: Watched) -> Iterator[psutil.Process]:
    yield from platform.everything()
    # The server is nobody's child; its processes work in the folder of their data.
    for process in psutil.process_iter(["name", "cwd"]):
        if process.info["name"] == "postgres" and process.info["cwd"] == str(platform.postgresql):
            yield process


def _name(process: psutil.Process) -> str:
    command = process.cmdline()
    return (command[0] if command and command[0].startswith("ray::") else process.name()).split(".")[0][:60]
