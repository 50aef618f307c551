"""The column `formstream`: what XLSForm cannot say about a row, kept beside it so that it comes back.

A mark is JSON, `{"of": …, "set": {…}, "unset": […]}`. `of` is a checksum of the row's other cells: once somebody has
changed what they say, the mark does not hold any more. Labels and hints may change, unless the mark is about them.
"""

import hashlib
from collections.abc import Mapping
from typing import Any, Final

import orjson

from deployments.imports.notices import Notices
from deployments.imports.xlsform.workbook import SheetRow

COLUMN: Final = "formstream"
MAX_MARK: Final = 30_000
"""The most characters of a mark: a cell takes 32,767."""

_FREE: Final = frozenset(("label", "hint"))
_TEXTS: Final = frozenset(("title", "description"))


def mark_of(cells: Mapping[str, str], wanted: Mapping[str, Any], found: Mapping[str, Any]) -> str:
    """The mark that makes `wanted` of `found`, which the other cells are read as; '' when they say it all."""
    changed = {name: value for name, value in wanted.items() if name not in found or found[name] != value}
    unset = sorted(found.keys() - wanted.keys())
    if not changed and not unset:
        return ""
    mark: dict[str, Any] = {"of": _checksum(cells, {*changed, *unset}), "set": changed}
    if unset:
        mark["unset"] = unset
    # Other tools look up references in every cell.
    return orjson.dumps(mark).decode().replace("${", "\\u0024{")


def marked_type(row: SheetRow) -> str | None:
    """The type that the row's mark gives, when it holds."""
    mark = _mark(row)
    kind = mark[0].get("type") if isinstance(mark, tuple) else None
    return kind if isinstance(kind, str) else None


def apply_mark(element: dict[str, Any], row: SheetRow, notices: Notices, where: str) -> None:
    """Make of the element what its row's mark says; a mark that does not hold is a notice."""
    mark = _mark(row)
    if isinstance(mark, str):
        notices.add(where, *_PROBLEMS[mark])
    elif mark is not None:
        element.update(mark[0])
        for name in mark[1]:
            element.pop(name, None)


_PROBLEMS: Final = {
    "unreadable": ("mark.unreadable", "What the column formstream says cannot be read."),
    "outdated": ("mark.outdated", "The row was changed, so what the column formstream says is left out."),
}


def _mark(row: SheetRow) -> tuple[dict[str, Any], list[str]] | str | None:
    """What the mark sets and unsets; else what is wrong with it; None when there is no mark."""
    text = row.get(COLUMN)
    if not text:
        return None
    try:
        mark = orjson.loads(text)
        changed, unset = dict(mark["set"]), [str(name) for name in mark.get("unset", ())]
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError):
        return "unreadable"
    return (changed, unset) if mark.get("of") == _checksum(row.cells, {*changed, *unset}) else "outdated"


def _checksum(cells: Mapping[str, str], names: set[str]) -> str:
    free = _FREE if names.isdisjoint(_TEXTS) else frozenset()
    said = {name: text for name, text in cells.items() if text and name != COLUMN and name not in free}
    return hashlib.sha256(orjson.dumps(said, option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]
