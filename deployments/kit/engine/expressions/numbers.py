"""Numbers as expressions know them: IEEE 754 doubles, here and in the browser.

A whole result up to 2^53 is an int, so that JSON writes it as JavaScript does; a result that is not finite is null.
"""

import re
from collections.abc import Iterable
from math import floor, isfinite
from typing import Any, Final

EXACT: Final = 2**53
_NUMBER: Final = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,15})?")


def is_number(value: Any) -> bool:
    """Whether `value` is a number; truth is none."""
    return type(value) is int or type(value) is float


def seen(value: Any) -> Any:
    """An answer as expressions see it: an integer beyond ±2^53 is the double nearest to it."""
    if type(value) is not int or -EXACT <= value <= EXACT:
        return value
    try:
        return float(value)
    except OverflowError:
        return None


def normal(value: float) -> int | float | None:
    """A result: whole ones as int, -0 as 0, none that is not finite."""
    if not isfinite(value):
        return None
    return int(value) if value.is_integer() and -EXACT <= value <= EXACT else value


def sum_of(values: Iterable[float]) -> float:
    """The sum from the left, each step a double; no better, because the browser does the same."""
    total = 0.0
    for value in values:
        total += value
    return total


def whole(value: Any) -> int | None:
    """The integer that `value` is, None when it is none within ±2^53."""
    if type(value) is float and value.is_integer():
        value = int(value)
    return value if type(value) is int and -EXACT <= value <= EXACT else None


def rounded(value: float, digits: int) -> int | float | None:
    """`value` to `digits` decimals, halves away from zero, as its shortest decimal text reads: 1.005 becomes 1.01."""
    shifted = _shifted(abs(value), digits)
    if not isfinite(shifted):
        return normal(value)
    below = float(floor(shifted))
    near = _shifted(below + 1 if shifted - below >= 0.5 else below, -digits)
    return normal(-near if value < 0 else near)


def number_text(value: float) -> str:
    """The shortest text that reads as `value` again, spelled as JavaScript spells it (ECMA-262, Number::toString)."""
    if type(value) is int:
        return str(value)
    mantissa, _, exponent = repr(abs(value)).partition("e")
    front, _, back = mantissa.partition(".")
    back = "" if back == "0" else back
    digits = (front + back).lstrip("0")
    point = len(front) + int(exponent or 0) - (len(front + back) - len(digits))
    digits = digits.rstrip("0") or "0"
    sign = "-" if value < 0 else ""
    if len(digits) <= point <= 21:
        return sign + digits.ljust(point, "0")
    if 0 < point <= 21:
        return f"{sign}{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    tail = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{sign}{digits[0]}{tail}e{point - 1:+d}"


def parse_number(text: Any) -> int | float | None:
    """The number that `text` says in the spelling of literals, None when it says none."""
    if type(text) is not str or _NUMBER.fullmatch(text) is None:
        return None
    return normal(float(text))


def _shifted(value: float, digits: int) -> float:
    """`value` times 10^digits by its decimal text, correctly rounded."""
    mantissa, _, exponent = repr(float(value)).partition("e")
    return float(f"{mantissa}e{int(exponent or 0) + digits}")
