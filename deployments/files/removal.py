"""Files that nobody needs any more: removed with their response, and looked for once a day."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

import structlog

from db.repositories.files import FileDirectory, FileRepository
from db.repositories.storage import StorageRepository
from db.repositories.tenants import TenantDirectory
from db.session import Database, UnitOfWork
from db.types import utc_now
from deployments.files.places import FILES, PARTS, final_object, parts_folder
from deployments.jobs.contracts import DAILY, Schedulable
from deployments.kit.objects import ObjectStore, object_key
from eventing.jobs import LOWEST, Done, JobKind, JobRun, JobSpec, enqueue

SWEEP: Final = "files.sweep"
REMOVE: Final = "files.remove"
QUEUE: Final = "batch"
SCHEDULABLE: Final = Schedulable(
    SWEEP, "Remove files that nobody needs any more.", "platform:admin", QUEUE, priority=LOWEST, standing=DAILY
)

_ACTOR: Final = "system:files"
_AT_ONCE: Final = 200
# What is younger may be under way: its row is written before its bytes, and removed before them.
_SETTLED: Final = timedelta(hours=24)

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Swept:
    """What a sweep found: files that were removed, objects without a row that were removed, rows without an object."""

    files: int = 0
    objects: int = 0
    missing: list[str] = field(default_factory=list)


class Remover:
    """Removes files with their bytes. The row goes first: what is left when a process dies is found by the sweep."""

    def __init__(self, database: Database, objects: ObjectStore) -> None:
        self._database = database
        self._objects = objects

    async def remove(self, tenant_id: str, file_id: str, *, wanted: bool = False) -> bool:
        """Remove a file unless somebody wants it, with `wanted` in any case; whether it was there to be removed."""
        async with self._database.write(tenant_id) as unit:
            repository = FileRepository(unit.session, tenant_id)
            row = await repository.find(file_id, for_update=True)
            if row is None or (not wanted and await repository.is_wanted(row, utc_now())):
                return False
            await repository.delete(row)
            await StorageRepository(unit.session, tenant_id).remove(final_object(tenant_id, file_id))
        await self.remove_objects(tenant_id, file_id)
        return True

    async def remove_objects(self, tenant_id: str, file_id: str) -> None:
        """Remove the bytes of a file, complete or in pieces."""
        await self._objects.delete(final_object(tenant_id, file_id))
        while await self._objects.delete_some(parts_folder(tenant_id, file_id)):
            pass


class RemoveFiles:
    """The job that removes the files of responses that are gone for good."""

    def __init__(self, remover: Remover) -> None:
        self._remover = remover

    async def run(self, job: JobRun) -> Done:
        """Remove them; those that are gone already are no error."""
        removed = 0
        for file_id in job.payload["files"]:
            removed += await self._remover.remove(job.tenant_id, file_id, wanted=True)
            await job.progress(removed)
        return Done({"removed": removed})


class Sweep:
    """Once a day: files without a response whose time is over, files whose response is gone, and objects and rows that
    have lost each other."""

    def __init__(self, database: Database, objects: ObjectStore, *, settled: timedelta = _SETTLED) -> None:
        self._database = database
        self._objects = objects
        self._remover = Remover(database, objects)
        self._settled = settled

    async def run(self, job: JobRun) -> Done:
        """Go through all tenants."""
        swept = Swept()
        await self._expired(job, swept)
        await self._left_behind(job, swept)
        after: str | None = None
        while tenants := await self._tenants(after):
            for after in tenants:
                await self._strays(job, after, swept)
        if swept.missing:
            _log.error("files have lost their bytes", count=len(swept.missing), files=swept.missing[:20])
        return Done({"files": swept.files, "objects": swept.objects, "missing": swept.missing[:100]})

    async def _expired(self, job: JobRun, swept: Swept) -> None:
        while True:
            async with self._database.unscoped_read() as unit:
                found = await FileDirectory(unit.session).expired_in_any_tenant(utc_now(), _AT_ONCE)
            for tenant_id, file_id in found:
                swept.files += await self._remover.remove(tenant_id, file_id)
            await job.progress(swept.files)
            if len(found) < _AT_ONCE:
                return

    async def _left_behind(self, job: JobRun, swept: Swept) -> None:
        after = ("", "")
        while True:
            async with self._database.unscoped_read() as unit:
                found = await FileDirectory(unit.session).left_behind_in_any_tenant(after, _AT_ONCE)
            for tenant_id, file_id in found:
                swept.files += await self._remover.remove(tenant_id, file_id)
            await job.progress(swept.files)
            if len(found) < _AT_ONCE:
                return
            after = found[-1]

    async def _tenants(self, after: str | None) -> list[str]:
        async with self._database.unscoped_read() as unit:
            found = await TenantDirectory(unit.session).page_over_all_tenants(after, _AT_ONCE)
        return [tenant.id for tenant in found]

    async def _strays(self, job: JobRun, tenant_id: str, swept: Swept) -> None:
        """Both ways: bytes that no row knows, and rows whose bytes are gone."""
        before = utc_now() - self._settled
        there: set[str] = set()
        unknown: set[str] = set()
        for folder in (FILES, PARTS):
            batch: set[str] = set()
            async for key, written in self._objects.aged(object_key(tenant_id, folder)):
                file_id = key.split("/")[2]
                if folder == FILES:
                    there.add(file_id)
                if written < before:
                    batch.add(file_id)
                if len(batch) >= _AT_ONCE:
                    unknown |= await self._unknown(tenant_id, batch)
                    batch = set()
                    await job.progress(swept.files)
            unknown |= await self._unknown(tenant_id, batch)
        for file_id in sorted(unknown):
            await self._remover.remove_objects(tenant_id, file_id)
        swept.objects += len(unknown)
        await self._missing(job, tenant_id, there, swept)

    async def _unknown(self, tenant_id: str, file_ids: set[str]) -> set[str]:
        if not file_ids:
            return set()
        async with self._database.read(tenant_id) as unit:
            return file_ids - await FileRepository(unit.session, tenant_id).known(sorted(file_ids))

    async def _missing(self, job: JobRun, tenant_id: str, there: set[str], swept: Swept) -> None:
        after = ""
        while True:
            async with self._database.read(tenant_id) as unit:
                stored = await FileRepository(unit.session, tenant_id).stored_after(after, _AT_ONCE)
            for file_id in stored:
                if file_id not in there and not await self._objects.exists(final_object(tenant_id, file_id)):
                    swept.missing.append(file_id)
            await job.progress(swept.files)
            if len(stored) < _AT_ONCE:
                return
            after = stored[-1]


async def order_removal(unit: UnitOfWork, file_ids: Sequence[str]) -> None:
    """Order the removal of these files of the unit's tenant, whoever wants them."""
    for start in range(0, len(file_ids), _AT_ONCE):
        await enqueue(unit, JobSpec(REMOVE, {"files": list(file_ids[start : start + _AT_ONCE])}, _ACTOR))


def job_kinds(database: Database, objects: ObjectStore) -> tuple[JobKind, ...]:
    """The jobs of this context."""
    return (
        JobKind(REMOVE, "default", RemoveFiles(Remover(database, objects)).run, max_attempts=20),
        JobKind(
            SWEEP,
            QUEUE,
            Sweep(database, objects).run,
            max_attempts=5,
            soft_limit_s=3_300.0,
            hard_limit_s=3_600.0,
        ),
    )
