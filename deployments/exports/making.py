"""The jobs of exports: one makes a file, one removes it, and one a day finds those whose time is over."""

import hashlib
import secrets
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Final, cast

from db.models.exports import ResponseExport
from db.repositories.response_exports import ResponseExportDirectory, ResponseExportRepository
from db.session import Database
from db.types import utc_now
from deployments.exports import service
from deployments.exports.contracts import ExportFormat
from deployments.exports.errors import StorageQuotaReached
from deployments.exports.packing import FORMATS, packed
from deployments.exports.places import export_folder
from deployments.jobs.contracts import DAILY, Schedulable
from deployments.kit.errors import DeadlineExceeded, DomainError, Unavailable
from deployments.kit.objects import ObjectStore
from deployments.kit.quotas import QuotaNotices
from deployments.responses.contracts import ExportChunk, ExportResponses, ResponsesApi
from eventing.jobs import LOWEST, Done, GiveUp, JobKind, JobRun, Retry

PRUNE: Final = "exports.prune"
SCHEDULABLE: Final = Schedulable(
    PRUNE, "Forget exports whose time is over.", "platform:admin", priority=LOWEST, standing=DAILY
)

_ACTOR: Final = "system:exports"
_AT_ONCE: Final = 100
_AGAIN_S: Final = 10.0


class MakeExport:
    """Makes one file. What a worker that died has written is found by nobody, and the next attempt begins anew."""

    def __init__(self, database: Database, objects: ObjectStore, responses: ResponsesApi, life: timedelta) -> None:
        self._database = database
        self._objects = objects
        self._responses = responses
        self._life = life
        self._notices = QuotaNotices(database)

    async def run(self, job: JobRun) -> Done:
        """Write the file. Raises GiveUp when it is not wanted or cannot be made, Retry when it cannot now."""
        row = await self._row(job)
        if row.finished_at is None:
            try:
                async with self._notices.telling(row.tenant_id):
                    await self._make(job, row)
            except (Unavailable, DeadlineExceeded) as error:
                raise Retry(error.detail, after_s=error.retry_after or _AGAIN_S) from error
            except DomainError as error:
                raise GiveUp(error.detail) from error
            row = await self._row(job)
        return Done(service.result_of(row))

    async def _row(self, job: JobRun) -> ResponseExport:
        async with self._database.read(job.tenant_id) as unit:
            row = await ResponseExportRepository(unit.session, unit.tenant).find(job.payload["export_id"])
        if row is None:
            raise GiveUp("The export is not wanted any more.")
        return row

    async def _make(self, job: JobRun, row: ResponseExport) -> None:
        form = cast(ExportFormat, row.format)
        # A name of its own for each attempt: a worker that lost its lease must not write into another one's file.
        folder = export_folder(row.tenant_id, row.form_id, row.id)
        file = f"{folder}/{secrets.token_hex(8)}.{form}"
        wanted = ExportResponses.model_validate(row.wanted)
        state = await self._responses.export_state(service.reader_of(row), row.form_id, wanted, count=True)
        rows = _Counted(job, state.rows)
        async with self._database.read(row.tenant_id) as unit:
            room = await service.room(unit)
        digest, size = hashlib.sha256(), 0
        async with self._objects.writer(file) as writer:
            async for piece in packed(form, rows.of(self._chunks(row, wanted, form))):
                digest.update(piece)
                size += len(piece)
                if room is not None and size > room:
                    raise StorageQuotaReached("The tenant's files take as much room as they may.")
                await writer.write(piece)
        try:
            async with self._database.write(row.tenant_id) as unit:
                is_wanted = await service.finish(
                    unit, row.id, file, sha256=digest.hexdigest(), rows=rows.rows, size=size, life=self._life
                )
        except StorageQuotaReached:
            await self._objects.delete(file)
            raise
        if not is_wanted:
            await self._objects.delete(file)
            return
        async for stray, _ in self._objects.below(folder):
            if stray != file:
                await self._objects.delete(stray)

    async def _chunks(
        self, row: ResponseExport, wanted: ExportResponses, form: ExportFormat
    ) -> AsyncIterator[ExportChunk]:
        reader, cursor = service.reader_of(row), None
        while True:
            chunk = await self._responses.export_chunk(reader, row.form_id, cursor, wanted, FORMATS[form].rows)
            yield chunk
            cursor = chunk.next_cursor
            if cursor is None:
                return


class _Counted:
    """Tells the job how many rows were read."""

    def __init__(self, job: JobRun, total: int | None) -> None:
        self._job = job
        self._total = total
        self.rows = 0

    async def of(self, chunks: AsyncIterator[ExportChunk]) -> AsyncIterator[ExportChunk]:
        await self._job.progress(0, self._total)
        async for chunk in chunks:
            self.rows += chunk.rows
            # Responses may come in while the others are read.
            await self._job.progress(self.rows, None if self._total is None else max(self._total, self.rows))
            yield chunk


class RemoveExport:
    """Removes what an export has left in the object store."""

    def __init__(self, objects: ObjectStore) -> None:
        self._objects = objects

    async def run(self, job: JobRun) -> Done:
        """Remove everything below its folder; when it is gone already, that is fine."""
        folder = export_folder(job.tenant_id, job.payload["form_id"], job.payload["export_id"])
        removed = 0
        while count := await self._objects.delete_some(folder):
            removed += count
            await job.progress(removed)
        return Done({"removed": removed})


class PruneExports:
    """Once a day: forgets the exports whose time is over."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def run(self, job: JobRun) -> Done:
        """Forget everything that is due; run again it goes on."""
        removed = 0
        while expired := await self._expired():
            for tenant_id, export_id in expired:
                async with self._database.write(tenant_id) as unit:
                    row = await ResponseExportRepository(unit.session, tenant_id).find(export_id, for_update=True)
                    if row is not None and row.expires_at <= utc_now():
                        await service.forget(unit, row)
                        removed += 1
                await job.progress(removed)
        return Done({"removed": removed})

    async def _expired(self) -> list[tuple[str, str]]:
        async with self._database.unscoped_read() as unit:
            return list(await ResponseExportDirectory(unit.session).expired_in_any_tenant(utc_now(), _AT_ONCE))


def job_kinds(
    database: Database, objects: ObjectStore, responses: ResponsesApi, life: timedelta
) -> tuple[JobKind, ...]:
    """The jobs of exports."""
    make = MakeExport(database, objects, responses, life)
    return (
        JobKind(service.MAKE, service.QUEUE, make.run, max_attempts=5, soft_limit_s=3_300.0, hard_limit_s=3_600.0),
        JobKind(service.REMOVE, "default", RemoveExport(objects).run, max_attempts=20),
        JobKind(PRUNE, "default", PruneExports(database).run, max_attempts=20),
    )
