"""A form's responses as CSV (RFC 4180), in pieces, oldest first, with columns that stay the same over versions."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from db.models.responses import Response
from db.repositories.published_forms import PublishedFormRepository
from db.repositories.responses import ResponseRepository
from db.session import UnitOfWork
from deployments.kit.engine import Column, compile_form, merged_columns, stored_definition
from deployments.kit.pagination import decode_cursor, encode_cursor
from deployments.kit.tabular import csv_line
from deployments.responses.contracts import ExportChunk
from deployments.responses.errors import FormNotFound

_SORT = "export"
_ROWS = 1000
_BOM = "\ufeff"

_FIXED: tuple[tuple[str, Callable[[Response], str]], ...] = (
    ("Response ID", lambda row: row.id),
    ("Submitted at", lambda row: row.submitted_at.isoformat()),
    ("Version", lambda row: str(row.version)),
    ("Status", lambda row: row.status),
)


async def export_chunk(unit: UnitOfWork, form_id: str, cursor: str | None) -> ExportChunk:
    """The next rows of the form. The cursor fixes the columns, so a publication midway does not bend the table."""
    after: tuple[datetime, str] | None = None
    up_to: int | None = None
    if cursor is not None:
        at, last_id, version = decode_cursor(cursor, _SORT, 3)
        after, up_to = (datetime.fromisoformat(at), last_id), int(version)
    versions = await PublishedFormRepository(unit.session, unit.tenant).versions(form_id, up_to)
    if not versions:
        raise FormNotFound
    columns = merged_columns([compile_form(stored_definition(version.definition)) for version in versions])
    rows = await ResponseRepository(unit.session, unit.tenant).page(
        form_id, after=after, limit=_ROWS + 1, newest_first=False
    )
    lines = [_line(columns, row) for row in rows[:_ROWS]]
    if cursor is None:
        lines.insert(0, _BOM + csv_line([*(name for name, _ in _FIXED), *(column.title for column in columns)]))
    next_cursor = None
    if len(rows) > _ROWS:
        last = rows[_ROWS - 1]
        next_cursor = encode_cursor(_SORT, [last.submitted_at.isoformat(), last.id, str(versions[-1].version)])
    return ExportChunk(content="".join(lines).encode(), next_cursor=next_cursor)


def _line(columns: Sequence[Column], row: Response) -> str:
    answers: Mapping[str, Any] = row.answers
    return csv_line([*(cell(row) for _, cell in _FIXED), *(column.cell(answers) for column in columns)])
