"""How the answers of SurveyJS become answers of the elements that its questions became."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from deployments.imports.json_answers import Misfit, number_of, text_of
from deployments.imports.logic.subjects import NUMBERS

Intake = Callable[[Any], dict[str, Any]]
"""Answers by element id, from the value of one question. Raises Misfit."""

OTHER: Final = "other"
_TEXTS: Final = ("short_text", "long_text", "email", "url", "phone", "hidden")


def plain(element: Mapping[str, Any]) -> Intake:
    """The intake of a field whose answer is one value."""
    field_id, kind = element["id"], element["type"]

    def take(value: Any) -> dict[str, Any]:
        if kind in NUMBERS:
            return {field_id: number_of(value)}
        if kind in _TEXTS:
            return {field_id: "\n".join(map(text_of, value)) if isinstance(value, list) else text_of(value)}
        if kind == "datetime" and isinstance(value, str) and not _has_offset(value):
            return {field_id: f"{value}Z"}
        return {field_id: value}

    return take


def _has_offset(text: str) -> bool:
    return text[-1:] in "Zz" or "+" in text[10:] or "-" in text[10:]


def truth(field_id: str, yes: Any, no: Any) -> Intake:
    """The intake of a boolean that has values of its own."""
    words = {"true": True, "false": False, "yes": True, "no": False, _key(yes): True, _key(no): False}

    def take(value: Any) -> dict[str, Any]:
        return {field_id: words.get(_key(value), value)}

    return take


def single(field_id: str, ids: Mapping[str, str], *, other: bool) -> Intake:
    """The intake of a choice; a value that is no option is the free text, when there may be one."""

    def take(value: Any) -> dict[str, Any]:
        if isinstance(value, list) and len(value) == 1:
            value = value[0]
        key = _key(value)
        if key in ids:
            return {field_id: ids[key]}
        if other:
            return {field_id: {OTHER: text_of(value)}}
        raise Misfit(f"'{key[:100]}' is no option of {field_id}.")

    return take


def several(field_id: str, ids: Mapping[str, str], *, other: bool) -> Intake:
    """The intake of a question with any number of options."""

    def take(value: Any) -> dict[str, Any]:
        chosen, free = [], []
        for item in value if isinstance(value, list) else [value]:
            key = _key(item)
            if key in ids:
                chosen.append(ids[key])
            elif other:
                free.append(text_of(item))
            else:
                raise Misfit(f"'{key[:100]}' is no option of {field_id}.")
        if not free:
            return {field_id: chosen}
        return {field_id: {"options": chosen, OTHER: ", ".join(free)} if chosen else {OTHER: ", ".join(free)}}

    return take


def tabular(
    field_id: str, rows: Mapping[str, str], columns: Mapping[str, str], column: str | None, *, many: bool
) -> Intake:
    """The intake of a matrix; with `column` each row holds an object, of which that column counts."""

    def take(value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise Misfit(f"The answer of {field_id} must name its rows.")
        found: dict[str, Any] = {}
        for row, given in value.items():
            cell = given.get(column) if column is not None and isinstance(given, dict) else given
            if cell is None or cell == "" or (column is not None and not isinstance(given, dict)):
                continue
            if row not in rows:
                raise Misfit(f"'{row[:100]}' is no row of {field_id}.")
            chosen = [_column(item, columns, field_id) for item in (cell if isinstance(cell, list) else [cell])]
            if chosen:
                found[rows[row]] = chosen if many else chosen[0]
        return {field_id: found}

    return take


def _column(value: Any, columns: Mapping[str, str], field_id: str) -> str:
    key = _key(value)
    if key not in columns:
        raise Misfit(f"'{key[:100]}' is no column of {field_id}.")
    return columns[key]


def parts(takes: Mapping[str, Intake]) -> Intake:
    """The intake of a question that became several: an object of answers."""

    def take(value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise Misfit("An object of answers is expected.")
        found: dict[str, Any] = {}
        for name, given in value.items():
            if name not in takes:
                raise Misfit(f"'{name[:100]}' is no part of the question.")
            if given not in (None, ""):
                found |= takes[name](given)
        return found

    return take


def _key(value: Any) -> str:
    try:
        return text_of(value)
    except Misfit:
        return repr(value)
