"""Everything that is measured, in turn: what a user waits for, what follows a submission, what reads.

`python -m benchmarks [--quick] [--only PART ...] [--out dist/benchmarks.json]`

Each part is a command of its own, `python -m benchmarks.PART`, which can do more. Kept are the figures of all, and what
each printed. `--quick` takes minutes instead of hours, to see that everything works; its figures say little. The exit
code is 1 when a part failed: also one whose books did not balance.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.figures import Figure, load, save
from benchmarks.machine import describe


@dataclass(frozen=True, slots=True)
class Part:
    """A command, what it is told, and what it is told when it shall be quick. `keeps` figures, else it only prints."""

    name: str
    options: str = ""
    quick: str = ""
    keeps: bool = False


PARTS = (
    Part("submissions", quick="--seconds 2 --connections 1 64", keeps=True),
    Part("reads", quick="--responses 200 --seconds 1", keeps=True),
    Part("overload", quick="--seconds 3 --times 2", keeps=True),
    Part("scaling", quick="--nodes 1 2 --tenants 2 --seconds 3 --warm 2 --idle 5", keeps=True),
    Part("rows", quick="--rows 1000 10000 --seconds 2", keeps=True),
    Part("storage", quick="--rows 4000 --seconds 2", keeps=True),
    Part("isolation", quick="--rows 20000 --rounds 50"),
    Part("events", "--consumers 7", quick="--consumers 7 --events 2000 --rounds 30"),
    Part("jobs", quick="--jobs 2000"),
    Part("webhooks", quick="--deliveries 500 --pairs 1"),
    Part("mail", quick="--mails 200"),
    Part("stream", quick="--listeners 100 --rounds 5"),
    Part("neighbours", quick="--waiting 5000 --rounds 50"),
    Part("queries", "--rows 1000000", quick="--rows 10000 --rounds 5"),
    Part("metrics", quick="--seconds 3 --rows 5000"),
    Part("cache", quick="--seconds 2"),
    Part("warehouse", quick="--rows 20000 --tail 500 --rounds 5"),
    Part("reports", quick="--responses 500 --fields 10 --runs 1"),
    Part("exports", "--rows 1000000", quick="--rows 5000"),
    Part("legacy", quick="--documents 2000"),
)


def measure(parts: Sequence[Part], out: Path, *, quick: bool) -> list[str]:
    """Run the parts, keep after each what there is; the names of those that failed."""
    figures, printed, failed = list[Figure](), dict[str, str](), list[str]()
    for part in parts:
        print(f"\n== {part.name}", flush=True)
        with tempfile.TemporaryDirectory() as folder:
            kept = Path(folder) / "figures.json"
            code, printed[part.name] = _run(part, kept, quick=quick)
            if code:
                failed.append(part.name)
            if kept.exists():
                figures += load(kept)
        save(out, figures, printed=printed, failed=failed)
    return failed


def _run(part: Part, kept: Path, *, quick: bool) -> tuple[int, str]:
    """The exit code, and what it printed, which is shown too."""
    command = [sys.executable, "-m", f"benchmarks.{part.name}", *(part.quick if quick else part.options).split()]
    command += ["--out", str(kept)] if part.keeps else []
    lines = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        for line in running.stdout:
            print(line, end="", flush=True)
            lines.append(line)
    return running.returncode, "".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="minutes instead of hours")
    parser.add_argument("--only", nargs="+", choices=[part.name for part in PARTS], metavar="PART")
    parser.add_argument("--out", type=Path, default=Path("dist/benchmarks.json"))
    arguments = parser.parse_args()
    print(describe())
    parts = [part for part in PARTS if arguments.only is None or part.name in arguments.only]
    failed = measure(parts, arguments.out, quick=arguments.quick)
    print(f"\nThe figures are in {arguments.out}.")
    if failed:
        print(f"Failed: {', '.join(failed)}.", file=sys.stderr)
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
