"""What a comparison of two commits calls a change."""

from collections.abc import Sequence

import pytest

from benchmarks.compare import compared
from benchmarks.figures import Figure


def _rounds(values: Sequence[float], *, more_is_better: bool = False) -> list[list[Figure]]:
    return [[Figure("stored", "connections=64", value, "1/s", more_is_better)] for value in values]


@pytest.mark.parametrize(
    ("base", "change", "more_is_better", "verdict"),
    [
        ([10, 11], [20, 21], False, "worse"),
        ([10, 11], [20, 21], True, "better"),
        ([20, 21], [10, 11], True, "worse"),
        ([10, 20], [15, 16], False, ""),
        ([100, 101], [102, 103], False, ""),
        ([0, 0], [0, 0], False, ""),
    ],
)
def test_only_ranges_that_do_not_touch_and_are_apart_are_a_change(
    base: list[float], change: list[float], *, more_is_better: bool, verdict: str
) -> None:
    (found,) = compared(_rounds(base, more_is_better=more_is_better), _rounds(change, more_is_better=more_is_better))
    assert found.verdict == verdict


def test_a_figure_that_a_round_lacks_is_not_compared() -> None:
    assert compared(_rounds([1, 2]), [*_rounds([1]), []]) == []
