"""The rules of sending a file: who may, how much, and what becomes of it in the end."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from db.models.files import File, FilePart
from db.repositories.files import FileRepository
from db.repositories.quotas import QuotaRepository
from db.repositories.storage import StorageRepository
from db.session import UnitOfWork
from db.types import new_id, utc_now
from deployments.files.contracts import AppendPart, BeginUpload, StoredFile, Upload
from deployments.files.errors import (
    FileTooLarge,
    TooManyUploads,
    UploadConflict,
    UploadNotFound,
)
from deployments.files.names import kept_name
from deployments.files.places import final_object, parts_folder
from deployments.files.service.fields import field_of, open_field
from deployments.files.settings import FilesSettings
from deployments.files.signing import Signatures
from deployments.kit.addresses import network_of
from deployments.kit.file_fields import FileField
from deployments.kit.principal import Principal
from deployments.kit.quotas import StorageQuotaReached, note_use
from deployments.kit.tenants import require_active_tenant
from eventing.events.files import FileRejected, FileUploaded
from eventing.outbox import record

_HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Arrived:
    """A file all of whose bytes are in the store, in pieces."""

    id: str
    name: str
    field: FileField
    objects: Sequence[str]


@dataclass(frozen=True, slots=True)
class Found:
    """What was found out about a file: as it is kept."""

    type: str
    size: int
    sha256: str
    scanned: bool


async def begin(
    unit: UnitOfWork, principal: Principal, command: BeginUpload, settings: FilesSettings, signatures: Signatures
) -> Upload:
    """Let an upload in, and keep its room. While it is under way nobody else gets that room.

    Raises what `open_field` raises, Forbidden, TooManyUploads, FileTooLarge, StorageQuotaReached.
    """
    form_id, field = await open_field(unit, principal, command.slug, command.form_id, command.field)
    if principal.kind != "anonymous":
        principal.require("responses:write", form_id)
    most = _most(settings, field)
    if command.size > most and not command.at_most:
        raise FileTooLarge(f"The file may have at most {most} bytes.")
    files, storage = FileRepository(unit.session, unit.tenant), StorageRepository(unit.session, unit.tenant)
    # Locks the tenant: what is counted from here on stays true until the commit.
    quota = await QuotaRepository(unit.session, unit.tenant).limit(StorageQuotaReached.quota)
    now = utc_now()
    caller = ""
    if principal.kind == "anonymous":
        caller = signatures.caller(unit.tenant, network_of(principal.origin.address))
        if await files.sent_since(caller, now - _HOUR) >= settings.uploads_per_hour:
            raise TooManyUploads(f"At most {settings.uploads_per_hour} files an hour.", retry_after=60.0)
    size = min(command.size, most)
    room = size if quota is None else quota - await storage.used()
    if room < (1 if command.at_most else size):
        raise StorageQuotaReached(f"{StorageQuotaReached.title}: the limit is {quota}")
    if quota is not None:
        await note_use(unit, StorageQuotaReached.quota, quota - room + size, quota)
    row = File(
        tenant_id=unit.tenant,
        id=new_id("fil"),
        form_id=form_id,
        field_id=field.id,
        state="receiving",
        name=kept_name(command.name),
        size=min(size, room),
        uploaded_by=principal.subject,
        caller=caller,
        created_at=now,
        expires_at=now + timedelta(seconds=settings.upload_life_s),
    )
    files.add(row)
    await storage.add(final_object(unit.tenant, row.id), row.size)
    return _to_upload(row, signatures, is_short_of_quota=row.size < size)


async def find(unit: UnitOfWork, principal: Principal, upload_id: str, signatures: Signatures) -> Upload:
    """How far an upload is. Raises UploadNotFound, Forbidden."""
    return _to_upload(await _reached(unit, principal, upload_id, signatures), signatures)


async def append(
    unit: UnitOfWork, principal: Principal, upload_id: str, part: AppendPart, signatures: Signatures
) -> Upload:
    """Take over a piece. Raises UploadNotFound, UploadConflict when it does not begin where the upload stands or goes
    beyond its size; then the piece is the caller's to remove."""
    row = await _reached(unit, principal, upload_id, signatures, for_update=True)
    if row.state != "receiving" or part.start != row.received or part.start + part.size > row.size:
        raise UploadConflict(f"The upload stands at {row.received} of {row.size} bytes.")
    if not part.object.startswith(parts_folder(unit.tenant, row.id) + "/"):
        raise UploadNotFound
    if part.size:
        repository = FileRepository(unit.session, unit.tenant)
        repository.add(
            FilePart(tenant_id=unit.tenant, file_id=row.id, start=part.start, size=part.size, object=part.object)
        )
    row.received += part.size
    if part.is_last:
        row.size = row.received
    return _to_upload(row, signatures)


async def arrived(unit: UnitOfWork, file_id: str) -> Arrived | None:
    """The file as it came, None when somebody else has dealt with it."""
    repository = FileRepository(unit.session, unit.tenant)
    row = await repository.find(file_id)
    if row is None or row.state != "receiving" or row.received != row.size:
        return None
    objects = [part.object for part in await repository.parts(file_id)]
    return Arrived(file_id, row.name, await field_of(unit, row.form_id, row.field_id), objects)


async def keep(
    unit: UnitOfWork, principal: Principal, file_id: str, found: Found, settings: FilesSettings, signatures: Signatures
) -> Upload:
    """The file was found good: from now on it can be an answer. Once, however often it is said.

    Raises UploadNotFound when it is gone meanwhile, StorageQuotaReached when it grew and has no room.
    """
    repository, storage = FileRepository(unit.session, unit.tenant), StorageRepository(unit.session, unit.tenant)
    row = await repository.find(file_id, for_update=True)
    if row is None or row.state == "refused":
        raise UploadNotFound
    if row.state == "stored":
        return _to_upload(row, signatures)
    place = final_object(unit.tenant, file_id)
    if found.size > row.size:
        quota = await QuotaRepository(unit.session, unit.tenant).limit(StorageQuotaReached.quota)
        if quota is not None and await storage.used(but=place) + found.size > quota:
            raise StorageQuotaReached(f"{StorageQuotaReached.title}: the limit is {quota}")
    row.state, row.type, row.sha256, row.scanned = "stored", found.type, found.sha256, found.scanned
    row.size = row.received = found.size
    row.expires_at = utc_now() + timedelta(seconds=settings.unattached_life_s)
    await storage.resize(place, found.size)
    await repository.forget_parts(file_id)
    fact = FileUploaded(
        file_id=row.id, form_id=row.form_id, field=row.field_id, name=row.name, size=row.size, media_type=row.type
    )
    record(unit, fact, actor=principal.subject, origin=principal.origin)
    return _to_upload(row, signatures)


async def refuse(unit: UnitOfWork, principal: Principal, file_id: str, code: str) -> None:
    """The file was found bad: nothing of it stays. Does nothing when it is gone already."""
    row = await FileRepository(unit.session, unit.tenant).find(file_id, for_update=True)
    if row is None or row.state != "receiving":
        return
    fact = FileRejected(file_id=row.id, form_id=row.form_id, field=row.field_id, name=row.name, reason=code)
    record(unit, fact, actor=principal.subject, origin=principal.origin)
    await _retire(unit, row)


async def cancel(unit: UnitOfWork, principal: Principal, upload_id: str, signatures: Signatures) -> str:
    """Forget an upload, or a file that no response has; its id. Raises UploadNotFound, Forbidden, UploadConflict."""
    row = await _reached(unit, principal, upload_id, signatures, for_update=True)
    if row.response_id is not None:
        raise UploadConflict("A response has the file.")
    await _retire(unit, row)
    return row.id


async def _retire(unit: UnitOfWork, row: File) -> None:
    repository = FileRepository(unit.session, unit.tenant)
    await StorageRepository(unit.session, unit.tenant).remove(final_object(unit.tenant, row.id))
    if not row.caller:
        await repository.delete(row)
        return
    # It still counts against what its sender may send in an hour.
    await repository.forget_parts(row.id)
    row.state, row.name, row.size, row.received, row.expires_at = "refused", "", 0, 0, row.created_at + _HOUR


async def _reached(
    unit: UnitOfWork, principal: Principal, upload_id: str, signatures: Signatures, *, for_update: bool = False
) -> File:
    file_id = signatures.file_of_upload(unit.tenant, upload_id)
    if file_id is None:
        raise UploadNotFound
    await require_active_tenant(unit, UploadNotFound)
    row = await FileRepository(unit.session, unit.tenant).find(file_id, for_update=for_update)
    if row is None or row.state == "refused" or _is_over(row, utc_now()):
        raise UploadNotFound
    if principal.kind != "anonymous" and not principal.may("responses:write", row.form_id):
        raise UploadNotFound
    return row


def _is_over(row: File, now: datetime) -> bool:
    return row.expires_at is not None and row.expires_at <= now


def _most(settings: FilesSettings, field: FileField) -> int:
    return min(settings.max_file_bytes, field.max_size)


def _to_upload(row: File, signatures: Signatures, *, is_short_of_quota: bool = False) -> Upload:
    stored = None
    if row.state == "stored":
        stored = StoredFile(id=row.id, name=row.name, size=row.size, type=row.type, sha256=row.sha256)
    return Upload(
        id=row.id,
        form_id=row.form_id,
        upload_id=signatures.upload(row.tenant_id, row.id),
        offset=row.received,
        size=row.size,
        expires_at=row.expires_at or row.created_at,
        folder=parts_folder(row.tenant_id, row.id),
        is_short_of_quota=is_short_of_quota,
        file=stored,
    )
