"""From `filter[field][operator]=value` to conditions, or every fault at once."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from db.repositories.response_filters import Condition, Either, Every, Test, Unless, Value
from deployments.kit.engine.faults import pointer
from deployments.kit.errors import Fault
from deployments.kit.filtering.fields import MEMBERS, Fields, QueryField

MAX_FILTERS: Final = 20
MAX_VALUES: Final = 100

_LISTS: Final = frozenset({"in", "nin", "any", "all", "between"})
# A comma separates values; a backslash takes the next character as it is.
_ITEM: Final = re.compile(r"((?:[^,\\]|\\.)*)(?:,|$)", re.DOTALL)
_ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)


def conditions_of(fields: Fields, wanted: Mapping[str, Any]) -> tuple[list[Condition], list[Fault]]:
    """The conditions of a filter, `{field: {operator: value}}` or `{field: value}`, and what is wrong with it."""
    conditions: list[Condition] = []
    faults: list[Fault] = []
    tests = [
        (name, operator, raw, pointer("filter", name, operator) if operator else pointer("filter", name))
        for name, asked in wanted.items()
        for operator, raw in (asked.items() if isinstance(asked, Mapping) else [("", asked)])
    ]
    if len(tests) > MAX_FILTERS:
        return [], [Fault("/filter", "filter.too_many", f"A query has at most {MAX_FILTERS} filters.")]
    for name, operator, raw, at in tests:
        found = condition_of(fields, name, operator, raw, at)
        if isinstance(found, Fault):
            faults.append(found)
        else:
            conditions.append(found)
    return conditions, faults


def condition_of(fields: Fields, name: str, operator: str, raw: Any, at: str) -> Condition | Fault:
    """One comparison; without an operator `eq`, of sets `any`."""
    field = fields.find(name)
    if field is None:
        return Fault(at, "filter.unknown_field", "The form has no such field.")
    operator = operator or ("any" if field.operators == MEMBERS else "eq")
    if operator not in field.operators:
        known = ", ".join(sorted(field.operators))
        return Fault(at, "filter.unknown_operator", f"This field can be filtered by {known}.")
    if operator in ("exists", "empty"):
        return _presence(field, operator, raw, at)
    values = _values(field, operator, raw)
    if not values or any(value is None for value in values):
        return Fault(at, "filter.type", f"This must be {field.wanted}.")
    if len(values) > MAX_VALUES:
        return Fault(at, "filter.too_many_values", f"At most {MAX_VALUES} values.")
    if operator == "between" and len(values) != 2:
        return Fault(at, "filter.between", "This must be two values: the least and the greatest.")
    return _condition(field, operator, tuple(value for value in values if value is not None))


def _presence(field: QueryField, operator: str, raw: Any, at: str) -> Condition | Fault:
    wanted = {"true": True, "false": False, "": True}.get(raw) if isinstance(raw, str) else raw
    if not isinstance(wanted, bool):
        return Fault(at, "filter.type", "This must be true or false.")
    exists = Test(field.target, "exists")
    return exists if wanted is (operator == "exists") else Unless(exists)


def _values(field: QueryField, operator: str, raw: Any) -> list[Value | None]:
    if operator not in _LISTS:
        return [field.operand(raw)]
    items: Iterable[Any] = raw if isinstance(raw, list) else _split(raw) if isinstance(raw, str) else [raw]
    return [field.operand(item) for item in items]


def _split(text: str) -> list[str]:
    items: list[str] = []
    place = 0
    while (found := _ITEM.match(text, place)) is not None:
        items.append(_ESCAPED.sub(r"\1", found.group(1)))
        place = found.end()
        if not found.group().endswith(",") or len(items) > MAX_VALUES:
            break
    return items


def _condition(field: QueryField, operator: str, values: tuple[Value, ...]) -> Condition:
    target = field.target
    if field.is_flag:
        is_there = Test(target, "eq", (True,))
        return is_there if (operator == "eq") is values[0] else Unless(is_there)
    if field.absent in values:
        return _of_absent(field, operator, values)
    match operator:
        case "eq" | "lt" | "lte" | "gt" | "gte" | "in" | "contains" | "starts_with" | "any" | "all":
            return Test(target, operator, values)
        case "ne":
            return Unless(Test(target, "eq", values))
        case "nin":
            return Unless(Test(target, "any" if field.is_set else "in", values))
        case "between":
            return Every((Test(target, "gte", values[:1]), Test(target, "lte", values[1:])))
    raise ValueError(f"{operator} is no operator")


def _of_absent(field: QueryField, operator: str, values: tuple[Value, ...]) -> Condition:
    """A comparison with the value of what has none, among others."""
    others = tuple(value for value in values if value != field.absent)
    found: Condition = Unless(Test(field.target, "exists"))
    if others:
        found = Either((found, Test(field.target, "in", others)))
    return found if operator in ("eq", "in") else Unless(found)
