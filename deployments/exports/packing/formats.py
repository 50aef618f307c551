"""The formats of files, and how each is made of rows."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

from deployments.exports.contracts import ExportFormat
from deployments.exports.packing.parquet import parquet
from deployments.exports.packing.workbook import workbook
from deployments.responses.contracts import ExportChunk, RowFormat


@dataclass(frozen=True, slots=True)
class Format:
    """A format: the rows it is made of, and its media type."""

    rows: RowFormat
    media_type: str


FORMATS: Final[dict[ExportFormat, Format]] = {
    "csv": Format("csv", "text/csv; charset=utf-8"),
    "jsonl": Format("jsonl", "application/jsonl"),
    "parquet": Format("arrow", "application/vnd.apache.parquet"),
    "xlsx": Format("sheet", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
}


def packed(form: ExportFormat, chunks: AsyncIterator[ExportChunk]) -> AsyncIterator[bytes]:
    """The file in pieces. `chunks` are of the format's `rows`."""
    if form == "parquet":
        return parquet(chunks)
    if form == "xlsx":
        return workbook(chunks)
    return _plain(chunks)


async def _plain(chunks: AsyncIterator[ExportChunk]) -> AsyncIterator[bytes]:
    async for chunk in chunks:
        yield chunk.content
