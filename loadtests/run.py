"""A scenario without a screen, with one number of users after the other, each with several processes that make load.

`python -m loadtests.run [PublicSubmit] [--users 100 500 1000] [--time 2m] [--processes 2] [--out dist/loadtests]`

Writes Locust's report of each as HTML and one page, `summary.md`, of all. The exit code is 1 when one was not good
enough (`loadtests.common.verdict`).
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from loadtests.__main__ import DEFAULT_HOST
from loadtests.common import table
from loadtests.settings import TABLE

_ALL_ARE_THERE_S: Final = 20
"""Users come evenly within so many seconds."""


def summary(scenario: str, runs: Mapping[int, tuple[int, Sequence[Mapping[str, Any]]]]) -> str:
    """The page: for each number of users the exit code of its run as a word, and its table."""
    lines = [f"# {scenario}"]
    for users, (code, rows) in runs.items():
        verdict = "good enough" if code == 0 else "NOT good enough"
        lines += [f"\n## {users:,} users: {verdict}\n", f"| {' | '.join(table.COLUMNS)} |"]
        lines.append("|---" * len(table.COLUMNS) + "|")
        lines += [f"| {' | '.join(str(row[name]) for name in table.COLUMNS)} |" for row in rows]
    return "\n".join(lines) + "\n"


def run(given: argparse.Namespace) -> int:
    """Run all, write the page; the exit code."""
    folder: Path = given.out
    folder.mkdir(parents=True, exist_ok=True)
    runs = {users: _run(given, users, folder / f"{given.scenario}-{users}") for users in given.users}
    page = summary(given.scenario, runs)
    (folder / "summary.md").write_text(page)
    sys.stdout.write(page)
    return int(any(code for code, _ in runs.values()))


def _run(given: argparse.Namespace, users: int, stem: Path) -> tuple[int, list[dict[str, Any]]]:
    """The exit code and the table."""
    options = {
        "--users": users,
        "--spawn-rate": max(1, users / _ALL_ARE_THERE_S),
        "--run-time": given.time,
        "--processes": given.processes,
        "--host": given.host,
        "--html": f"{stem}.html",
    }
    command = [sys.executable, "-m", "loadtests", given.scenario, "--headless", "--only-summary"]
    command += [str(part) for option in options.items() for part in option]
    kept = Path(f"{stem}.json")
    kept.unlink(missing_ok=True)
    done = subprocess.run(command, env={**os.environ, TABLE: str(kept)}, check=False)  # noqa: S603
    return done.returncode, table.read(kept)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenario", nargs="?", default="PublicSubmit")
    parser.add_argument("--users", type=int, nargs="+", default=[100, 500, 1000])
    parser.add_argument("--time", default="2m")
    parser.add_argument("--processes", type=int, default=2, help="that make load; each keeps a core busy at most")
    parser.add_argument("--host", default=DEFAULT_HOST)
    parser.add_argument("--out", type=Path, default=Path("dist/loadtests"))
    return run(parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())
