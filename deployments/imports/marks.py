"""Marks: what a format cannot say about a question, kept beside it so that it comes back.

A mark is `{"of": …, "set": {…}, "unset": […]}`. `of` is a checksum of what the format itself says; once somebody has
changed that, the mark does not hold any more. The texts named `free` may change, unless the mark is about them.
"""

import hashlib
from collections.abc import Mapping
from typing import Any, Final

import orjson

from deployments.imports.notices import Notices

NAME: Final = "formstream"

_TEXTS: Final = frozenset(("title", "description"))
_PROBLEMS: Final = {
    "unreadable": ("mark.unreadable", "What is kept under formstream cannot be read."),
    "outdated": ("mark.outdated", "The question was changed, so what is kept under formstream is left out."),
}

Mark = tuple[dict[str, Any], list[str]]
"""What a mark sets and unsets."""


def mark_of(
    said: Mapping[str, Any], wanted: Mapping[str, Any], found: Mapping[str, Any], free: frozenset[str]
) -> dict[str, Any]:
    """The mark that makes `wanted` of `found`, as which `said` is read; {} when it says it all."""
    changed = {name: value for name, value in wanted.items() if name not in found or found[name] != value}
    unset = sorted(found.keys() - wanted.keys())
    if not changed and not unset:
        return {}
    mark: dict[str, Any] = {"of": _checksum(said, {*changed, *unset}, free), "set": changed}
    return {**mark, "unset": unset} if unset else mark


def marked_type(said: Mapping[str, Any], free: frozenset[str]) -> str | None:
    """The type that a mark gives, when it holds."""
    mark = _mark(said, free)
    kind = mark[0].get("type") if isinstance(mark, tuple) else None
    return kind if isinstance(kind, str) else None


def apply_mark(
    element: dict[str, Any], said: Mapping[str, Any], free: frozenset[str], notices: Notices, where: str
) -> None:
    """Make of the element what the mark in `said` says; a mark that does not hold is a notice."""
    mark = _mark(said, free)
    if isinstance(mark, str):
        notices.add(where, *_PROBLEMS[mark])
    elif mark is not None:
        element.update(mark[0])
        for name in mark[1]:
            element.pop(name, None)


def _mark(said: Mapping[str, Any], free: frozenset[str]) -> Mark | str | None:
    """The mark; else what is wrong with it; None when there is none."""
    given = said.get(NAME)
    if not given:
        return None
    try:
        mark = orjson.loads(given) if isinstance(given, str) else given
        if "set" not in mark and "unset" not in mark:
            return None
        changed, unset = dict(mark["set"]), [str(name) for name in mark.get("unset", ())]
        holds = mark["of"] == _checksum(said, {*changed, *unset}, free)
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError):
        return "unreadable"
    return (changed, unset) if holds else "outdated"


def _checksum(said: Mapping[str, Any], names: set[str], free: frozenset[str]) -> str:
    ignored = free if names.isdisjoint(_TEXTS) else frozenset[str]()
    # A text in one more language (`label::Deutsch`) is a text.
    names_said = (name for name in said if name != NAME and name.partition("::")[0] not in ignored)
    own = {name: said[name] for name in names_said if said[name]}
    return hashlib.sha256(orjson.dumps(own, option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]
