"""The lake: each form's complete responses as Parquet files by month, and a manifest that says which files count.

What a manifest names is never changed; a new manifest takes the place of the old one at once. See
docs/decisions/0022-lake.md.
"""

import asyncio
import hashlib
import secrets
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, Final

import orjson
import pyarrow.parquet as pq  # type: ignore[import-untyped]

from db.models.exports import LakeTable
from db.repositories.lake import LakeRepository, lacks
from db.session import Database
from db.types import utc_now
from deployments.exports.packing.parquet import ParquetFile
from deployments.exports.places import lake_folder
from deployments.kit.objects import ObjectStore
from deployments.kit.principal import Principal
from deployments.responses.contracts import METADATA, ChangedMonths, ExportChunk, ExportResponses, ResponsesApi
from eventing.jobs import JobRun, Retry

MANIFEST: Final = "manifest.json"

_FORMAT: Final = 1
_KEPT: Final = timedelta(days=1)


@dataclass(slots=True)
class _Next:
    """The manifest that is being made: the files of the months that are done, and what it will promise."""

    number: int
    change: int
    version: int
    personal: list[str]
    began_at: str
    columns: list[dict[str, Any]] = field(default_factory=list)
    done: dict[str, list[dict[str, Any]]] = field(default_factory=dict)


class Lake:
    """Writes the tables of forms."""

    def __init__(self, database: Database, objects: ObjectStore, responses: ResponsesApi) -> None:
        self._database = database
        self._objects = objects
        self._responses = responses

    async def renew(self, job: JobRun, form_id: str, *, without: Collection[str] = ()) -> dict[str, int]:
        """Bring a form's table up to date; nothing happens when it is. Taken up again it goes on after the month that
        was written last.

        Months that hold responses of the ids `without` are written anew in any case, and then no earlier file is kept.
        Raises FormNotFound, and Retry when somebody else was faster.
        """
        tenant_id = job.tenant_id
        reader = Principal.system(tenant_id, "lake")
        row = await self._row(tenant_id, form_id)
        changed = await self._responses.changed_months(reader, form_id, row.change)
        # What an earlier attempt has written may hold responses that are to go.
        following = (None if without else _pending(row)) or _begun(row, changed)
        months = set(changed.months) | (await self._holding(job, row, without) if without else set())
        if lacks(row.columns, METADATA):
            months |= {file["month"] for file in row.files}
        if months or following.change != row.change or not row.number:
            await self._write_months(job, row, following, months)
            await self._swap(row, following)
            row = await self._row(tenant_id, form_id)
        await self._objects.put(self._key(row, MANIFEST), await self._manifest(row))
        await self._sweep(job, row, keep=not without)
        return {"months": len(following.done), "rows": sum(file["rows"] for file in row.files), "number": row.number}

    async def _row(self, tenant_id: str, form_id: str) -> LakeTable:
        async with self._database.read(tenant_id) as unit:
            found = await LakeRepository(unit.session, tenant_id).find(form_id)
        return found or LakeTable(
            tenant_id=tenant_id,
            form_id=form_id,
            number=0,
            change=0,
            version=0,
            columns=[],
            files=[],
            updated_at=utc_now(),
        )

    # Months.

    async def _write_months(self, job: JobRun, row: LakeTable, following: _Next, months: Collection[str]) -> None:
        known = {file["month"] for file in row.files}
        left = sorted(set(months) - following.done.keys())
        while left:
            await job.progress(len(following.done), len(following.done) + len(left))
            month = left.pop(0)
            file, columns = await self._write_month(job, row, month, following.personal)
            following.done[month] = [] if file is None else [file]
            if columns:
                following.columns = columns
            if _kinds_differ(row.columns, following.columns):
                # A reader wants one type of a column in all files.
                left = sorted(known | set(left) - following.done.keys())
                left = [each for each in left if each not in following.done]
            await self._keep(row, following)

    async def _write_month(
        self, job: JobRun, row: LakeTable, month: str, personal: Collection[str]
    ) -> tuple[dict[str, Any] | None, list[dict[str, Any]]]:
        """The file of a month, None when it has no responses any more; and the columns."""
        # A name of its own for each attempt: what a manifest names is never written again.
        path = f"{month}/{month}-{secrets.token_hex(8)}.parquet"
        key = self._key(row, path)
        file, digest, size = ParquetFile(), hashlib.sha256(), 0
        async with self._objects.writer(key) as writer:
            async for chunk in self._chunks(row, month):
                content = await asyncio.to_thread(file.add, chunk.content)
                digest.update(content)
                size += len(content)
                await writer.write(content)
                await job.progress(job.done, job.total)
            content = await asyncio.to_thread(file.end)
            digest.update(content)
            size += len(content)
            await writer.write(content)
        columns = _columns(file.schema, personal)
        if not file.rows:
            await self._objects.delete(key)
            return None, columns
        least, greatest = file.range_of("_change")
        entry = {
            "path": path,
            "month": month,
            "rows": file.rows,
            "bytes": size,
            "sha256": digest.hexdigest(),
            "min_change": least,
            "max_change": greatest,
        }
        return entry, columns

    async def _chunks(self, row: LakeTable, month: str) -> AsyncIterator[ExportChunk]:
        first = date.fromisoformat(f"{month}-01")
        after = (first + timedelta(days=31)).replace(day=1)
        wanted = ExportResponses(
            filter={"submitted_at": {"gte": first.isoformat(), "lt": after.isoformat()}},
            status="complete",
            labels=False,
            lists=True,
            details=True,
        )
        reader, cursor = Principal.system(row.tenant_id, "lake"), None
        while True:
            chunk = await self._responses.export_chunk(reader, row.form_id, cursor, wanted, "arrow")
            yield chunk
            cursor = chunk.next_cursor
            if cursor is None:
                return

    async def _holding(self, job: JobRun, row: LakeTable, response_ids: Collection[str]) -> set[str]:
        """The months whose files hold any of these responses."""
        found = set()
        for file in row.files:
            await job.progress(job.done, job.total)
            async with self._objects.local_copy(self._key(row, file["path"])) as copy:
                ids = await asyncio.to_thread(pq.read_table, copy, columns=["_id"])
            if not set(response_ids).isdisjoint(ids.column("_id").to_pylist()):
                found.add(file["month"])
        return found

    # The manifest.

    async def _keep(self, row: LakeTable, following: _Next) -> None:
        """Remember what is done, for whoever takes the job up again."""
        async with self._database.write(row.tenant_id) as unit:
            tables = LakeRepository(unit.session, row.tenant_id)
            found = await tables.find(row.form_id, for_update=True)
            if found is None:
                found = LakeTable(**row.model_dump())
                tables.add(found)
            _require_same(found, row)
            found.pending = _document(following)

    async def _swap(self, row: LakeTable, following: _Next) -> None:
        files = [file for file in row.files if file["month"] not in following.done]
        files += [file for month in following.done.values() for file in month]
        async with self._database.write(row.tenant_id) as unit:
            tables = LakeRepository(unit.session, row.tenant_id)
            found = await tables.find(row.form_id, for_update=True)
            if found is None:
                found = LakeTable(**row.model_dump())
                tables.add(found)
            _require_same(found, row)
            found.number, found.change, found.version = row.number + 1, following.change, following.version
            found.columns = following.columns or row.columns
            found.files = sorted(files, key=lambda file: str(file["path"]))
            found.pending, found.updated_at = None, utc_now()

    async def _manifest(self, row: LakeTable) -> bytes:
        document = {
            "format": _FORMAT,
            "tenant_id": row.tenant_id,
            "form_id": row.form_id,
            "number": row.number,
            "made_at": row.updated_at,
            "change": row.change,
            "version": row.version,
            "rows": sum(file["rows"] for file in row.files),
            "columns": row.columns,
            "files": row.files,
        }
        content = orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z)
        await self._objects.put(self._key(row, f"manifests/{row.number:08d}.json"), content)
        return content

    async def _sweep(self, job: JobRun, row: LakeTable, *, keep: bool) -> None:
        """Remove what no manifest names any more, but not at once: somebody may read by the manifest before."""
        wanted = {self._key(row, file["path"]) for file in row.files}
        wanted |= {self._key(row, MANIFEST), self._key(row, f"manifests/{row.number:08d}.json")}
        now = utc_now()
        if keep and row.number > 1:
            before = self._key(row, f"manifests/{row.number - 1:08d}.json")
            wanted |= {before, *(self._key(row, path) for path in await self._named(before))}
        async for key, written_at in self._objects.aged(lake_folder(row.tenant_id, row.form_id)):
            if key not in wanted and (not keep or _is_old(key, written_at, now)):
                await self._objects.delete(key)
                await job.progress(job.done, job.total)

    async def _named(self, manifest: str) -> list[str]:
        content = b""
        try:
            async for piece in self._objects.read(manifest):
                content += piece
        except FileNotFoundError:
            return []
        return [file["path"] for file in orjson.loads(content)["files"]]

    @staticmethod
    def _key(row: LakeTable, path: str) -> str:
        return f"{lake_folder(row.tenant_id, row.form_id)}/{path}"


def _begun(row: LakeTable, changed: ChangedMonths) -> _Next:
    return _Next(row.number, changed.change, changed.version, changed.personal, utc_now().isoformat())


def _pending(row: LakeTable) -> _Next | None:
    # What was written before a column was known does not have it.
    if row.pending is None or lacks(row.pending["columns"], METADATA):
        return None
    return _Next(**row.pending)


def _document(following: _Next) -> dict[str, Any]:
    return {name: getattr(following, name) for name in _Next.__slots__}


def _require_same(found: LakeTable, row: LakeTable) -> None:
    """Raise Retry when the table is another one than it was when the work began."""
    if found.number != row.number:
        raise Retry("Somebody else has written the table meanwhile.", after_s=1.0)


def _is_old(key: str, written_at: datetime, now: datetime) -> bool:
    # What is younger may belong to an attempt under way.
    return now - written_at > _KEPT


def _columns(schema: Any, personal: Collection[str]) -> list[dict[str, Any]]:
    found = []
    for column in schema:
        metadata: Mapping[bytes, bytes] = column.metadata or {}
        name = metadata.get(b"field", b"").decode()
        found.append(
            {
                "name": column.name,
                "type": str(column.type),
                "title": metadata.get(b"title", b"").decode(),
                "field": name or None,
                "personal": name in personal,
            }
        )
    return found


def _kinds_differ(old: Sequence[Mapping[str, Any]], new: Sequence[Mapping[str, Any]]) -> bool:
    before = {column["name"]: column["type"] for column in old}
    return any(before.get(column["name"], column["type"]) != column["type"] for column in new)
