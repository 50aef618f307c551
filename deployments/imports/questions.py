"""A question of the new form and how its answer is read from the cells of a row, so that no cell is lost."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from deployments.imports.naming import Names

Read = Callable[[Sequence[str]], Any]
"""The answer in a row that is as wide as the header; None when its cells are blank."""

MAX_TITLE: Final = 2_000


@dataclass(frozen=True, slots=True)
class Question:
    """An element of a definition, and the reader of its answers."""

    element: dict[str, Any]
    read: Read


def text(field_id: str, title: str, kind: str, index: int, **extra: Any) -> Question:
    """A field whose answer is the cell's own text."""
    return Question(element(field_id, title, kind, **extra), lambda cells: _filled(cells[index]))


def number(field_id: str, title: str, kind: str, index: int) -> Question:
    """A field of numbers, all of which are written as JSON writes them."""

    def read(cells: Sequence[str]) -> int | float | None:
        cell = _filled(cells[index])
        return None if cell is None else float(cell) if "." in cell else int(cell)

    return Question(element(field_id, title, kind), read)


def choice(field_id: str, title: str, kind: str, index: int, labels: Iterable[str], other: int | None) -> Question:
    """One of the texts that the column has, with the free text of the column `other`."""
    ids = ids_of(labels)

    def read(cells: Sequence[str]) -> Any:
        cell = _filled(cells[index])
        chosen = None if cell is None else ids[cell]
        free = None if other is None else _filled(cells[other])
        if free is None:
            return chosen
        return {"other": free} if chosen is None else {"option": chosen, "other": free}

    return Question(element(field_id, title, kind, options=_options(ids), **_allow(other)), read)


def multi_choice(field_id: str, title: str, labels: Mapping[int, str], other: int | None) -> Question:
    """Columns that hold their own label where it was chosen, with the free text of the column `other`."""
    names = Names(_RESERVED)
    ids = {index: names.make(label, f"option{position}") for position, (index, label) in enumerate(labels.items(), 1)}
    options = [{"id": ids[index], "label": label} for index, label in labels.items()]

    def read(cells: Sequence[str]) -> Any:
        chosen = [option for index, option in ids.items() if _filled(cells[index])]
        free = None if other is None else _filled(cells[other])
        if free is None:
            return chosen or None
        return {"options": chosen, "other": free} if chosen else {"other": free}

    return Question(element(field_id, title, "multi_choice", options=options, **_allow(other)), read)


def ranking(field_id: str, title: str, labels: Mapping[int, str], *, ties: bool) -> Question:
    """Columns that hold the rank of their label."""
    names = Names()
    ids = {index: names.make(label, f"option{position}") for position, (index, label) in enumerate(labels.items(), 1)}
    options = [{"id": ids[index], "label": label} for index, label in labels.items()]

    def read(cells: Sequence[str]) -> dict[str, int] | None:
        return {option: int(cells[index]) for index, option in ids.items() if _filled(cells[index])} or None

    extra = {"allow_ties": True} if ties else {}
    return Question(element(field_id, title, "ranking", options=options, **extra), read)


def matrix(field_id: str, title: str, rows: Mapping[int, str], labels: Iterable[str]) -> Question:
    """Columns of the file that share their texts: each is a row of the matrix, each text a column of it."""
    names, columns = Names(), ids_of(labels)
    ids = {index: names.make(label, f"row{position}") for position, (index, label) in enumerate(rows.items(), 1)}
    row_options = [{"id": ids[index], "label": label} for index, label in rows.items()]

    def read(cells: Sequence[str]) -> dict[str, str] | None:
        return {row: columns[cells[index]] for index, row in ids.items() if _filled(cells[index])} or None

    return Question(element(field_id, title, "matrix", rows=row_options, columns=_options(columns)), read)


def matrix_multi(field_id: str, title: str, boxes: Mapping[int, tuple[str, str]]) -> Question:
    """Columns that hold the label of one box (row, column) where it was ticked."""
    rows = ids_of(dict.fromkeys(row for row, _ in boxes.values()))
    columns = ids_of(dict.fromkeys(column for _, column in boxes.values()))

    def read(cells: Sequence[str]) -> dict[str, list[str]] | None:
        ticked: dict[str, list[str]] = {}
        for index, (row, column) in boxes.items():
            if _filled(cells[index]):
                ticked.setdefault(rows[row], []).append(columns[column])
        return ticked or None

    return Question(element(field_id, title, "matrix_multi", rows=_options(rows), columns=_options(columns)), read)


_RESERVED: Final = frozenset(("other",))


def _filled(cell: str) -> str | None:
    return cell if cell and not cell.isspace() else None


def ids_of(labels: Iterable[str]) -> dict[str, str]:
    """Option ids by their labels."""
    names = Names(_RESERVED)
    return {label: names.make(label, f"option{position}") for position, label in enumerate(labels, 1)}


def _options(ids: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"id": option, "label": label} for label, option in ids.items()]


def _allow(other: int | None) -> dict[str, bool]:
    return {} if other is None else {"allow_other": True}


def element(field_id: str, title: str, kind: str, **extra: Any) -> dict[str, Any]:
    """An element whose title is not too long."""
    return {"id": field_id, "type": kind, "title": title[:MAX_TITLE], **extra}
