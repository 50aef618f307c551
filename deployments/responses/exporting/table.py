"""The table of an export: metadata first, then the columns of the answers."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from deployments.kit.engine import Column, Kind
from deployments.kit.engine.columns import SEPARATOR
from deployments.kit.engine.fields.boolean import TEXTS
from deployments.kit.enrichment import VERDICTS
from deployments.responses.contracts import ExportResponses
from deployments.responses.presenting import Plain, tags_of
from deployments.responses.query.forms import SearchedForm
from deployments.responses.query.listing import style_of


@dataclass(frozen=True, slots=True)
class Fixed:
    """A column of metadata. No field's id begins with an underscore."""

    key: str
    title: str
    kind: Kind
    cell: Callable[[Plain], str]
    items: Callable[[Plain], Sequence[str]] | None = None
    """What a `list` has."""


def _moment(at: datetime | None) -> str:
    return "" if at is None else at.isoformat()


SHORT: Final = (
    Fixed("_id", "Response ID", "text", lambda row: row.id),
    Fixed("_submitted_at", "Submitted at", "datetime", lambda row: row.submitted_at.isoformat()),
    Fixed("_version", "Version", "integer", lambda row: str(row.version)),
    Fixed("_status", "Status", "text", lambda row: row.status),
)
DETAILS: Final = (
    Fixed("_submitted_by", "Submitted by", "text", lambda row: row.submitted_by),
    Fixed("_started_at", "Started at", "datetime", lambda row: _moment(row.started_at)),
    Fixed("_seconds", "Seconds", "number", lambda row: "" if row.seconds is None else str(row.seconds)),
    Fixed("_revision", "Revision", "integer", lambda row: str(row.revision)),
    Fixed("_updated_at", "Updated at", "datetime", lambda row: _moment(row.updated_at)),
    Fixed("_review", "Review", "text", lambda row: row.review or "none"),
    Fixed("_assignee", "Assignee", "text", lambda row: row.assignee or ""),
    Fixed("_language", "Language", "text", lambda row: row.language or ""),
    Fixed("_tags", "Tags", "list", lambda row: SEPARATOR.join(tags_of(row)), tags_of),
    Fixed("_commented", "Commented", "boolean", lambda row: TEXTS[False][row.commented]),
    Fixed("_has_files", "Has files", "boolean", lambda row: TEXTS[False][row.has_files]),
    Fixed("_change", "Change", "integer", lambda row: str(row.change)),
)

_READ_SHORT: Final = ("id", "submitted_at", "version", "status", "answers")
_READ_DETAILS: Final = (
    *("submitted_by", "started_at", "seconds", "revision", "updated_at", "review", "assignee"),
    *("language", "tags", "commented", "has_files", "change"),
)


@dataclass(frozen=True, slots=True)
class Table:
    """What each row has. `uses_keys`: the columns are called by their keys, else by their titles."""

    fixed: tuple[Fixed, ...]
    columns: tuple[Column, ...]
    uses_keys: bool

    @property
    def names(self) -> tuple[str, ...]:
        """What the columns are called."""
        if self.uses_keys:
            return self.keys
        return (*(column.title for column in self.fixed), *(column.title for column in self.columns))

    @property
    def keys(self) -> tuple[str, ...]:
        """What names the columns, uniquely."""
        return (*(column.key for column in self.fixed), *(column.key for column in self.columns))

    @property
    def read(self) -> tuple[str, ...]:
        """The columns of the database that it is made of."""
        read = _READ_SHORT if self.fixed == SHORT else (*_READ_SHORT, *_READ_DETAILS)
        return (*read, "inference") if self.is_judged else read

    @property
    def is_judged(self) -> bool:
        """Whether any column tells what models say."""
        return any(column.key.startswith(VERDICTS) for column in self.columns)


def table_of(form: SearchedForm, wanted: ExportResponses, hidden: Collection[str], public_url: str = "") -> Table:
    """The table that is wanted. Cells of the `hidden` fields are empty."""
    columns = _chosen(form.columns(style_of(wanted, public_url)), wanted.columns)
    shown = tuple(_emptied(column) if column.field_id in hidden else column for column in columns)
    if not wanted.details:
        return Table(SHORT, shown, not wanted.labels)
    return Table((*SHORT, *(_labelled(each) if wanted.labels else each for each in DETAILS)), shown, not wanted.labels)


def _labelled(column: Fixed) -> Fixed:
    """The column as people read it."""
    if column.kind != "boolean":
        return column
    return replace(column, cell=lambda row: TEXTS[True][column.cell(row) == TEXTS[False][True]])


def _chosen(columns: Sequence[Column], wanted: Sequence[str] | None) -> Sequence[Column]:
    """The columns in the order in which they are wanted; a field's id stands for all of its own, `ai` for what models
    say."""
    if wanted is None:
        return columns
    chosen: dict[str, Column] = {}
    for name in wanted:
        chosen.update({column.key: column for column in columns if name in names_of(column)})
    return list(chosen.values())


def names_of(column: Column) -> tuple[str, str]:
    """What a column can be asked for by."""
    return column.key, VERDICTS.rstrip(".") if column.key.startswith(VERDICTS) else column.field_id


def _emptied(column: Column) -> Column:
    return replace(column, cell=lambda _: "", items=None if column.items is None else lambda _: ())
