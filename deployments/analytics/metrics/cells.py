"""Where a moment, a number or a duration is counted: few cells, which can be added up and taken apart again."""

import math
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal
from typing import Final

QUARTER: Final = timedelta(minutes=15)
"""The offsets of all time zones since 1972 are whole quarters of an hour, so days of every zone are sums of these."""

EVER: Final = -(1 << 40)
"""Stands in the place of a moment for what is counted without one."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_FOUR: Final = Context(prec=4)
_EXACT: Final = 10_000
_GROWTH: Final = math.log(1.02)
_ZERO: Final = -1


def quarter_of(moment: datetime) -> int:
    """The number of the quarter of an hour that the moment is in."""
    return (moment - _EPOCH) // QUARTER


def moment_of(quarter: int) -> datetime:
    """When that quarter of an hour begins."""
    return _EPOCH + quarter * QUARTER


def number_cell(value: float) -> str:
    """The number to four significant digits: whole numbers below 10,000 are exact, others within 0.05 %."""
    if type(value) is float and value.is_integer() and abs(value) < _EXACT:
        value = int(value)
    if type(value) is int and -_EXACT < value < _EXACT:
        return str(value)
    return str(_FOUR.create_decimal(str(value)).normalize(_FOUR))


def seconds_cell(seconds: float) -> int:
    """The cell of a duration; each is 2 % longer than the one before."""
    if seconds < 1:
        return _ZERO
    return math.floor(math.log(seconds) / _GROWTH)


def seconds_of(cell: int) -> float:
    """The middle of a cell, at most 1 % from every duration of a second or more in it."""
    return 0.5 if cell == _ZERO else math.exp((cell + 0.5) * _GROWTH)


def median_of(counts: Mapping[float, int]) -> float | None:
    """The median of values and how often each occurs; the middle of the two in the middle, None without any."""
    total = sum(counts.values())
    if total <= 0:
        return None
    ordered = sorted(counts)
    return _nth(ordered, counts, (total - 1) // 2) / 2 + _nth(ordered, counts, total // 2) / 2


def _nth(ordered: Iterable[float], counts: Mapping[float, int], place: int) -> float:
    seen = 0
    for value in ordered:
        seen += counts[value]
        if seen > place:
            return value
    raise ValueError(place)


def exactly(value: float) -> Decimal:
    """The number as it is written."""
    return Decimal(str(value))
