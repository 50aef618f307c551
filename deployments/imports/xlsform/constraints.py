"""Constraints of XLSForm as the bounds and patterns of a field; the rest is left to a rule."""

from datetime import date, timedelta
from typing import Any, Final

from deployments.imports.logic.patterns import full_pattern
from deployments.imports.logic.tree import Answer, Call, Constant, Negative, Node, Operation
from deployments.imports.logic.xpath import SELF

_TEXTS: Final = ("short_text", "long_text", "email", "url", "phone", "hidden")
_NUMBERS: Final = ("number", "currency", "integer")
_MOMENTS: Final = ("date", "time", "datetime")
_MIRRORED: Final = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "=="}
_SELF: Final = Answer(SELF)


def absorb(element: dict[str, Any], node: Node) -> bool:
    """Whether the condition could become part of the element's validation; if so, it is."""
    match node:
        case Call("regex", (subject, Constant(str() as pattern))) if subject == _SELF and element["type"] in _TEXTS:
            return _put(element, "pattern", full_pattern(pattern))
        case Operation(sign, (Constant() | Negative()) as left, right) if sign in _MIRRORED:
            node = Operation(_MIRRORED[sign], right, left)
    match node:
        case Operation(sign, subject, Constant(value)):
            pass
        case _:
            return False
    kind = element["type"]
    if subject == _SELF and kind in _NUMBERS and type(value) in (int, float):
        return _bound(element, "min", "max", sign, value, whole=kind == "integer")
    if subject == _SELF and kind in _MOMENTS and isinstance(value, str):
        return _moment(element, sign, value)
    if not isinstance(value, int) or isinstance(value, bool):
        return False
    if subject == Call("length", (_SELF,)) and kind in _TEXTS:
        return _bound(element, "min_length", "max_length", sign, value, whole=True)
    if subject == Call("count", (_SELF,)) and kind in ("multi_choice", "ranking"):
        return _bound(element, "min_choices", "max_choices", sign, value, whole=True)
    return False


def _bound(element: dict[str, Any], low: str, high: str, sign: str, value: Any, *, whole: bool) -> bool:
    if sign in (">", "<"):
        if not whole or not isinstance(value, int):
            return False
        sign, value = (">=", value + 1) if sign == ">" else ("<=", value - 1)
    if whole and not isinstance(value, int):
        return False
    if sign == "==":
        return _put(element, low, value) and _put(element, high, value)
    return sign in (">=", "<=") and _put(element, low if sign == ">=" else high, value)


def _moment(element: dict[str, Any], sign: str, value: str) -> bool:
    if sign in (">", "<") and element["type"] == "date":
        try:
            day = date.fromisoformat(value) + timedelta(days=1 if sign == ">" else -1)
        except (ValueError, OverflowError):
            return False
        sign, value = f"{sign}=", day.isoformat()
    return sign in (">=", "<=") and _put(element, "min" if sign == ">=" else "max", value)


def _put(element: dict[str, Any], name: str, value: Any) -> bool:
    rules = element.get("validation", {})
    if name in rules:
        return bool(rules[name] == value)
    element["validation"] = {**rules, name: value}
    return True
