"""Reads the responses of an export, so much at a time that neither memory nor a snapshot is held for long."""

import asyncio
import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

import orjson

from db.repositories.response_filters import Search
from db.repositories.response_query import Position, ResponseQueryRepository
from db.repositories.response_statements import Order
from db.session import UnitOfWork
from deployments.kit.errors import Invalid
from deployments.kit.pagination import decode_cursor, encode_cursor
from deployments.responses.contracts import ExportChunk, ExportResponses, RowFormat
from deployments.responses.errors import FormNotFound
from deployments.responses.exporting.rows import SHEET_COLUMNS, SHEET_ROWS, Rows, rows_of
from deployments.responses.exporting.table import table_of
from deployments.responses.masking import NOTHING
from deployments.responses.presenting import Plain
from deployments.responses.query.forms import SearchedForms
from deployments.responses.query.listing import position_of, read_export, values_of

_RULES: Final = "2"
_FIRST: Final = 100
_PAGE: Final = 1_000
_SAMPLED: Final = 8
_CHUNK_ROWS: Final = 5_000
_CHUNK_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class _Start:
    """Where a chunk begins: after a position, with the columns of a version and so many kinds of verdicts, `rows` being
    written."""

    after: Position | None = None
    version: int | None = None
    rows: int = 0
    kinds: int | None = None


async def export_chunk(
    unit: UnitOfWork,
    forms: SearchedForms,
    form_id: str,
    cursor: str | None,
    wanted: ExportResponses,
    rows: RowFormat,
    hidden: Collection[str] = NOTHING,
    public_url: str = "",
) -> ExportChunk:
    """The next rows of the form. The cursor fixes the columns, so a publication midway does not bend the table."""
    binding = _binding(form_id, wanted, rows)
    start = _Start() if cursor is None else _start(cursor, binding)
    form = await forms.get(unit, form_id, start.version, start.kinds)
    if form.version == 0:
        raise FormNotFound
    search, order = read_export(form, wanted, hidden)
    table = table_of(form, wanted, hidden, public_url)
    if rows == "sheet" and len(table.keys) > SHEET_COLUMNS:
        raise Invalid.at("/columns", "columns.too_many", f"A sheet has at most {SHEET_COLUMNS} columns.")
    chosen = None if wanted.columns is None else {column.field_id for column in table.columns}
    writer = rows_of(rows, table, hidden, chosen)
    reader = _Reader(unit, form_id, form.rules, search, order, writer)
    content, after, count = await reader.read(start, SHEET_ROWS if rows == "sheet" else None)
    next_cursor = None
    if after is not None:
        fixed = (form.version, start.rows + count, len(form.inferred))
        next_cursor = encode_cursor(binding, [*values_of(after), *map(str, fixed)])
    head = [writer.head()] if cursor is None else []
    return ExportChunk(content=b"".join((*head, *content)), next_cursor=next_cursor, rows=count)


class _Reader:
    """The rows of one chunk, page after page: while one is written in a thread, the next one is read."""

    def __init__(self, unit: UnitOfWork, form_id: str, rules: str, search: Search, order: Order, writer: Rows) -> None:
        self._repository = ResponseQueryRepository(unit.connection, unit.tenant, form_id, rules)
        self._search = search
        self._order = order
        self._writer = writer

    async def read(self, start: _Start, sheet: int | None) -> tuple[list[bytes], Position | None, int]:
        """The content, where the next chunk begins (None after the last), and the number of rows."""
        content: list[bytes] = []
        room = _CHUNK_ROWS if sheet is None else min(_CHUNK_ROWS, sheet - start.rows % sheet)
        count = size = 0
        page = await self._page(start.after, min(_FIRST, room))
        while True:
            rows, after = page
            size += sum([len(row.answers) for row in rows[::_SAMPLED]]) * _SAMPLED
            written = asyncio.to_thread(self._writer.encode, rows, start.rows + count)
            count += len(rows)
            left = room - count
            if after is None or left == 0 or size >= _CHUNK_BYTES:
                content.append(await written)
                return content, after, count
            likely = (_CHUNK_BYTES - size) * count // (size + 1) + 1
            # What the first page did not show, larger answers further on, must not fill the memory.
            more = min(left, likely, _PAGE, 4 * len(rows))
            encoded, page = await asyncio.gather(written, self._page(after, more))
            content.append(encoded)

    async def _page(self, after: Position | None, limit: int) -> tuple[list[Plain], Position | None]:
        found = await self._repository.page(self._search, self._order, after, limit + 1, self._writer.read)
        rows = [row for row, _ in found[:limit]]
        return rows, found[limit - 1][1] if len(found) > limit else None


def tag_of(change: int, version: int, hidden: Collection[str], form_id: str, wanted: ExportResponses) -> str:
    """Names what an export is made of: other answers, columns or rights, another tag."""
    parts: Any = [_RULES, change, version, sorted(hidden), form_id, wanted.model_dump(mode="json")]
    return hashlib.blake2b(orjson.dumps(parts, option=orjson.OPT_SORT_KEYS), digest_size=12).hexdigest()


def _binding(form_id: str, wanted: ExportResponses, rows: RowFormat) -> str:
    parts: Any = [_RULES, form_id, rows, wanted.model_dump(mode="json")]
    return hashlib.blake2b(orjson.dumps(parts, option=orjson.OPT_SORT_KEYS), digest_size=12).hexdigest()


def _start(cursor: str, binding: str) -> _Start:
    *place, version, rows, kinds = decode_cursor(cursor, binding, 6)
    if not all(text.isascii() and text.isdecimal() and len(text) < 16 for text in (version, rows, kinds)):
        raise Invalid.at("/cursor", "cursor.invalid", "the cursor does not belong to this export")
    return _Start(position_of(place), int(version), int(rows), int(kinds))
