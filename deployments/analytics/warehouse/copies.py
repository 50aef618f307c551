"""Local copies of tables: the lake's files of a form, and beside them, in the same shape, what changed since.

Files are never changed. Which of their rows do not count any more, because the response changed again or is gone, is
known by position; so an answer costs no merging, and a statement that runs is not disturbed by what comes meanwhile.
"""

import asyncio
import secrets
from bisect import bisect_left
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from db.models.exports import LakeTable
from db.repositories.lake import LakeRepository, lacks
from db.session import Database
from deployments.analytics.sql_contracts import TableColumn
from deployments.analytics.warehouse.errors import TableBehind, TableNotFound
from deployments.analytics.warehouse.schema import PLACES, LocalFile, columns_of, view_of
from deployments.kit.errors import NotFound
from deployments.kit.objects import LAKE, ObjectStore, object_key
from deployments.kit.principal import Principal
from deployments.responses.contracts import METADATA, ChangedRows, ExportResponses, ResponsesApi

COLUMNS: Final = ExportResponses(status="complete", labels=False, lists=True, details=True)
_PIECE: Final = 5_000
_LARGE: Final = 100_000
"""Rows from which on a file of changes is left as it is."""
_MANY: Final = 6
"""So many small files of changes become one."""


@dataclass(frozen=True, slots=True)
class Table:
    """A form's table at one moment."""

    columns: Sequence[TableColumn]
    files: tuple[tuple[int, LocalFile], ...]
    gone: Path | None

    @property
    def paths(self) -> list[str]:
        """The files that a statement needs to read."""
        return [str(file.path) for _, file in self.files] + ([] if self.gone is None else [str(self.gone)])

    def view(self, *, sees_personal: bool) -> str:
        """The query that is the table for a reader."""
        return view_of(
            [column for column in self.columns if sees_personal or not column.personal], self.files, self.gone
        )


@dataclass(slots=True)
class _Batch:
    """What changed up to a change and is not in a file yet: rows, and the ids that changed with the place of their row,
    if any."""

    through: int
    tables: list[Any] = field(default_factory=list)
    places: dict[str, int | None] = field(default_factory=dict)
    rows: int = 0

    def takes(self, table: Any) -> bool:
        """Whether the rows have the shape of those that are here: a version may come out in between."""
        return not self.tables or self.tables[0].schema.equals(table.schema)

    def add(self, table: Any, piece: ChangedRows) -> None:
        """Take a piece; what it tells of a response takes the place of what was known."""
        self.places.update(dict.fromkeys(piece.gone))
        for number, response_id in enumerate(table.column("_id").to_pylist(), self.rows):
            self.places[response_id] = number
        self.tables.append(table)
        self.rows += table.num_rows
        self.through = piece.through


class Copy:
    """The local copy of one form's table."""

    def __init__(
        self, tenant_id: str, form_id: str, folder: Path, database: Database, objects: ObjectStore, rows: ResponsesApi
    ) -> None:
        self._tenant_id = tenant_id
        self.form_id = form_id
        self._folder = folder
        self._database = database
        self._objects = objects
        self._responses = rows
        self._turn = asyncio.Lock()
        self._number = 0
        self._through = 0
        self._columns: list[TableColumn] = []
        self._lake: dict[str, LocalFile] = {}
        self._coming: dict[str, LocalFile] = {}
        self._tail: list[LocalFile] = []
        self._dropped: dict[Path, Any] = {}
        self._gone: Path | None = None
        self._is_told = True
        self._garbage: list[Path] = []
        self._readers = 0

    @property
    def bytes(self) -> int:
        """The room that it takes."""
        return sum(file.size for file in (*self._lake.values(), *self._coming.values(), *self._tail))

    @property
    def is_used(self) -> bool:
        """Whether somebody reads it."""
        return self._readers > 0 or self._turn.locked()

    @asynccontextmanager
    async def reading(self, within_s: float) -> AsyncIterator[Table]:
        """The table with everything that is committed by now; its files stay as long as the block runs.

        Raises TableNotFound, and TableBehind when it takes longer than that to bring it up to date; what was done by
        then is kept.
        """
        self._readers += 1
        try:
            try:
                async with asyncio.timeout(within_s), self._turn:
                    await self._renew()
                    table = self._table()
            except TimeoutError:
                raise TableBehind(retry_after=2.0) from None
            except NotFound:
                raise TableNotFound from None
            yield table
        finally:
            self._readers -= 1
            if not self._readers:
                await self._sweep()

    async def remove(self) -> None:
        """Remove its files, when nobody uses it any more."""
        async with self._turn:
            await asyncio.to_thread(_remove, self._folder)

    def _table(self) -> Table:
        files = [
            (number if file.path in self._dropped else -1, file)
            for number, file in enumerate((*self._lake.values(), *self._tail))
        ]
        return Table(tuple(self._columns), tuple(files), self._gone)

    # Bringing it up to date.

    async def _renew(self) -> None:
        async with self._database.read(self._tenant_id) as unit:
            row = await LakeRepository(unit.session, self._tenant_id).find(self.form_id)
        # Files that lack a column would say that nobody has it: until they are written anew, all is read as changed.
        if row is not None and row.number != self._number and not lacks(row.columns, METADATA):
            await self._take_lake(row)
        batch, reader, has_more = _Batch(self._through), Principal.system(self._tenant_id, "warehouse"), True
        while has_more:
            piece = await self._responses.changed_rows(reader, self.form_id, batch.through, COLUMNS, _PIECE)
            table, has_more = await asyncio.to_thread(rows_of, piece), piece.has_more
            self._columns = columns_of(table.schema, piece.personal)
            if not batch.takes(table):
                await self._store(batch)
                batch = _Batch(batch.through)
            batch.add(table, piece)
            if not has_more or batch.rows >= _LARGE:
                await self._store(batch)
                batch = _Batch(batch.through)
        if not self._is_told:
            await self._write_gone()

    async def _take_lake(self, row: LakeTable) -> None:
        """Have the files of another manifest. What changed since is asked for anew."""
        paths = [str(entry["path"]) for entry in row.files]
        for path in paths:
            # Kept at once: whoever waits may give up before all are here, and the next one goes on from there.
            if path not in self._lake and path not in self._coming:
                self._coming[path] = await self._fetch(path)
        known = self._lake | self._coming
        self._garbage += [file.path for path, file in known.items() if path not in paths]
        self._garbage += [file.path for file in self._tail]
        self._lake, self._coming = {path: known[path] for path in paths}, {}
        self._tail, self._dropped, self._is_told = [], {}, False
        self._number, self._through = row.number, row.change

    async def _fetch(self, path: str) -> LocalFile:
        local = self._new("lake")
        key = object_key(self._tenant_id, LAKE, self.form_id, *path.split("/"))
        try:
            with await asyncio.to_thread(local.open, "wb") as file:
                async for piece in self._objects.read(key):
                    await asyncio.to_thread(file.write, piece)
            return await asyncio.to_thread(_taken, local)
        except BaseException as error:
            await asyncio.to_thread(local.unlink, missing_ok=True)
            if isinstance(error, FileNotFoundError):
                # A newer manifest has taken the place of the one that named it.
                raise TableBehind(retry_after=1.0) from None
            raise

    async def _store(self, batch: _Batch) -> None:
        """Keep a batch as a file, and note which rows of the others do not count any more."""
        if not batch.places:
            self._through = batch.through
            return
        tail, garbage = list(self._tail), []
        dropped = await asyncio.to_thread(
            _dropped, [*self._lake.values(), *tail], sorted(batch.places), dict(self._dropped)
        )
        places = sorted(place for place in batch.places.values() if place is not None)
        if places:
            tail.append(await asyncio.to_thread(_written, batch.tables, places, self._new("tail")))
        small = [file for file in tail if file.rows < _LARGE and file.types == tail[-1].types]
        if len(small) > _MANY:
            merged = await asyncio.to_thread(_merged, small, dropped, self._new("tail"))
            garbage = [file.path for file in small]
            tail = [file for file in tail if file not in small] + ([merged] if merged else [])
            dropped = {path: rows for path, rows in dropped.items() if path not in garbage}
        # All at once: whoever waits for this may give up in between.
        self._tail, self._dropped, self._through, self._is_told = tail, dropped, batch.through, False
        self._garbage += garbage

    async def _write_gone(self) -> None:
        files = [*self._lake.values(), *self._tail]
        numbered = [
            (number, self._dropped[file.path]) for number, file in enumerate(files) if file.path in self._dropped
        ]
        gone = self._new("gone") if numbered else None
        if gone is not None:
            await asyncio.to_thread(_write_positions, numbered, gone)
        self._garbage += [] if self._gone is None else [self._gone]
        self._gone, self._is_told = gone, True

    def _new(self, kind: str) -> Path:
        self._folder.mkdir(parents=True, exist_ok=True)
        return self._folder / f"{kind}-{secrets.token_hex(8)}.parquet"

    async def _sweep(self) -> None:
        while self._garbage and not self._readers:
            await asyncio.to_thread(self._garbage.pop().unlink, missing_ok=True)


# What works on files, in threads. Arrow is not loaded before it is needed: not every process asks for tables.


def rows_of(piece: ChangedRows) -> Any:
    import pyarrow as pa  # type: ignore[import-untyped]

    with pa.ipc.open_stream(piece.content) as stream:
        table = stream.read_all()
    return table.drop_columns(_hiding(table.schema.names))


def _opened(path: Path) -> LocalFile:
    import pyarrow.parquet as pq  # type: ignore[import-untyped]

    with pq.ParquetFile(path) as file:
        metadata, schema = file.metadata, file.schema_arrow
        place = schema.get_field_index("_id")
        groups = []
        first = 0
        for number in range(metadata.num_row_groups):
            group = metadata.row_group(number)
            found = group.column(place).statistics
            # Without statistics it may hold any id.
            known = found is not None and found.has_min_max
            groups.append((first, group.num_rows, found.min if known else "", found.max if known else "\U0010ffff"))
            first += group.num_rows
        types = {column.name: str(column.type) for column in schema}
        return LocalFile(path, metadata.num_rows, path.stat().st_size, types, tuple(groups))


def _taken(path: Path) -> LocalFile:
    """A file of the lake, without columns that hide where its rows are."""
    import pyarrow.parquet as pq

    file = _opened(path)
    if hiding := _hiding(file.types):
        return _write(pq.read_table(path, columns=[name for name in file.types if name not in hiding]), path)
    return file


def _hiding(names: Iterable[str]) -> list[str]:
    return [name for name in names if name.lower() in PLACES]


def _written(tables: Sequence[Any], places: Sequence[int], path: Path) -> LocalFile:
    import pyarrow as pa

    table = pa.concat_tables(tables)
    return _write(table if len(places) == table.num_rows else table.take(pa.array(places)), path)


def _write(table: Any, path: Path) -> LocalFile:
    import pyarrow.parquet as pq

    pq.write_table(table, path, compression="zstd", row_group_size=50_000)
    return _opened(path)


def _dropped(files: Sequence[LocalFile], ids: Sequence[str], before: dict[Path, Any]) -> dict[Path, Any]:
    """The positions of rows that do not count any more, with those of these ids, by file."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc  # type: ignore[import-untyped]
    import pyarrow.parquet as pq

    wanted, after = pa.array(ids, pa.string()), dict(before)
    for file in files:
        found = []
        groups = [
            (number, first)
            for number, (first, _, least, most) in enumerate(file.row_groups)
            if (place := bisect_left(ids, least)) < len(ids) and ids[place] <= most
        ]
        if not groups:
            continue
        with pq.ParquetFile(file.path) as opened:
            for number, first in groups:
                column = opened.read_row_group(number, columns=["_id"]).column("_id")
                hits = pc.indices_nonzero(pc.is_in(column, wanted))
                if len(hits):
                    found.append(hits.to_numpy().astype("int64") + first)
        if found:
            after[file.path] = np.unique(np.concatenate([after.get(file.path, np.empty(0, "int64")), *found]))
    return after


def _merged(files: Sequence[LocalFile], dropped: dict[Path, Any], path: Path) -> LocalFile | None:
    """One file of what counts of several; None when nothing does."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    tables = []
    for file in files:
        table = pq.read_table(file.path)
        if file.path in dropped:
            counts = np.ones(table.num_rows, bool)
            counts[dropped[file.path]] = False
            table = table.filter(pa.array(counts))
        tables.append(table)
    table = pa.concat_tables(tables)
    return _write(table, path) if table.num_rows else None


def _write_positions(numbered: Sequence[tuple[int, Any]], path: Path) -> None:
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    files = np.concatenate([np.full(len(rows), number, "int64") for number, rows in numbered])
    table = pa.table({"file": files, "position": np.concatenate([rows for _, rows in numbered])})
    pq.write_table(table, path, compression="zstd")


def _remove(folder: Path) -> None:
    import shutil

    shutil.rmtree(folder, ignore_errors=True)
