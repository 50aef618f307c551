"""Which payloads an endpoint wants: a small filter in JSON that mirrors the payload.

    {"data": {"status": "complete", "answers": {"score": {"$gte": 9}, "country": {"$in": ["DE", "AT"]}}}}

A key names a property; below it is another object of properties, or what is asked of the value. All must hold. A
plain value stands for `$eq`. Of a list in the payload one entry that fits is enough. What is not there fits only `$ne`,
`$nin`, `{"$exists": false}` and `{"$eq": null}`. `$or`, `$and` (lists of filters) and `$not` (a filter) combine.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any, Final, TypeAlias

import orjson

from deployments.kit.errors import Fault
from deployments.kit.problems import pointer

Filter: TypeAlias = Callable[[Any], bool]

_MAX_BYTES: Final = 8192
_MAX_DEPTH: Final = 12
_MAX_LIST: Final = 100
_MISSING: Final = object()


def filter_faults(document: Any, at: str = "/filter") -> list[Fault]:
    """Everything that keeps `document` from being a filter, each at its place; empty when it is one."""
    try:
        size = len(orjson.dumps(document))
    except orjson.JSONEncodeError:  # nested too deeply to be written
        size = _MAX_BYTES + 1
    if size > _MAX_BYTES:
        return [Fault(at, "filter.size", f"a filter has at most {_MAX_BYTES} bytes of JSON")]
    return [Fault(at + pointer(path), code, detail) for path, code, detail in _faults(document, (), 1)]


def matches(document: Mapping[str, Any], payload: Any) -> bool:
    """Whether a filter without faults lets the payload (as JSON has it) through."""
    return _compiled(orjson.dumps(document))(payload)


@lru_cache(maxsize=1024)
def _compiled(document: bytes) -> Filter:
    return _filter(orjson.loads(document))


# Checking.

_Path: TypeAlias = tuple[str | int, ...]
_Problem: TypeAlias = tuple[_Path, str, str]


def _faults(document: Any, path: _Path, depth: int) -> Iterator[_Problem]:
    if depth > _MAX_DEPTH:
        yield path, "filter.depth", f"a filter is at most {_MAX_DEPTH} levels deep"
    elif not isinstance(document, dict):
        if isinstance(document, list):
            yield path, "filter.list", "a list needs `$in`, or `$eq` for the very list"
    else:
        if not document:
            yield path, "filter.empty", "say what is wanted"
        for name, wanted in document.items():
            if name.startswith("$"):
                yield from _operator_faults(name, wanted, (*path, name), depth)
            else:
                yield from _faults(wanted, (*path, name), depth + 1)


def _operator_faults(name: str, wanted: Any, path: _Path, depth: int) -> Iterator[_Problem]:
    if name in ("$and", "$or"):
        if not isinstance(wanted, list) or not 0 < len(wanted) <= _MAX_LIST:
            yield path, "filter.operand", f"{name} takes a list of 1 to {_MAX_LIST} filters"
            return
        for index, part in enumerate(wanted):
            yield from _faults(part, (*path, index), depth + 1)
    elif name == "$not":
        yield from _faults(wanted, path, depth + 1)
    elif name not in _OPERATORS:
        yield path, "filter.operator", f"there is no {name}; there are {', '.join(sorted(_NAMES))}"
    elif not _OPERANDS.get(name, _anything)(wanted):
        yield path, "filter.operand", f"{name} does not take this value"


def _anything(_wanted: Any) -> bool:
    return True


def _is_order(wanted: Any) -> bool:
    return isinstance(wanted, str | int | float) and not isinstance(wanted, bool)


def _is_list(wanted: Any) -> bool:
    return isinstance(wanted, list) and len(wanted) <= _MAX_LIST


def _is_text(wanted: Any) -> bool:
    return isinstance(wanted, str)


def _is_switch(wanted: Any) -> bool:
    return isinstance(wanted, bool)


# Asking.


def _filter(document: Any) -> Filter:
    if not isinstance(document, dict):
        return _each("$eq", document)
    parts = [_part(name, wanted) for name, wanted in document.items()]
    return lambda value: all(part(value) for part in parts)


def _part(name: str, wanted: Any) -> Filter:
    if name in ("$and", "$or"):
        filters = [_filter(part) for part in wanted]
        combine = all if name == "$and" else any
        return lambda value: combine(fits(value) for fits in filters)
    if name == "$not":
        inner = _filter(wanted)
        return lambda value: not inner(value)
    if name.startswith("$"):
        return _each(name, wanted)
    below = _filter(wanted)
    return lambda value: below(value.get(name, _MISSING) if isinstance(value, dict) else _MISSING)


def _each(name: str, wanted: Any) -> Filter:
    """What an operator asks: of every entry of a list that none is the refused one, of one entry that it fits."""
    fits = _OPERATORS[name]
    if name == "$exists":
        return lambda value: fits(value, wanted)
    negative = name in ("$ne", "$nin")

    def ask(value: Any) -> bool:
        if isinstance(value, list) and not (name == "$eq" and isinstance(wanted, list)):
            return all(fits(entry, wanted) for entry in value) if negative else any(fits(e, wanted) for e in value)
        return fits(value, wanted)

    return ask


def _equal(value: Any, wanted: Any) -> bool:
    if value is _MISSING:
        return wanted is None
    # In Python true equals 1; in JSON it does not.
    return bool(value == wanted) and isinstance(value, bool) is isinstance(wanted, bool)


def _comparable(value: Any, wanted: Any) -> bool:
    if isinstance(value, str) and isinstance(wanted, str):
        return True
    numbers = isinstance(value, int | float) and isinstance(wanted, int | float)
    return numbers and not isinstance(value, bool)


_OPERATORS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "$eq": _equal,
    "$ne": lambda value, wanted: not _equal(value, wanted),
    "$gt": lambda value, wanted: _comparable(value, wanted) and value > wanted,
    "$gte": lambda value, wanted: _comparable(value, wanted) and value >= wanted,
    "$lt": lambda value, wanted: _comparable(value, wanted) and value < wanted,
    "$lte": lambda value, wanted: _comparable(value, wanted) and value <= wanted,
    "$in": lambda value, wanted: any(_equal(value, one) for one in wanted),
    "$nin": lambda value, wanted: not any(_equal(value, one) for one in wanted),
    "$startsWith": lambda value, wanted: isinstance(value, str) and value.startswith(wanted),
    "$endsWith": lambda value, wanted: isinstance(value, str) and value.endswith(wanted),
    "$contains": lambda value, wanted: isinstance(value, str) and wanted in value,
    "$exists": lambda value, wanted: (value is not _MISSING) is wanted,
}
_OPERANDS: Final[dict[str, Callable[[Any], bool]]] = {
    **dict.fromkeys(("$gt", "$gte", "$lt", "$lte"), _is_order),
    **dict.fromkeys(("$in", "$nin"), _is_list),
    **dict.fromkeys(("$startsWith", "$endsWith", "$contains"), _is_text),
    "$exists": _is_switch,
}
_NAMES: Final = frozenset({*_OPERATORS, "$and", "$or", "$not"})
