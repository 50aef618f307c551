"""Export columns: stable keys, titles, what their values are, and the exact text of each answer."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, TypeAlias

Answers = Mapping[str, Any]
Cell = Callable[[Answers], str]
Items = Callable[[Answers], Sequence[str]]

Kind: TypeAlias = Literal["text", "integer", "number", "boolean", "date", "datetime", "list"]
"""What the values of a column are. `integer` has 64 bits, `number` is a float of 64, `datetime` is in UTC."""

SEPARATOR: Final = "; "
"""Stands between the values of one cell."""


@dataclass(frozen=True, slots=True)
class Style:
    """How answers become columns.

    Options are told by their `labels`, else by their ids, and truths as Yes and No, else true and false. With `lists`,
    what may have several values is one column instead of one for each option. Files are told by `file_address`, with
    their id in the place of `{}`.
    """

    labels: bool = True
    lists: bool = False
    file_address: str = "{}"


LABELLED: Final = Style()


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a form's table.

    `key` never changes between versions (`side`, `side.corn`, `side.other`); `cell` takes normalised answers and
    returns the text of the cell, '' when the answer is absent. Of a `list`, `items` returns the ids that were chosen,
    and `names` says how they are told.
    """

    key: str
    title: str
    field_id: str
    cell: Cell
    kind: Kind = "text"
    items: Items | None = None
    names: Mapping[str, str] | None = None

    def values(self, answers: Answers) -> list[str]:
        """The values of a `list`."""
        return _named(self.items(answers), self.names) if self.items is not None else []


def value_column(field_id: str, title: str, kind: Kind = "text") -> Column:
    """The column of a field whose answer is one text or number."""

    def cell(answers: Answers) -> str:
        value = answers.get(field_id)
        if type(value) is str:
            return value
        return str(value) if type(value) in (int, float) else ""

    return Column(field_id, title, field_id, cell, kind)


def list_column(key: str, title: str, field_id: str, items: Items, names: Mapping[str, str] | None = None) -> Column:
    """The column of an answer with several values; `names` maps them to what is told of them."""

    def cell(answers: Answers) -> str:
        return SEPARATOR.join(_named(items(answers), names))

    return Column(key, title, field_id, cell, "list", items, names)


def _named(items: Sequence[str], names: Mapping[str, str] | None) -> list[str]:
    return list(items) if names is None else [names.get(item, item) for item in items]


def part_title(title: str, *parts: str) -> str:
    """The title of a column that holds one part of an answer, as survey tools write it."""
    return " - ".join((title, *parts))


def merge(tables: Iterable[tuple[Column, ...]]) -> tuple[Column, ...]:
    """One table for several versions, oldest first.

    A column keeps the place where it first appeared, new ones are appended, none is removed; the newest title wins.
    A cell is read as the newest version that knows the answer reads it, so the labels of removed options stay. A column
    whose kind has changed is one of texts.
    """
    versions: dict[str, list[Column]] = {}
    for table in tables:
        for column in table:
            versions.setdefault(column.key, []).insert(0, column)
    return tuple(_newest(columns) for columns in versions.values())


def _newest(columns: list[Column]) -> Column:
    newest = columns[0]
    if len(columns) == 1:
        return newest
    if newest.items is not None:
        names = {key: name for column in reversed(columns) for key, name in (column.names or {}).items()}
        return list_column(newest.key, newest.title, newest.field_id, newest.items, names or None)
    cells = tuple(column.cell for column in columns)

    def cell(answers: Answers) -> str:
        for read in cells:
            text = read(answers)
            if text:
                return text
        return ""

    kind: Kind = newest.kind if all(column.kind == newest.kind for column in columns) else "text"
    return replace(newest, cell=cell, kind=kind)
