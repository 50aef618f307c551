"""The jobs of exports: one makes a file, one removes it, and one a day finds those whose time is over."""

import hashlib
from collections.abc import AsyncIterator
from datetime import timedelta
from functools import partial
from typing import Final, cast

from db.models.exports import ResponseExport
from db.session import Database
from deployments.exports import service
from deployments.exports.contracts import ExportFormat
from deployments.exports.packing import FORMATS, packed
from deployments.jobs.contracts import DAILY, Schedulable
from deployments.kit.made_files import QUEUE
from deployments.kit.making import Making, PruneFiles, RemoveFile
from deployments.kit.objects import ObjectStore
from deployments.kit.quotas import StorageQuotaReached
from deployments.responses.contracts import ExportChunk, ExportResponses, ResponsesApi
from eventing.jobs import LOWEST, Done, JobKind, JobRun

PRUNE: Final = "exports.prune"
SCHEDULABLE: Final = Schedulable(
    PRUNE, "Forget exports whose time is over.", "platform:admin", priority=LOWEST, standing=DAILY
)
PruneExports: Final = partial(PruneFiles, service.FILES)
RemoveExport: Final = partial(RemoveFile, service.FILES)


class MakeExport:
    """Makes one file."""

    def __init__(self, database: Database, objects: ObjectStore, responses: ResponsesApi, life: timedelta) -> None:
        self._database = database
        self._objects = objects
        self._responses = responses
        self._life = life
        self._making = Making(service.FILES, database, objects)

    async def run(self, job: JobRun) -> Done:
        """Write the file. Raises GiveUp when it is not wanted or cannot be made, Retry when it cannot now."""
        row = await self._making.run(job, self._make)
        return Done(service.FILES.result(row, rows=row.rows))

    async def _make(self, job: JobRun, row: ResponseExport) -> None:
        form = cast(ExportFormat, row.format)
        file = self._making.new_object(row, form)
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
        sha256 = digest.hexdigest()
        finish = partial(
            service.finish, export_id=row.id, file=file, sha256=sha256, rows=rows.rows, size=size, life=self._life
        )
        await self._making.keep(row, file, finish)

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


def job_kinds(
    database: Database, objects: ObjectStore, responses: ResponsesApi, life: timedelta
) -> tuple[JobKind, ...]:
    """The jobs of exports."""
    make = MakeExport(database, objects, responses, life)
    return (
        JobKind(service.FILES.name, QUEUE, make.run, max_attempts=5, soft_limit_s=3_300.0, hard_limit_s=3_600.0),
        JobKind(service.FILES.remove, "default", RemoveExport(objects).run, max_attempts=20),
        JobKind(PRUNE, "default", PruneExports(database).run, max_attempts=20),
    )
