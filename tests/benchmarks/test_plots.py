"""Drawings of figures: what is on them, and that the same figures give the same files."""

from pathlib import Path

from defusedxml import ElementTree

from benchmarks.figures import Figure, load
from benchmarks.plots import draw, goodput, points
from tests.architecture.rooms import ROOT

_FIGURES = [
    Figure("stored", "database=sqlite connections=64", 1500, "1/s", more_is_better=True),
    Figure("stored", "database=sqlite connections=1", 150, "1/s", more_is_better=True),
    Figure("stored", "database=sqlite rows=1000 connections=64", 1400, "1/s", more_is_better=True),
    Figure("answered, p99", "database=sqlite connections=1", 30, "ms"),
    Figure("processor", "database=sqlite rows=1000 process=all", 1.9, "ms/submission"),
    Figure("processor", "database=sqlite rows=1000 process=raylet", 0.1, "ms/submission"),
    Figure("stored", "database=postgresql offered=2_times_the_peak", 1200, "1/s", more_is_better=True),
    Figure("asked", "database=postgresql offered=2_times_the_peak", 3000, "1/s", more_is_better=True),
]


def test_points_are_those_of_one_kind_from_left_to_right() -> None:
    assert points(_FIGURES, "stored", "connections") == {"sqlite": [(1, 150), (64, 1500)]}
    assert points(_FIGURES, "processor", "rows", process="all") == {"sqlite": [(1000, 1.9)]}
    assert goodput(_FIGURES) == {"postgresql": [(3000, 1200)]}


def test_each_drawing_is_an_svg_that_does_not_change(tmp_path: Path) -> None:
    written = draw(_FIGURES, tmp_path / "one")
    assert [path.name for path in written] == ["connections.svg", "rows.svg", "overload.svg"]
    for path in written:
        assert ElementTree.fromstring(path.read_bytes()).tag == "{http://www.w3.org/2000/svg}svg"
        assert "stored" in path.read_text()
    assert [path.read_bytes() for path in draw(_FIGURES, tmp_path / "two")] == [path.read_bytes() for path in written]


def test_what_has_no_figures_is_not_drawn(tmp_path: Path) -> None:
    assert draw(_FIGURES[-2:], tmp_path) == [tmp_path / "overload.svg"]


def test_the_published_figures_can_be_drawn(tmp_path: Path) -> None:
    assert tmp_path / "connections.svg" in draw(load(ROOT / "docs/performance/figures.json"), tmp_path)
