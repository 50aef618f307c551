"""Parquet: typed columns by their keys, compressed with Zstandard, a group of rows at a time."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final

import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]

from deployments.exports.packing.sink import Sink
from deployments.responses.contracts import ExportChunk

_GROUP_ROWS: Final = 50_000
_GROUP_BYTES: Final = 4 << 20


async def parquet(chunks: AsyncIterator[ExportChunk]) -> AsyncIterator[bytes]:
    """The file in pieces, of chunks of Arrow's IPC format."""
    file = ParquetFile()
    async for chunk in chunks:
        yield await asyncio.to_thread(file.add, chunk.content)
    yield await asyncio.to_thread(file.end)


class ParquetFile:
    """A file that is written front to back; what each call returns is to be appended to it."""

    def __init__(self) -> None:
        self._sink = Sink()
        self._batches: list[Any] = []
        self._schema: Any = None
        self._writer: Any = None
        self._written: list[Any] = []
        self.rows = 0

    @property
    def schema(self) -> Any:
        """The Arrow schema, known from the first rows on."""
        return self._schema

    def add(self, content: bytes) -> bytes:
        """Take the rows of IPC streams, one behind the other."""
        source = pa.BufferReader(content)
        while source.tell() < len(content):
            with pa.ipc.open_stream(source) as stream:
                self._schema = self._schema or stream.schema
                self._batches += [batch for batch in stream if batch.num_rows]
        if sum(batch.num_rows for batch in self._batches) >= _GROUP_ROWS or self._size() >= _GROUP_BYTES:
            self._write()
        return self._sink.take()

    def end(self) -> bytes:
        """The rest of the rows, and the end of the file."""
        self._write()
        self._open().close()
        return self._sink.take()

    def range_of(self, column: str) -> tuple[int, int]:
        """The least and the greatest of the whole numbers of a column of a file that has ended, with rows."""
        place = self._schema.get_field_index(column)
        (metadata,) = self._written
        found = [metadata.row_group(group).column(place).statistics for group in range(metadata.num_row_groups)]
        return min(each.min for each in found), max(each.max for each in found)

    def _size(self) -> int:
        return sum(int(batch.nbytes) for batch in self._batches)

    def _write(self) -> None:
        if self._batches:
            table = pa.Table.from_batches(self._batches, self._schema)
            self.rows += table.num_rows
            self._batches.clear()
            self._open().write_table(table)
            del table
            # Arrow's allocator keeps what it was given back, for the next time; a runner does other work, too.
            pa.default_memory_pool().release_unused()

    def _open(self) -> Any:
        if self._writer is None:
            self._writer = pq.ParquetWriter(
                self._sink, self._schema, compression="zstd", metadata_collector=self._written
            )
        return self._writer
