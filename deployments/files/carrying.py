"""Files of another backend: looked into as those are that visitors send, and given to the response that had them."""

import hashlib
from collections.abc import AsyncIterator, Collection
from datetime import timedelta

from db.models.files import File
from db.repositories.files import FileRepository
from db.repositories.storage import StorageRepository
from db.session import UnitOfWork
from db.types import utc_now
from deployments.files.contracts import CarriedFile
from deployments.files.errors import FileTooLarge
from deployments.files.examination import Examination
from deployments.files.names import kept_name
from deployments.files.places import final_object, parts_folder
from deployments.files.service.uploads import Arrived
from deployments.files.settings import FilesSettings
from deployments.kit.carrying import Carried, checksum
from deployments.kit.errors import DomainError
from deployments.kit.file_fields import FileField
from deployments.kit.objects import ObjectStore, object_key
from deployments.kit.principal import Principal
from deployments.kit.quotas import QuotaReached, StorageQuotaReached, require_room
from eventing.events.files import FileUploaded
from eventing.outbox import record

_WAITS = timedelta(hours=24)


class CarriedFiles:
    """Brings files in: first the bytes, under an id that stays the same when they come again, then the row.

    Bytes without a row are swept away within a day or two, so a process may die between the two.
    """

    def __init__(self, objects: ObjectStore, settings: FilesSettings) -> None:
        self._objects = objects
        self._settings = settings
        self._examination = Examination(objects, settings)

    async def put(
        self, tenant_id: str, form_id: str, field: FileField, source: str, name: str, pieces: AsyncIterator[bytes]
    ) -> CarriedFile | str:
        """The file with its bytes in the store, or the code of why it is refused. `source` is what it was called."""
        digest = hashlib.sha256(f"{tenant_id}/{form_id}/{source}".encode()).hexdigest()
        file_id = f"fil_{digest[:32]}"
        part = object_key(parts_folder(tenant_id, file_id), "0")
        most, size = min(self._settings.max_file_bytes, field.max_size), 0
        kept = kept_name(name)
        try:
            async with self._objects.writer(part) as writer:
                async for piece in pieces:
                    size += len(piece)
                    if size > most:
                        raise FileTooLarge(f"The file may have at most {most} bytes.")
                    await writer.write(piece)
            found = await self._examination.keep(tenant_id, Arrived(file_id, kept, field, [part]))
        except FileNotFoundError:
            return "file.missing"
        except DomainError as error:
            if error.status >= 500:
                raise
            return error.code
        finally:
            await self._objects.delete(part)
        return CarriedFile(
            id=file_id,
            form_id=form_id,
            field_id=field.id,
            name=kept,
            type=found.type,
            size=found.size,
            sha256=found.sha256,
            scanned=found.scanned,
            uploaded_by="",
        )

    @staticmethod
    async def take_in(unit: UnitOfWork, principal: Principal, file: CarriedFile) -> Carried:
        """The file's row, in the transaction of the response that is to have it."""
        storage = StorageRepository(unit.session, unit.tenant)
        place = final_object(unit.tenant, file.id)
        try:
            await require_room(unit, StorageQuotaReached, lambda: storage.used(but=place), file.size)
        except QuotaReached as error:
            return Carried(problem=error.code)
        now = utc_now()
        row = File(
            tenant_id=unit.tenant,
            id=file.id,
            form_id=file.form_id,
            field_id=file.field_id,
            state="stored",
            name=file.name,
            type=file.type,
            size=file.size,
            received=file.size,
            sha256=file.sha256,
            scanned=file.scanned,
            uploaded_by=file.uploaded_by or principal.subject,
            created_at=now,
            expires_at=now + _WAITS,
        )
        FileRepository(unit.session, unit.tenant).add(row)
        await storage.resize(place, file.size)
        fact = FileUploaded(
            file_id=row.id, form_id=row.form_id, field=row.field_id, name=row.name, size=row.size, media_type=row.type
        )
        record(unit, fact, actor=principal.subject, origin=principal.origin)
        await unit.session.flush()
        return Carried(row.id, _checksum(row))

    @staticmethod
    async def checksums(unit: UnitOfWork, ids: Collection[str]) -> dict[str, str]:
        """The checksums of files as they are now, by id."""
        repository = FileRepository(unit.session, unit.tenant)
        rows = [await repository.find(file_id) for file_id in ids]
        return {row.id: _checksum(row) for row in rows if row is not None}


def _checksum(row: File) -> str:
    return checksum(row.form_id, row.field_id, row.name, row.type, row.size, row.sha256)
