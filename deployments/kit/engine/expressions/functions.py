"""The functions of expressions. Each takes values of any kind and returns null for what it is not made for.

The results are the same as in `serve_app/web/form/logic.js`; whoever changes one changes both.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from deployments.kit.engine.expressions import calendar
from deployments.kit.engine.expressions.numbers import (
    is_number,
    normal,
    number_text,
    parse_number,
    rounded,
    seen,
    whole,
)

MAX_TEXT: Final = 10_000
"""The longest text that an expression makes or rewrites; else the result is null, so that the cost is bounded."""
TEXT_MAKERS: Final = frozenset(("lower", "upper", "trim", "concat", "join", "left", "right", "text"))
"""The functions that cost the most, in proportion to their texts."""
MAX_ARGUMENTS: Final = 100
_BLANKS: Final = " \t\n\r"
_LETTERS_UP_TO: Final = 0x530

ARITIES: Final[Mapping[str, tuple[int, int]]] = {
    "empty": (1, 1), "count": (1, 1), "length": (1, 1), "score": (1, 1),
    "if": (3, 3), "coalesce": (1, MAX_ARGUMENTS),
    "min": (1, MAX_ARGUMENTS), "max": (1, MAX_ARGUMENTS), "sum": (1, MAX_ARGUMENTS), "avg": (1, MAX_ARGUMENTS),
    "abs": (1, 1), "floor": (1, 1), "ceil": (1, 1), "round": (1, 2), "number": (1, 1),
    "text": (1, 1), "lower": (1, 1), "upper": (1, 1), "trim": (1, 1), "concat": (1, MAX_ARGUMENTS),
    "join": (2, 2), "left": (2, 2), "right": (2, 2), "starts_with": (2, 2), "ends_with": (2, 2),
    "today": (0, 0), "now": (0, 0), "year": (1, 1), "month": (1, 1), "day": (1, 1), "weekday": (1, 1),
    "days": (2, 2), "years": (2, 2), "add_days": (2, 2),
}  # fmt: skip
"""How many values each function takes, fewest and most."""


def kind(value: Any) -> str:
    """What a value is: text, number, truth, list, map or null."""
    return _KINDS[type(value)]


def same(left: Any, right: Any) -> bool:
    """Whether two values are of one kind and equal, all the way down."""
    if kind(left) is not kind(right):
        return False
    if type(left) is list:
        # Python calls more lists equal (1 is true), and is quick to say when they are not.
        return left == right and ((_plain(left) and _plain(right)) or all(map(same, left, right)))
    if type(left) is dict:
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    return bool(left == right)


def _plain(values: list[Any]) -> bool:
    return set(map(type, values)) <= {str}


def within(item: Any, whole_: Any) -> bool:
    """Whether `item` is in a list, or a part of a text."""
    if type(whole_) is list:
        if type(item) is str:
            return item in whole_
        return any(same(item, other) for other in whole_)
    return type(whole_) is str and type(item) is str and item in whole_


def _empty(value: Any) -> bool:
    return value is None or value == "" or value == [] or value == {}


def _count(value: Any) -> int:
    return len(value) if type(value) in (list, dict) else int(not _empty(value))


def _length(value: Any) -> int:
    return len(value) if type(value) is str else 0


def _flat(values: Iterable[Any]) -> list[Any]:
    flat: list[Any] = []
    for value in values:
        flat.extend(value if type(value) is list else (value,))
    return [seen(value) for value in flat if value is not None]


def _sum(*values: Any) -> Any:
    total = 0.0
    for value in _flat(values):
        if not is_number(value):
            return None
        total += value
    return normal(total)


def _avg(*values: Any) -> Any:
    numbers, total = len(_flat(values)), _sum(*values)
    return None if total is None or not numbers else normal(total / numbers)


def _extreme(choose: Callable[[list[Any]], Any]) -> Callable[..., Any]:
    def extreme(*values: Any) -> Any:
        flat = _flat(values)
        if not flat or not (all(map(is_number, flat)) or all(type(value) is str for value in flat)):
            return None
        return choose(flat)

    return extreme


def _numeric(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: function(seen(value)) if is_number(value) else None


def _textual(function: Callable[[str], Any]) -> Callable[[Any], Any]:
    return lambda value: function(value) if type(value) is str and len(value) <= MAX_TEXT else None


def _round(value: Any, digits: Any = 0) -> Any:
    places = whole(digits)
    if not is_number(value) or places is None or not 0 <= places <= 10:
        return None
    return rounded(seen(value), places)


def _floor(value: Any) -> Any:
    return normal(float(value // 1))


def _ceil(value: Any) -> Any:
    return normal(float(-(-value // 1)))


def _text(value: Any) -> Any:
    if type(value) is bool:
        return "true" if value else "false"
    if is_number(value):
        return number_text(seen(value))
    return value if type(value) is str else None


def _bounded(text: str) -> str | None:
    return text if len(text) <= MAX_TEXT else None


def _concat(*values: Any) -> Any:
    texts = ["" if value is None else _text(value) for value in values]
    return None if None in texts else _bounded("".join(texts))


def _join(values: Any, separator: Any) -> Any:
    if type(separator) is not str:
        return None
    if type(values) is not list:
        return _text(values)
    texts = [_text(value) for value in values if value is not None]
    return None if None in texts else _bounded(separator.join(texts))


def _cased(change: Callable[[str], str]) -> Callable[[str], str]:
    # Newer versions of Unicode add letters; up to here every one agrees.
    table = {
        ord(letter): other
        for letter in map(chr, range(_LETTERS_UP_TO))
        if len(other := change(letter)) == 1 and ord(other) < _LETTERS_UP_TO
    }
    return lambda text: change(text) if text.isascii() else text.translate(table)


def _part(cut: Callable[[str, int], str]) -> Callable[[Any, Any], Any]:
    def part(text: Any, number: Any) -> Any:
        length = whole(number)
        if type(text) is not str or len(text) > MAX_TEXT or length is None or length < 0:
            return None
        return cut(text, length)

    return part


def _affix(has: Callable[[str, str], bool]) -> Callable[[Any, Any], bool]:
    return lambda text, affix: type(text) is str and type(affix) is str and has(text, affix)


_KINDS: Final = {
    str: "text",
    int: "number",
    float: "number",
    bool: "truth",
    list: "list",
    dict: "map",
    type(None): "null",
}

FUNCTIONS: Final[Mapping[str, Callable[..., Any]]] = {
    "empty": _empty,
    "count": _count,
    "length": _length,
    "min": _extreme(min),
    "max": _extreme(max),
    "sum": _sum,
    "avg": _avg,
    "abs": _numeric(lambda value: normal(abs(float(value)))),
    "floor": _numeric(_floor),
    "ceil": _numeric(_ceil),
    "round": _round,
    "number": lambda value: seen(value) if is_number(value) else parse_number(value),
    "text": _text,
    "lower": _textual(_cased(str.lower)),
    "upper": _textual(_cased(str.upper)),
    "trim": _textual(lambda text: text.strip(_BLANKS)),
    "concat": _concat,
    "join": _join,
    "left": _part(lambda text, length: text[:length]),
    "right": _part(lambda text, length: text[-length:] if length else ""),
    "starts_with": _affix(str.startswith),
    "ends_with": _affix(str.endswith),
    "year": calendar.year,
    "month": calendar.month,
    "day": calendar.day,
    "weekday": calendar.weekday,
    "days": calendar.days,
    "years": calendar.years,
    "add_days": calendar.add_days,
}
"""What is calculated from values alone; `if`, `coalesce`, `score`, `today` and `now` need more (`evaluation`)."""

__all__ = ["ARITIES", "FUNCTIONS", "kind", "same", "within"]
