"""A form's responses as CSV (RFC 4180), in pieces, oldest first, with columns that stay the same over versions."""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime

from db.models.responses import Response
from db.repositories.response_query import Order, Position, ResponseQueryRepository
from db.session import UnitOfWork
from deployments.kit.engine import Column
from deployments.kit.errors import Invalid
from deployments.kit.pagination import decode_cursor, encode_cursor
from deployments.kit.tabular import csv_line
from deployments.responses.contracts import ExportChunk, ExportResponses
from deployments.responses.errors import FormNotFound
from deployments.responses.masking import NOTHING, masked
from deployments.responses.query.forms import SearchedForms
from deployments.responses.query.listing import search_of

_SORT = "export"
_ROWS = 1000
_OLDEST_FIRST = Order()
_BOM = "\ufeff"

_FIXED: tuple[tuple[str, Callable[[Response], str]], ...] = (
    ("Response ID", lambda row: row.id),
    ("Submitted at", lambda row: row.submitted_at.isoformat()),
    ("Version", lambda row: str(row.version)),
    ("Status", lambda row: row.status),
)


async def export_chunk(
    unit: UnitOfWork,
    forms: SearchedForms,
    form_id: str,
    cursor: str | None,
    wanted: ExportResponses,
    hidden: Collection[str] = NOTHING,
) -> ExportChunk:
    """The next rows of the form. The cursor fixes the columns, so a publication midway does not bend the table.

    Cells of the `hidden` fields are empty.
    """
    after: Position | None = None
    up_to: int | None = None
    if cursor is not None:
        at, last_id, version = decode_cursor(cursor, _SORT, 3)
        after, up_to = Position(None, datetime.fromisoformat(at), last_id), int(version)
    form = await forms.get(unit, form_id, up_to)
    if form.version == 0:
        raise FormNotFound
    columns = _chosen(form.columns, wanted.columns)
    repository = ResponseQueryRepository(unit.session, unit.tenant, form_id, form.rules)
    rows = await repository.page(search_of(form, wanted, hidden), _OLDEST_FIRST, after, _ROWS + 1)
    lines = [_line(columns, row, hidden) for row, _ in rows[:_ROWS]]
    if cursor is None:
        lines.insert(0, _BOM + csv_line([*(name for name, _ in _FIXED), *(column.title for column in columns)]))
    next_cursor = None
    if len(rows) > _ROWS:
        last = rows[_ROWS - 1][1]
        next_cursor = encode_cursor(_SORT, [last.submitted_at.isoformat(), last.id, str(form.version)])
    return ExportChunk(content="".join(lines).encode(), next_cursor=next_cursor)


def _chosen(columns: Sequence[Column], wanted: Sequence[str] | None) -> Sequence[Column]:
    """The columns in the order in which they are wanted; a field's id stands for all of its columns."""
    if wanted is None:
        return columns
    chosen: dict[str, Column] = {}
    for name in wanted:
        found = {column.key: column for column in columns if name in (column.key, column.field_id)}
        if not found:
            raise Invalid.at("/columns", "columns.unknown", "The form has no such column.")
        chosen.update(found)
    return list(chosen.values())


def _line(columns: Sequence[Column], row: Response, hidden: Collection[str]) -> str:
    answers, _ = masked(row.answers, hidden)
    return csv_line([*(cell(row) for _, cell in _FIXED), *(column.cell(answers) for column in columns)])
