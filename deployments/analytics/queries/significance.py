"""Whether two things have to do with each other. Loads SciPy when it is called: call it in a thread."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Final

LEAST_EXPECTED: Final = 5.0
"""Below this many expected the distribution of chi-square is not that of the statistic."""


@dataclass(frozen=True, slots=True)
class Tested:
    """What a test says."""

    test: str
    statistic: float | None
    degrees: tuple[int, ...]
    p: float


@dataclass(frozen=True, slots=True)
class Sample:
    """The numbers of one group in brief; `ties` is the sum of t² - 1 over its numbers that occur t times among all."""

    count: int
    mean: float
    variance: float | None
    ranks: float
    ties: float


def expected(row: int, column: int, total: int) -> float:
    """How many there would be, were nothing to do with each other."""
    return row * column / total


def residual(count: int, row: int, column: int, total: int) -> float | None:
    """The adjusted standardised residual of a cell; None where a row or column has everybody."""
    awaited = expected(row, column, total)
    spread = awaited * (1 - row / total) * (1 - column / total)
    return (count - awaited) / sqrt(spread) if spread > 0 else None


def of_counts(table: Sequence[Sequence[int]]) -> tuple[list[Tested], float | None, float]:
    """Pearson's test without a correction, and Fisher's where few are expected in two by two; Cramér's V; the least
    number expected. Nothing of a table without two rows and two columns that anybody is in."""
    table = [row for row in table if sum(row)]
    kept = [place for place, column in enumerate(zip(*table, strict=True)) if sum(column)]
    table = [[row[place] for place in kept] for row in table]
    if len(table) < 2 or len(kept) < 2:
        return [], None, 0.0
    from scipy import stats

    found = stats.chi2_contingency(table, correction=False)
    least = float(found.expected_freq.min())
    tests = [Tested("chi_square", float(found.statistic), (int(found.dof),), float(found.pvalue))]
    if least < LEAST_EXPECTED and len(table) == len(kept) == 2:
        tests.append(Tested("fisher", None, (), float(stats.fisher_exact(table).pvalue)))
    return tests, float(stats.contingency.association(table, method="cramer")), least


def of_samples(samples: Sequence[Sample]) -> list[Tested]:
    """The analysis of variance, and the test of Kruskal and Wallis; of samples in brief, so that no number leaves the
    table. Nothing without two groups, or when all numbers are equal."""
    total = sum(each.count for each in samples)
    if len(samples) < 2 or total <= len(samples):
        return []
    from scipy import stats

    tests = []
    mean = sum(each.count * each.mean for each in samples) / total
    between = sum(each.count * (each.mean - mean) ** 2 for each in samples)
    within = sum((each.count - 1) * (each.variance or 0.0) for each in samples)
    above, below = len(samples) - 1, total - len(samples)
    if within > 0:
        ratio = (between / above) / (within / below)
        tests.append(Tested("anova", ratio, (above, below), float(stats.f.sf(ratio, above, below))))
    corrected = 1 - sum(each.ties for each in samples) / (total**3 - total)
    if corrected > 0:
        ranks = 12 / (total * (total + 1)) * sum(each.ranks**2 / each.count for each in samples) - 3 * (total + 1)
        tests.append(Tested("kruskal", ranks / corrected, (above,), float(stats.chi2.sf(ranks / corrected, above))))
    return tests
