"""What of a form's table can be asked for, by name."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from deployments.analytics.queries.forms import QueriedForm, Texts
from deployments.analytics.queries.tables import TableColumn, TableSchema

OTHER: Final = "@other"
"""Stands for an answer in own words among the ids of options. No option has it."""

Kind: TypeAlias = Literal["options", "several", "matrix", "number", "text", "boolean", "date", "moment", "whole"]

_METADATA: Final = {
    "_submitted_at": "submitted_at",
    "_version": "version",
    "_status": "status",
    "_submitted_by": "submitted_by",
    "_started_at": "started_at",
    "_seconds": "seconds",
    "_revision": "revision",
    "_updated_at": "updated_at",
    "_review": "review",
    "_assignee": "assignee",
    "_language": "language",
    "_tags": "tags",
    "_commented": "commented",
    "_has_files": "has_files",
}
_ANSWERS: Final = "answers."
_VERDICTS: Final = "ai."
_NUMBERS: Final = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "FLOAT", "DOUBLE", "DECIMAL")
# Their text is a document or ids: it can be there or not, and nothing is told of it.
_WHOLE: Final = frozenset({"group", "file", "image", "signature"})


@dataclass(frozen=True, slots=True)
class Slot:
    """Something to group by or to measure. `column` is its place in the table, `other` that of the free text beside
    options; `rows` are those of a matrix, as id and place."""

    name: str
    kind: Kind
    column: int
    title: str
    labels: Mapping[str, str]
    other: int | None = None
    rows: tuple[tuple[str, int], ...] = ()
    has_lists: bool = False

    @property
    def is_several(self) -> bool:
        """Whether one response may have more than one value."""
        return self.kind in ("several", "matrix")


class Slots:
    """The slots of one table, as somebody sees them: who may not see a field does not know it."""

    def __init__(self, form: QueriedForm, schema: TableSchema, texts: Texts, hidden: Collection[str]) -> None:
        seen = [(place, each) for place, each in enumerate(schema.columns) if each.field not in hidden]
        places = {each.name: place for place, each in seen}
        self._metadata: dict[str, Slot] = {}
        self._answers: dict[str, Slot] = {}
        for place, each in seen:
            if each.field is None:
                if (name := _METADATA.get(each.name)) is not None:
                    self._metadata[name] = Slot(name, _kind(each, {}), place, each.title, {})
                continue
            name = each.name
            labels = texts.labels.get(name, {})
            kind: Kind = "whole" if form.types.get(name) in _WHOLE else _kind(each, labels)
            other = places.get(f"{name}.other") if kind in ("options", "several") else None
            self._answers[name] = Slot(name, kind, place, texts.titles.get(name, each.title), labels, other)
        for name, kind_of in form.types.items():
            if kind_of in ("matrix", "matrix_multi") and name not in hidden:
                self._add_matrix(form, name, seen, texts)

    def find(self, name: str) -> Slot | None:
        """The slot of this name: metadata first, `answers.<name>` is always the answer."""
        if name.startswith(_ANSWERS):
            return self._answers.get(name.removeprefix(_ANSWERS))
        return self._metadata.get(name) or self._answers.get(name)

    def _add_matrix(self, form: QueriedForm, name: str, seen: list[tuple[int, TableColumn]], texts: Texts) -> None:
        rows = tuple(
            (each.name.removeprefix(f"{name}."), place)
            for place, each in seen
            if each.field == name and not each.name.startswith(_VERDICTS)
        )
        if rows:
            has_lists = form.types[name] == "matrix_multi"
            self._answers[name] = Slot(
                name,
                "matrix",
                rows[0][1],
                texts.titles.get(name, name),
                texts.labels.get(name, {}),
                rows=rows,
                has_lists=has_lists,
            )


def _kind(column: TableColumn, labels: Mapping[str, str]) -> Kind:
    kind = column.type.upper()
    if kind.endswith("[]"):
        return "several"
    if kind.startswith(_NUMBERS):
        return "number"
    if kind == "BOOLEAN":
        return "boolean"
    if kind == "DATE":
        return "date"
    if kind.startswith("TIMESTAMP"):
        return "moment"
    return "options" if labels else "text"
