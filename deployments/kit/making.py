"""The jobs around files that are made of responses: one makes a file, others remove it when its time is over."""

import secrets
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Generic

from db.repositories.made_files import Made, MadeFileDirectory
from db.session import Database, UnitOfWork
from db.types import utc_now
from deployments.kit.errors import DeadlineExceeded, DomainError, Unavailable
from deployments.kit.made_files import MadeFiles
from deployments.kit.objects import ObjectStore
from deployments.kit.quotas import QuotaNotices, StorageQuotaReached
from eventing.jobs import Done, GiveUp, JobRun, Retry

AGAIN_S: Final = 10.0
_AT_ONCE: Final = 100


class Making(Generic[Made]):
    """What is the same in making any file. What a worker that died has written is found by nobody, and the next attempt
    begins anew."""

    def __init__(self, files: MadeFiles[Made], database: Database, objects: ObjectStore) -> None:
        self._files = files
        self._database = database
        self._objects = objects
        self._notices = QuotaNotices(database)

    async def run(self, job: JobRun, make: Callable[[JobRun, Made], Awaitable[None]]) -> Made:
        """The file when it is made. Raises GiveUp when it is not wanted or cannot be made, Retry when it cannot now."""
        row = await self._row(job)
        if row.finished_at is None:
            try:
                async with self._notices.telling(row.tenant_id):
                    await make(job, row)
            except (Unavailable, DeadlineExceeded) as error:
                raise Retry(error.detail, after_s=error.retry_after or AGAIN_S) from error
            except DomainError as error:
                raise GiveUp(error.detail) from error
            row = await self._row(job)
        return row

    def new_object(self, row: Made, extension: str) -> str:
        """The key of an attempt's own: a worker that lost its lease must not write into another one's file."""
        return f"{self._folder(row)}/{secrets.token_hex(8)}.{extension}"

    async def keep(self, row: Made, file: str, finish: Callable[[UnitOfWork], Awaitable[Made | None]]) -> None:
        """Complete the file by `finish`, and remove what earlier attempts left; or the file, when it is not wanted or
        there is no room for it."""
        try:
            async with self._database.write(row.tenant_id) as unit:
                made = await finish(unit)
        except StorageQuotaReached:
            await self._objects.delete(file)
            raise
        if made is None:
            await self._objects.delete(file)
            return
        async for stray, _ in self._objects.below(self._folder(row)):
            if stray != file:
                await self._objects.delete(stray)

    def _folder(self, row: Made) -> str:
        return self._files.folder(row.tenant_id, row.form_id, row.id)

    async def _row(self, job: JobRun) -> Made:
        async with self._database.read(job.tenant_id) as unit:
            row = await self._files.of(unit).find(job.payload[self._files.key])
        if row is None:
            raise GiveUp(f"The {self._files.name} is not wanted any more.")
        return row


class RemoveFile(Generic[Made]):
    """Removes what a file has left in the object store."""

    def __init__(self, files: MadeFiles[Made], objects: ObjectStore) -> None:
        self._files = files
        self._objects = objects

    async def run(self, job: JobRun) -> Done:
        """Remove everything below its folder; when it is gone already, that is fine."""
        folder = self._files.folder(job.tenant_id, job.payload["form_id"], job.payload[self._files.key])
        removed = 0
        while count := await self._objects.delete_some(folder):
            removed += count
            await job.progress(removed)
        return Done({"removed": removed})


class PruneFiles(Generic[Made]):
    """Once a day: forgets the files whose time is over."""

    def __init__(self, files: MadeFiles[Made], database: Database) -> None:
        self._files = files
        self._database = database

    async def run(self, job: JobRun) -> Done:
        """Forget everything that is due; run again it goes on."""
        removed = 0
        while expired := await self._expired():
            for tenant_id, file_id in expired:
                async with self._database.write(tenant_id) as unit:
                    row = await self._files.of(unit).find(file_id, for_update=True)
                    if row is not None and row.expires_at <= utc_now():
                        await self._files.forget(unit, row)
                        removed += 1
                await job.progress(removed)
        return Done({"removed": removed})

    async def _expired(self) -> Sequence[tuple[str, str]]:
        async with self._database.unscoped_read() as unit:
            directory = MadeFileDirectory(unit.session, self._files.row)
            return await directory.expired_in_any_tenant(utc_now(), _AT_ONCE)


class ForgetFiles(Generic[Made]):
    """Forgets the files of a form. One that is being made meanwhile finds that it is not wanted."""

    def __init__(self, files: MadeFiles[Made], database: Database, objects: ObjectStore) -> None:
        self._files = files
        self._database = database
        self._objects = objects

    async def run(self, job: JobRun) -> Done:
        """Forget those of the form that the payload names."""
        return Done({"removed": await self.of_form(job.tenant_id, job.payload["form_id"], job.progress)})

    async def of_form(self, tenant_id: str, form_id: str, progress: Callable[[int], Awaitable[None]]) -> int:
        """Forget them all, what they have in the object store first; how many."""
        removed = 0
        while rows := await self._some(tenant_id, form_id):
            for row in rows:
                while await self._objects.delete_some(self._files.folder(tenant_id, form_id, row.id)):
                    await progress(removed)
                async with self._database.write(tenant_id) as unit:
                    found = await self._files.of(unit).find(row.id, for_update=True)
                    if found is not None:
                        await self._files.forget(unit, found)
                        removed += 1
        return removed

    async def _some(self, tenant_id: str, form_id: str) -> Sequence[Made]:
        async with self._database.read(tenant_id) as unit:
            return await self._files.of(unit).of_form(form_id, _AT_ONCE)
