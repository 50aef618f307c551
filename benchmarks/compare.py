"""Whether a change made it slower: this tree and another commit, measured in turns on the same machine.

`python -m benchmarks.compare BASE [--rounds 3] [--database sqlite|postgresql] [--seconds 6] [--connections 1 64 256]
[--out FILE]`

The commands of this tree measure both, in the order base, change, change, base, …, so what the machine does meanwhile
meets both. A figure has changed when its ranges over the rounds do not touch and their medians are 5 % apart; the exit
code is 1 when one has changed for the worse.
"""

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

from benchmarks.figures import Figure, load, save
from benchmarks.machine import describe

_HERE = Path(__file__).parents[1]
_NOTABLE = 0.05

Key: TypeAlias = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Change:
    """A figure in both trees. `verdict` is better, worse or, within the noise, empty."""

    figure: Figure
    base: Sequence[float]
    change: Sequence[float]

    @property
    def median(self) -> Figure:
        """The figure as this tree has it in the middle of its rounds."""
        return replace(self.figure, value=statistics.median(self.change))

    @property
    def ratio(self) -> float:
        """The median of the change over that of the base."""
        before = statistics.median(self.base)
        return statistics.median(self.change) / before if before else 1.0

    @property
    def verdict(self) -> str:
        """See the class."""
        touch = min(self.change) <= max(self.base) and min(self.base) <= max(self.change)
        if touch or abs(self.ratio - 1) < _NOTABLE:
            return ""
        return "better" if (self.ratio > 1) == self.figure.more_is_better else "worse"


def compared(base: Sequence[Sequence[Figure]], change: Sequence[Sequence[Figure]]) -> list[Change]:
    """Each figure that every round of both trees has."""
    before, after = _by_key(base), _by_key(change)
    named = {figure.key: figure for figure in change[0]}
    return [
        Change(figure, before[key], after[key])
        for key, figure in named.items()
        if len(before.get(key, ())) == len(base) and len(after[key]) == len(change)
    ]


def _by_key(rounds: Sequence[Sequence[Figure]]) -> Mapping[Key, Sequence[float]]:
    values: defaultdict[Key, list[float]] = defaultdict(list)
    for figures in rounds:
        for figure in figures:
            values[figure.key].append(figure.value)
    return values


@contextmanager
def _tree_of(base: str) -> Iterator[Path]:
    """A work tree of the commit, with the commands of this one."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        tree = Path(folder) / "base"
        subprocess.run(["git", "worktree", "add", "--quiet", "--detach", str(tree), base], cwd=_HERE, check=True)
        try:
            shutil.rmtree(tree / "benchmarks", ignore_errors=True)
            shutil.copytree(_HERE / "benchmarks", tree / "benchmarks")
            yield tree
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", str(tree)], cwd=_HERE, check=False)


def _measured(tree: Path, options: Sequence[str], folder: Path) -> list[Figure]:
    out = folder / "figures.json"
    command = [sys.executable, "-m", "benchmarks.submissions", "--out", str(out), *options]
    subprocess.run(command, cwd=tree, stdout=subprocess.DEVNULL, check=True, timeout=1800)
    return load(out)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("base")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--seconds", type=int, default=6)
    parser.add_argument("--connections", type=int, nargs="+", default=[1, 64, 256])
    parser.add_argument("--out", type=Path, help="where to keep the rounds of both and what has changed as JSON")
    arguments = parser.parse_args()
    options = ["--database", arguments.database, "--seconds", str(arguments.seconds)]
    options += ["--connections", *map(str, arguments.connections)]
    print(describe(), flush=True)
    rounds: dict[str, list[list[Figure]]] = {"base": [], "change": []}
    with _tree_of(arguments.base) as tree, tempfile.TemporaryDirectory() as folder:
        trees = {"base": tree, "change": _HERE}
        for number in range(arguments.rounds):
            for name in ("base", "change") if number % 2 == 0 else ("change", "base"):
                rounds[name].append(_measured(trees[name], options, Path(folder)))
                print(f"round {number + 1} of {arguments.rounds}: {name}", file=sys.stderr, flush=True)
    changes = compared(rounds["base"], rounds["change"])
    print(f"\n| figure | under | {arguments.base} | here | ratio | |\n|---|---|---|---|---|---|")
    for each in changes:
        print(
            f"| {each.figure.name}, {each.figure.unit} | {each.figure.under} | {_range(each.base)} |"
            f" {_range(each.change)} | {each.ratio:.2f} | {each.verdict} |"
        )
    if arguments.out:
        kept = [{"base": each.base, "change": each.change, "verdict": each.verdict} for each in changes]
        save(arguments.out, [each.median for each in changes], base=arguments.base, rounds=kept)
    return int(any(each.verdict == "worse" for each in changes))


def _range(values: Sequence[float]) -> str:
    return f"{statistics.median(values):,.4g} ({min(values):,.4g} to {max(values):,.4g})"


if __name__ == "__main__":
    sys.exit(main())
