"""Export columns: stable keys, titles, and the exact text of each answer."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

Answers = Mapping[str, Any]
Cell = Callable[[Answers], str]


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a form's table.

    `key` never changes between versions (`side`, `side.corn`, `side.other`); `cell` takes normalised answers and
    returns the text of the cell, '' when the answer is absent.
    """

    key: str
    title: str
    field_id: str
    cell: Cell


def value_column(field_id: str, title: str) -> Column:
    """The column of a field whose answer is one text or number."""

    def cell(answers: Answers) -> str:
        value = answers.get(field_id)
        if type(value) is str:
            return value
        return str(value) if type(value) in (int, float) else ""

    return Column(field_id, title, field_id, cell)


def part_title(title: str, *parts: str) -> str:
    """The title of a column that holds one part of an answer, as survey tools write it."""
    return " - ".join((title, *parts))


def merge(tables: Iterable[tuple[Column, ...]]) -> tuple[Column, ...]:
    """One table for several versions, oldest first.

    A column keeps the place where it first appeared, new ones are appended, none is removed; the newest title wins.
    A cell is read as the newest version that knows the answer reads it, so the labels of removed options stay.
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
    cells = tuple(column.cell for column in columns)

    def cell(answers: Answers) -> str:
        for read in cells:
            text = read(answers)
            if text:
                return text
        return ""

    return Column(newest.key, newest.title, newest.field_id, cell)
