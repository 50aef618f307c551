"""The job that writes everything a tenant has into one ZIP file, in pieces that survive the worker."""

import asyncio
import base64
import hashlib
import importlib.metadata
import secrets
import tempfile
import zipfile
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from decimal import Decimal
from itertools import groupby
from operator import attrgetter
from typing import IO, Any, Final, cast

import orjson

from db.models.tenancy import TenantExport, TenantExportPart
from db.repositories.tenant_data import TenantDataRepository, tables_to_export
from db.repositories.tenant_exports import TenantExportRepository
from db.session import Database, UnitOfWork
from db.types import utc_now
from deployments.jobs.contracts import Schedulable
from deployments.kit.features import is_enabled, settings_of
from deployments.kit.objects import DERIVED, EXPORTS, ObjectStore, object_key
from deployments.kit.principal import Principal
from deployments.tenancy.inventory import exported_columns, left_out, presentable
from deployments.tenancy.service import exports
from deployments.tenancy.service.access import OWN
from eventing.jobs import Done, GiveUp, JobKind, JobRun, Retry

FOLDER: Final = EXPORTS
FORMAT: Final = 1
ORDER: Final = "tenant.order_export"
SCHEDULABLE: Final = Schedulable(ORDER, "Export everything that the tenant has.", OWN, queue=exports.QUEUE)

_ROWS: Final = 200
_PIECE_BYTES: Final = 1 << 20


class ExportTenant:
    """Makes one export. Run again after its worker died, it goes on after the last part that was finished.

    It is not a snapshot of one moment: rows that come or change while it runs may be in it or not.
    """

    def __init__(self, database: Database, objects: ObjectStore, *, part_bytes: int = 32 << 20) -> None:
        self._database = database
        self._objects = objects
        self._part_bytes = part_bytes

    async def run(self, job: JobRun) -> Done:
        """Write the parts, put them together, take the parts away. Raises GiveUp when the order is gone."""
        tenant_id, export_id = job.payload["tenant_id"], job.payload["export_id"]
        await self._require_wanted(tenant_id, export_id)
        if (await self._export(tenant_id, export_id)).finished_at is None:
            tables = tables_to_export()
            finished = await self._parts(tenant_id, export_id)
            rows = 0
            for number, table in enumerate(tables):
                await job.progress(number, len(tables) + 1)
                rows += await self._write_parts(
                    job, tenant_id, export_id, table, finished.get(table, []), number, len(tables) + 1
                )
            await job.progress(len(tables), len(tables) + 1)
            await self._put_together(job, tenant_id, export_id, rows)
        await self._remove_parts(tenant_id, export_id)
        made = await self._export(tenant_id, export_id)
        return Done(
            {
                "download_url": f"/api/v1/tenants/{tenant_id}/exports/{export_id}/download",
                "expires_at": made.expires_at.isoformat() if made.expires_at else None,
                "rows": made.rows,
                "bytes": made.bytes,
            }
        )

    async def _export(self, tenant_id: str, export_id: str) -> TenantExport:
        async with self._database.read(tenant_id) as unit:
            row = await TenantExportRepository(unit.session, tenant_id).find(export_id)
        if row is None:
            raise Retry("The export went away.")
        return row

    async def _require_wanted(self, tenant_id: str, export_id: str) -> None:
        async with self._database.read(tenant_id) as unit:
            is_wanted = await TenantExportRepository(unit.session, tenant_id).find(export_id) is not None
        if not is_wanted:
            # The tenant was erased while an earlier attempt was writing.
            while await self._objects.delete_some(object_key(tenant_id, FOLDER, export_id)):
                pass
            raise GiveUp("The export is not wanted any more.")

    # One table after the other, each in parts.

    async def _write_parts(
        self,
        job: JobRun,
        tenant_id: str,
        export_id: str,
        table: str,
        finished: Sequence[TenantExportPart],
        step: int,
        steps: int,
    ) -> int:
        rows = sum(part.rows for part in finished)
        after = finished[-1].last_key if finished and finished[-1].last_key else None
        is_last = bool(finished) and finished[-1].is_last
        number = len(finished)
        while not is_last:
            part = await self._write_part(job, tenant_id, export_id, table, number, after, step, steps)
            # Only now: what an unfinished part wrote is found by nobody, and removed with the rest.
            async with self._database.write(tenant_id) as unit:
                TenantExportRepository(unit.session, tenant_id).add(part)
            rows, number = rows + part.rows, number + 1
            after, is_last = part.last_key or after, part.is_last
        return rows

    async def _write_part(
        self,
        job: JobRun,
        tenant_id: str,
        export_id: str,
        table: str,
        number: int,
        after: Sequence[Any] | None,
        step: int,
        steps: int,
    ) -> TenantExportPart:
        # A name of its own for each attempt: a worker that lost its lease must not write into another one's part.
        file = object_key(tenant_id, FOLDER, export_id, "parts", f"{table}-{number}-{secrets.token_hex(8)}")
        columns = exported_columns(table, tables_to_export()[table])
        written = rows = 0
        last, is_last = after, False
        async with self._objects.writer(file) as writer:
            while written < self._part_bytes and not is_last:
                async with self._database.read(tenant_id) as unit:
                    page, key = await TenantDataRepository(unit.session, tenant_id).page(table, columns, last, _ROWS)
                content = b"".join(line_of(presentable(table, row)) for row in page)
                await writer.write(content)
                written, rows = written + len(content), rows + len(page)
                last, is_last = key or last, len(page) < _ROWS
                await job.progress(step, steps)
        return TenantExportPart(
            tenant_id=tenant_id,
            export_id=export_id,
            source=table,
            number=number,
            file=file,
            rows=rows,
            last_key=list(last or ()),
            is_last=is_last,
        )

    async def _parts(self, tenant_id: str, export_id: str) -> Mapping[str, Sequence[TenantExportPart]]:
        """The finished parts of each table, in their order."""
        async with self._database.read(tenant_id) as unit:
            parts = await TenantExportRepository(unit.session, tenant_id).parts(export_id)
        return {table: list(mine) for table, mine in groupby(parts, attrgetter("source"))}

    # The file.

    async def _put_together(self, job: JobRun, tenant_id: str, export_id: str, rows: int) -> None:
        parts = await self._parts(tenant_id, export_id)
        tables = tables_to_export()
        with tempfile.TemporaryFile() as file:
            bundle = _Bundle(cast(IO[bytes], file))
            for table in tables:
                mine = parts.get(table, [])
                await bundle.add(
                    f"tables/{table}.jsonl", self._content(job, mine), rows=sum(part.rows for part in mine)
                )
            async for key, _ in self._objects.below(tenant_id):
                name = key.removeprefix(f"{tenant_id}/")
                if name.partition("/")[0] not in DERIVED:
                    await bundle.add(f"files/{name}", self._objects.read(key))
            # Alembic is loaded by whoever makes an export, not by every worker.
            from db.migrate import head_revision

            manifest = {
                "format": FORMAT,
                "tenant_id": tenant_id,
                "export_id": export_id,
                "made_at": utc_now(),
                "platform_version": _version(),
                "schema_revision": head_revision(),
                "left_out": left_out(tables),
                "files": bundle.files,
            }
            await bundle.close(orjson.dumps(manifest, option=orjson.OPT_INDENT_2))
            await self._publish(job, tenant_id, export_id, cast(IO[bytes], file), rows)

    async def _content(self, job: JobRun, parts: Iterable[TenantExportPart]) -> AsyncIterator[bytes]:
        for part in parts:
            async for piece in self._objects.read(part.file):
                await job.progress(job.done, job.total)
                yield piece

    async def _publish(self, job: JobRun, tenant_id: str, export_id: str, content: IO[bytes], rows: int) -> None:
        file = object_key(tenant_id, FOLDER, export_id, f"{tenant_id}-{export_id}.zip")
        size = 0
        content.seek(0)
        async with self._objects.writer(file) as writer:
            while piece := await asyncio.to_thread(content.read, _PIECE_BYTES):
                await writer.write(piece)
                size += len(piece)
                await job.progress(job.done, job.total)
        async with self._database.write(tenant_id) as unit:
            await exports.finish(unit, export_id, file, rows, size)

    async def _remove_parts(self, tenant_id: str, export_id: str) -> None:
        while await self._objects.delete_some(object_key(tenant_id, FOLDER, export_id, "parts")):
            pass


class OrderExport:
    """Orders an export by the clock, as if the tenant's owner did."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def run(self, job: JobRun) -> Done:
        """Order it, once. Raises GiveUp where the tenant may not have exports."""
        async with self._database.read(job.tenant_id) as unit:
            if not is_enabled(await settings_of(unit), "exports"):
                raise GiveUp("Exports are switched off for the tenant.")
        owner = Principal(job.tenant_id, job.created_by, "system", scopes=frozenset({OWN}))

        async def effect(unit: UnitOfWork) -> None:
            await exports.start(unit, owner, job.tenant_id)

        return Done(effect=effect)


class ExpireExport:
    """Removes an export whose time is over."""

    def __init__(self, objects: ObjectStore) -> None:
        self._objects = objects

    async def run(self, job: JobRun) -> Done:
        """Remove the file and forget the export; when it is gone already, that is fine."""
        export_id = job.payload["export_id"]
        while await self._objects.delete_some(object_key(job.tenant_id, FOLDER, export_id)):
            await job.progress(0)

        async def effect(unit: UnitOfWork) -> None:
            repository = TenantExportRepository(unit.session, unit.tenant)
            if (row := await repository.find_locked(export_id)) is not None:
                await repository.delete(row)

        return Done(effect=effect)


class _Bundle:
    """A ZIP file that is written once, and the list of what is in it."""

    def __init__(self, file: IO[bytes]) -> None:
        self._zip = zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED)
        self.files: list[dict[str, Any]] = []

    async def add(self, name: str, content: AsyncIterator[bytes], **details: int) -> None:
        """Add a file, piece by piece; packing is done beside the event loop."""
        digest = hashlib.sha256()
        size = 0
        with self._zip.open(name, "w", force_zip64=True) as member:
            async for piece in content:
                digest.update(piece)
                size += len(piece)
                await asyncio.to_thread(member.write, piece)
        self.files.append({"name": name, **details, "bytes": size, "sha256": digest.hexdigest()})

    async def close(self, manifest: bytes) -> None:
        """Add the manifest and end the file."""
        self._zip.writestr("manifest.json", manifest)
        await asyncio.to_thread(self._zip.close)


def line_of(row: dict[str, Any]) -> bytes:
    """A row as a line of JSON: times as in RFC 3339, bytes in base64, exact numbers as text."""
    return orjson.dumps(row, default=_plain, option=orjson.OPT_APPEND_NEWLINE)


def _plain(value: Any) -> str:
    if isinstance(value, bytes | memoryview):
        return base64.b64encode(value).decode()
    if isinstance(value, Decimal):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no place in an export")


def _version() -> str:
    try:
        return importlib.metadata.version("formstream")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


def job_kinds(database: Database, objects: ObjectStore) -> tuple[JobKind, ...]:
    """The jobs of exports."""
    export, expire = ExportTenant(database, objects), ExpireExport(objects)
    return (
        JobKind(exports.EXPORT, exports.QUEUE, export.run, max_attempts=10, soft_limit_s=3_300.0, hard_limit_s=3_600.0),
        JobKind(ORDER, exports.QUEUE, OrderExport(database).run),
        JobKind(exports.EXPIRE, exports.QUEUE, expire.run, max_attempts=20),
    )
