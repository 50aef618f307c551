"""Makes files of responses as the edge and the jobs do, and reads them as their readers would."""

import csv
import io
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from typing import Any

import openpyxl
import orjson
import pyarrow.parquet as pq  # type: ignore[import-untyped]

from deployments.exports.contracts import ExportFormat
from deployments.exports.packing import FORMATS, packed
from deployments.kit.principal import Principal
from deployments.responses.contracts import ExportChunk, ExportResponses
from deployments.responses.deployment import Responses


async def chunks(
    responses: Responses, principal: Principal, form_id: str, form: ExportFormat, wanted: ExportResponses
) -> AsyncIterator[ExportChunk]:
    """The rows of an export, chunk by chunk."""
    cursor: str | None = None
    while True:
        chunk = await responses.export_chunk(principal, form_id, cursor, wanted, FORMATS[form].rows)
        yield chunk
        cursor = chunk.next_cursor
        if cursor is None:
            return


async def file_of(responses: Responses, principal: Principal, form_id: str, form: ExportFormat, **wanted: Any) -> bytes:
    """The whole file."""
    found = chunks(responses, principal, form_id, form, ExportResponses(**wanted))
    return b"".join([piece async for piece in packed(form, found)])


def csv_rows(content: bytes) -> list[list[str]]:
    """The rows of a CSV file, its header first."""
    return list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline="")))


def sheet_rows(content: bytes) -> list[list[Any]]:
    """The rows of all sheets of a workbook, the header of the first one first."""
    book = openpyxl.load_workbook(io.BytesIO(content), read_only=True)
    found: list[list[Any]] = []
    for number, sheet in enumerate(book.worksheets):
        rows = [list(row) for row in sheet.iter_rows(values_only=True)]
        found += rows if number == 0 else rows[1:]
    width = len(found[0])
    return [row + [None] * (width - len(row)) for row in found]


def parquet_table(content: bytes) -> Any:
    """The table of a Parquet file."""
    return pq.read_table(io.BytesIO(content))


def json_lines(content: bytes) -> list[dict[str, Any]]:
    """The documents of a file of JSON Lines."""
    return [orjson.loads(line) for line in content.splitlines()]


def as_text(value: Any, *, is_moment: bool = False) -> str:
    """What a CSV file has for a typed value."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "Yes" if value else "No"
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).isoformat()
    if isinstance(value, date):
        return value.isoformat()
    return str(value)


def unprefixed(cell: str) -> str:
    """A cell without the mark that keeps spreadsheets from running it."""
    return cell[1:] if cell.startswith("'") and cell[1:2] in tuple("=+-@\t\r\n＝＋－＠") else cell
