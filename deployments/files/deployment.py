"""The door of files: opens the unit of work, calls the rules, returns contracts."""

from db.session import Database
from deployments.files.contracts import (
    AppendPart,
    BeginUpload,
    CreateLink,
    FileInfo,
    FileLink,
    Upload,
)
from deployments.files.errors import FileRefused, UploadNotFound
from deployments.files.examination import Examination
from deployments.files.places import final_object, parts_folder
from deployments.files.service import reading, uploads
from deployments.files.settings import FilesSettings
from deployments.files.signing import Signatures
from deployments.kit.contract import Page
from deployments.kit.downloads import OpenedFile
from deployments.kit.errors import DomainError
from deployments.kit.objects import ObjectStore
from deployments.kit.principal import Principal
from deployments.kit.quotas import QuotaNotices, StorageQuotaReached


class Files:
    """Files of answers: taking, finding, handing out; satisfies `FilesApi`."""

    def __init__(self, database: Database, objects: ObjectStore, settings: FilesSettings) -> None:
        self._database = database
        self._objects = objects
        self._settings = settings
        self._signatures = Signatures(settings.signing_key)
        self._examination = Examination(objects, settings)
        self._quotas = QuotaNotices(database)

    async def begin_upload(self, principal: Principal, command: BeginUpload) -> Upload:
        tenant_id = principal.tenant_id
        async with self._quotas.telling(tenant_id), self._database.write(tenant_id) as unit:
            return await uploads.begin(unit, principal, command, self._settings, self._signatures)

    async def find_upload(self, principal: Principal, upload_id: str) -> Upload:
        async with self._database.read(principal.tenant_id) as unit:
            found = await uploads.find(unit, principal, upload_id, self._signatures)
        if found.file is None and found.offset == found.size:
            # All bytes came, and whoever was to look into them was interrupted.
            return await self._finish(principal, found)
        return found

    async def append_part(self, principal: Principal, upload_id: str, part: AppendPart) -> Upload:
        """Take over a piece; with the last one the file is looked into, and kept or refused."""
        try:
            async with self._database.write(principal.tenant_id) as unit:
                state = await uploads.append(unit, principal, upload_id, part, self._signatures)
        except DomainError:
            if part.object.startswith(f"{principal.tenant_id}/"):
                await self._objects.delete(part.object)
            raise
        return await self._finish(principal, state) if state.offset == state.size else state

    async def cancel_upload(self, principal: Principal, upload_id: str, short_of_quota: bool) -> None:
        tenant_id = principal.tenant_id
        async with self._database.write(tenant_id) as unit:
            file_id = await uploads.cancel(unit, principal, upload_id, self._signatures)
        await self._remove_objects(tenant_id, file_id)
        if short_of_quota:
            await self._quotas.tell(tenant_id, StorageQuotaReached.quota)

    async def list_files(
        self, principal: Principal, response_id: str, cursor: str | None, limit: int
    ) -> Page[FileInfo]:
        async with self._database.read(principal.tenant_id) as unit:
            return await reading.list_of_response(unit, principal, response_id, cursor, limit)

    async def get_file(self, principal: Principal, file_id: str) -> FileInfo:
        async with self._database.read(principal.tenant_id) as unit:
            return await reading.get(unit, principal, file_id)

    async def open_file(self, principal: Principal, file_id: str) -> OpenedFile:
        async with self._database.write(principal.tenant_id) as unit:
            return await reading.opened(unit, principal, file_id)

    async def create_link(self, principal: Principal, file_id: str, command: CreateLink) -> FileLink:
        async with self._database.write(principal.tenant_id) as unit:
            return await reading.link(unit, principal, file_id, command, self._settings, self._signatures)

    async def open_link(self, principal: Principal, link: str) -> OpenedFile:
        async with self._database.write(principal.tenant_id) as unit:
            return await reading.opened_by_link(unit, principal, link, self._signatures)

    async def _finish(self, principal: Principal, upload: Upload) -> Upload:
        tenant_id = principal.tenant_id
        async with self._database.read(tenant_id) as unit:
            arrived = await uploads.arrived(unit, upload.id)
        try:
            if arrived is None:
                return await self._outcome(principal, upload)
            found = await self._examination.keep(tenant_id, arrived)
            async with self._quotas.telling(tenant_id), self._database.write(tenant_id) as unit:
                kept = await uploads.keep(unit, principal, upload.id, found, self._settings, self._signatures)
        except FileNotFoundError:
            # Somebody else looked into it at the same time, and is done.
            return await self._outcome(principal, upload)
        except (FileRefused, StorageQuotaReached) as error:
            async with self._database.write(tenant_id) as unit:
                await uploads.refuse(unit, principal, upload.id, error.code)
            await self._remove_objects(tenant_id, upload.id)
            raise
        except UploadNotFound:
            await self._remove_objects(tenant_id, upload.id)
            raise
        await self._remove_parts(tenant_id, upload.id)
        return kept

    async def _outcome(self, principal: Principal, upload: Upload) -> Upload:
        async with self._database.read(principal.tenant_id) as unit:
            found = await uploads.find(unit, principal, upload.upload_id, self._signatures)
        if found.file is None:
            raise UploadNotFound
        return found

    async def _remove_objects(self, tenant_id: str, file_id: str) -> None:
        await self._objects.delete(final_object(tenant_id, file_id))
        await self._remove_parts(tenant_id, file_id)

    async def _remove_parts(self, tenant_id: str, file_id: str) -> None:
        while await self._objects.delete_some(parts_folder(tenant_id, file_id)):
            pass
