"""Whether a field is answered differently than before. Pure; heavy to import, so only the worker and benchmarks do."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from scipy.stats import chi2_contingency, false_discovery_control

LEAST_ANSWERS: Final = 50
"""Fewest answers in each of two spans that are compared."""
SMALL_PSI: Final = 0.1
"""Below it a difference is too small to matter, however sure it is."""
FALSE_SHARE: Final = 0.01
"""Most of the fields that are told may be told by chance."""

_LEAST_CELL: Final = 5.0
_BINS: Final = 10
_SHOWN: Final = 10
_REST: Final = "…"

Counts = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Sides:
    """How often each value was answered, now and before. With `many`, one answer may name several values; numbers are
    written as texts and are put into ranges."""

    answered: int
    reference_answered: int
    now: Counts
    before: Counts
    kind: str


@dataclass(frozen=True, slots=True)
class Difference:
    """What differs; see `FieldDrift`. The values are name, count now, count before."""

    psi: float | None
    p_value: float | None
    q_value: float | None
    is_drifted: bool
    values: list[tuple[str, int, int]]


def compare(fields: Sequence[Sides]) -> list[Difference]:
    """The differences of fields, in their order. The more fields are looked at, the surer each has to be."""
    enough = [
        side.answered >= LEAST_ANSWERS and side.reference_answered >= LEAST_ANSWERS and bool(side.now or side.before)
        for side in fields
    ]
    tables = [_table(side) for side in fields]
    measured = [
        _measure(side, table) if is_enough else None
        for side, table, is_enough in zip(fields, tables, enough, strict=True)
    ]
    p_values = [found[1] for found in measured if found is not None]
    q_values = iter(false_discovery_control(p_values).tolist() if p_values else [])
    answers = []
    for side, table, found in zip(fields, tables, measured, strict=True):
        shown = _changed(side, table)[:_SHOWN]
        if found is None:
            answers.append(Difference(None, None, None, False, shown))
            continue
        psi, p_value = found
        q_value = float(next(q_values))
        answers.append(Difference(psi, p_value, q_value, q_value < FALSE_SHARE and psi >= SMALL_PSI, shown))
    return answers


def _table(side: Sides) -> list[tuple[str, int, int]]:
    if side.kind == "numbers":
        return _ranges(side.now, side.before)
    names = sorted({*side.now, *side.before})
    return [(name, side.now.get(name, 0), side.before.get(name, 0)) for name in names]


def _ranges(now: Counts, before: Counts) -> list[tuple[str, int, int]]:
    """Ranges that held about as many answers each before."""
    known = np.array([float(text) for text in before])
    weights = np.array(list(before.values()), dtype=np.float64)
    if not len(known):
        return [("all", sum(now.values()), 0)]
    order = np.argsort(known)
    shares = np.cumsum(weights[order]) / weights.sum()
    cuts = np.unique([known[order][np.searchsorted(shares, at)] for at in np.arange(1, _BINS) / _BINS])
    # Ranges are open below and closed above, so the largest value of all must not be a cut.
    cuts = cuts[cuts < known.max()]

    def counted(counts: Counts) -> list[int]:
        places = np.searchsorted(cuts, [float(text) for text in counts], side="left")
        return [int(n) for n in np.bincount(places, list(counts.values()), len(cuts) + 1)]

    if not len(cuts):
        return [("all", sum(now.values()), sum(before.values()))]
    edges = [f"{cut:g}" for cut in cuts]
    names = [f"≤ {edges[0]}", *(f"{low} to {high}" for low, high in pairwise(edges)), f"> {edges[-1]}"]
    return list(zip(names, counted(now), counted(before), strict=True))


def _measure(side: Sides, table: Sequence[tuple[str, int, int]]) -> tuple[float, float]:
    """The index and the p-value. Where an answer names several values, those of the value that changed most, the
    latter for as many values as there are (Bonferroni)."""
    if side.kind == "many":
        pairs = [
            [(name, now, before), (_REST, side.answered - now, side.reference_answered - before)]
            for name, now, before in table
        ]
        each = [(_psi(pair), _chi_square(pair)) for pair in pairs]
        return max(psi for psi, _ in each), min(1.0, len(each) * min(p for _, p in each))
    return _psi(table), _chi_square(table)


def _psi(table: Sequence[tuple[str, int, int]]) -> float:
    """Half an answer more in each cell: an empty one would make it infinite."""
    total = sum(now for _, now, _ in table) + len(table) / 2
    reference = sum(before for _, _, before in table) + len(table) / 2
    shares = [((now + 0.5) / total, (before + 0.5) / reference) for _, now, before in table]
    return sum((now - before) * math.log(now / before) for now, before in shares)


def _chi_square(table: Sequence[tuple[str, int, int]]) -> float:
    """The test of two spans; values that are too rare for it are put together."""
    now_all, before_all = sum(now for _, now, _ in table), sum(before for _, _, before in table)
    share = min(now_all, before_all) / max(now_all + before_all, 1)
    common = [(now, before) for _, now, before in table if (now + before) * share >= _LEAST_CELL]
    rest = (now_all - sum(now for now, _ in common), before_all - sum(before for _, before in common))
    cells = np.array([*common, *([rest] if sum(rest) else [])])
    if len(cells) < 2 or not now_all or not before_all:
        return 1.0
    return float(chi2_contingency(cells.T, correction=False).pvalue)


def _changed(side: Sides, table: Sequence[tuple[str, int, int]]) -> list[tuple[str, int, int]]:
    def change(row: tuple[str, int, int]) -> float:
        return abs(row[1] / max(side.answered, 1) - row[2] / max(side.reference_answered, 1))

    return sorted((row for row in table if row[1] or row[2]), key=change, reverse=True)
