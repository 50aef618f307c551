"""Adding parts up, and taking them away again."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Context, Decimal
from typing import Any, Final

from deployments.analytics.metrics.cells import exactly
from deployments.analytics.metrics.parts import Cell, Part

# Every sum of numbers as they are written has an end, so nothing depends on the order in which they come.
_EXACT: Final = Context(prec=10_000, Emax=999_999, Emin=-999_999)
_NONE: Final = Decimal(0)


@dataclass(slots=True)
class Tally:
    """How often each name is counted, and the sums of numbers by field, with those of their squares."""

    counts: Counter[Cell] = field(default_factory=Counter)
    sums: dict[str, tuple[Decimal, Decimal]] = field(default_factory=dict)

    def add(self, part: Part) -> None:
        """Count the part."""
        self._count(part, 1)

    def take(self, part: Part) -> None:
        """Count the part no more."""
        self._count(part, -1)

    def _count(self, part: Part, sign: int) -> None:
        for cell in part.cells:
            self.counts[cell] += sign
        for name, value in part.numbers.items():
            total, squares = self.sums.get(name, (_NONE, _NONE))
            number = exactly(value)
            square = _EXACT.multiply(number, number)
            if sign < 0:
                number, square = number.copy_negate(), square.copy_negate()
            self.sums[name] = _plus(total, number), _plus(squares, square)

    def changes(self) -> list[tuple[int, str, int]]:
        """What is to be added to the counts that are kept: moment, name, difference."""
        return [(moment, name, count) for (moment, name), count in sorted(self.counts.items()) if count]

    def added_to(self, kept: Mapping[str, Any]) -> dict[str, Any]:
        """Sums that are kept, as JSON, after these were added; those that are nothing are left out."""
        result = dict(kept)
        for name, (total, squares) in self.sums.items():
            earlier = [Decimal(text) for text in kept.get(name, ("0", "0"))]
            both = _plus(earlier[0], total), _plus(earlier[1], squares)
            result[name] = [_text(number) for number in both]
            if not any(both):
                del result[name]
        return result


def _plus(one: Decimal, other: Decimal) -> Decimal:
    return _EXACT.add(one, other)


def _text(number: Decimal) -> str:
    return str(number.normalize(_EXACT))
