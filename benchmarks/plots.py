"""Draws figures that a command kept: throughput and p99 by connections, cost by rows stored, goodput by offered load.

`python -m benchmarks.plots docs/performance/figures.json docs/performance/`

Writes an SVG for each drawing that the file has figures for, the same for the same file.
"""

import argparse
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing

from benchmarks.figures import Figure, load

_NAMES = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}
_COLOURS = {"sqlite": "#1b6ca8", "postgresql": "#c1440e"}
_SIZE = (9.0, 3.6)

Points: TypeAlias = Mapping[str, Sequence[tuple[float, float]]]
"""What each database has: places on both axes, from left to right."""


def points(figures: Sequence[Figure], name: str, across: str, **under: str) -> Points:
    """The values of the figures `name` by their condition `across`, of those that are `under` just these besides."""
    found: defaultdict[str, list[tuple[float, float]]] = defaultdict(list)
    for figure in figures:
        conditions = figure.conditions
        database, place = conditions.pop("database", ""), conditions.pop(across, None)
        if figure.name == name and place is not None and conditions == under:
            found[database].append((float(place), figure.value))
    return {database: sorted(found[database]) for database in sorted(found, reverse=True)}


def goodput(figures: Sequence[Figure]) -> Points:
    """What was stored by what was asked, in a second, from the runs that offered more than can be done."""
    asked = {figure.under: figure.value for figure in figures if figure.name == "asked"}
    found: defaultdict[str, list[tuple[float, float]]] = defaultdict(list)
    for figure in figures:
        if figure.name == "stored" and figure.under in asked:
            found[figure.conditions["database"]].append((asked[figure.under], figure.value))
    return {database: sorted(found[database]) for database in sorted(found, reverse=True)}


def draw(figures: Sequence[Figure], folder: Path) -> list[Path]:
    """Write the drawings; those that there are figures for."""
    # Names and times that change from run to run would make each drawing a new one.
    matplotlib.rcParams |= {"svg.hashsalt": "formstream", "svg.fonttype": "none", "axes.spines.top": False}
    matplotlib.rcParams |= {"axes.spines.right": False, "axes.grid": True, "grid.alpha": 0.3, "font.size": 9}
    drawings: dict[str, Sequence[tuple[str, str, Points, Callable[[Axes], object] | None]]] = {
        "connections": (
            ("connections", "stored a second", points(figures, "stored", "connections"), _doubling),
            ("connections", "answered, p99 in ms", points(figures, "answered, p99", "connections"), _doubling),
        ),
        "rows": (
            (
                "responses stored before",
                "processor for each submission, ms",
                points(figures, "processor", "rows", process="all"),
                _tenfold,
            ),
            (
                "responses stored before",
                "answered at 64 connections, p99 in ms",
                points(figures, "answered, p99", "rows", connections="64"),
                _tenfold,
            ),
        ),
        "overload": (("asked a second", "stored a second", goodput(figures), None),),
    }
    written = []
    for name, every in drawings.items():
        if sides := [side for side in every if side[2]]:
            written.append(folder / f"{name}.svg")
            _write(written[-1], sides)
    return written


def _write(path: Path, sides: Sequence[tuple[str, str, Points, Callable[[Axes], object] | None]]) -> None:
    drawing = Drawing(figsize=_SIZE, layout="constrained")
    for axes, (across, up, lines, scale) in zip(drawing.subplots(1, len(sides), squeeze=False)[0], sides, strict=True):
        for database, places in lines.items():
            x, y = zip(*places, strict=True)
            axes.plot(x, y, marker="o", color=_COLOURS[database], label=_NAMES[database])
        if scale is not None:
            scale(axes)
        axes.set(xlabel=across, ylabel=up, ylim=(0, None))
        axes.legend(frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    drawing.savefig(path, format="svg", metadata={"Date": None, "Creator": None})


def _doubling(axes: Axes) -> None:
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter("{x:.0f}")


def _tenfold(axes: Axes) -> None:
    axes.set_xscale("log")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("figures", type=Path)
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    for path in draw(load(arguments.figures), arguments.folder):
        print(path)


if __name__ == "__main__":
    main()
