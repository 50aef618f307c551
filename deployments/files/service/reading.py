"""The rules of finding files and handing them out."""

from datetime import timedelta

from db.models.files import File
from db.repositories.files import FileRepository
from db.repositories.responses import ResponseRepository
from db.session import UnitOfWork
from db.types import utc_now
from deployments.files.contracts import CreateLink, FileInfo, FileLink
from deployments.files.errors import FileNotFound, ResponseNotFound
from deployments.files.places import final_object
from deployments.files.settings import FilesSettings
from deployments.files.signing import Signatures
from deployments.kit.audit import audit
from deployments.kit.contract import Page, PageMeta
from deployments.kit.downloads import OpenedFile
from deployments.kit.pagination import decode_cursor, encode_cursor
from deployments.kit.principal import Principal
from deployments.kit.tenants import require_active_tenant

_READ = "responses:read"


async def list_of_response(
    unit: UnitOfWork, principal: Principal, response_id: str, cursor: str | None, limit: int
) -> Page[FileInfo]:
    """The files of a response, oldest first. Raises ResponseNotFound."""
    response = await ResponseRepository(unit.session, unit.tenant).find(response_id)
    if response is None or not principal.may(_READ, response.form_id):
        raise ResponseNotFound
    sort = f"{response_id}:id"
    after = None if cursor is None else str(decode_cursor(cursor, sort, 1)[0])
    rows = await FileRepository(unit.session, unit.tenant).of_response(response_id, after, limit + 1)
    more = encode_cursor(sort, [rows[limit - 1].id]) if len(rows) > limit else None
    data = [_to_info(row) for row in rows[:limit]]
    return Page[FileInfo](data=data, meta=PageMeta(limit=limit, next_cursor=more))


async def get(unit: UnitOfWork, principal: Principal, file_id: str) -> FileInfo:
    """What is known of a file. Raises FileNotFound."""
    return _to_info(await _readable(unit, principal, file_id))


async def opened(unit: UnitOfWork, principal: Principal, file_id: str) -> OpenedFile:
    """Where the bytes lie; that somebody fetched them is written down. Raises FileNotFound."""
    row = await _readable(unit, principal, file_id)
    audit(unit, principal, "file.fetched", row.id)
    return _to_opened(row)


async def link(
    unit: UnitOfWork,
    principal: Principal,
    file_id: str,
    command: CreateLink,
    settings: FilesSettings,
    signatures: Signatures,
) -> FileLink:
    """An address for the file that needs no credential; that it was given out is written down. Raises FileNotFound."""
    row = await _readable(unit, principal, file_id)
    expires_at = utc_now().replace(microsecond=0) + timedelta(seconds=command.expires_in or settings.link_life_s)
    audit(unit, principal, "file.link_created", row.id, expires_at=expires_at.isoformat())
    signed = signatures.link(unit.tenant, row.id, expires_at)
    return FileLink(url=f"{settings.public_url}/api/v1/links/{unit.tenant}/{signed}", expires_at=expires_at)


async def opened_by_link(unit: UnitOfWork, principal: Principal, signed: str, signatures: Signatures) -> OpenedFile:
    """The file that a link opens; that it was fetched is written down. Raises FileNotFound, also for a link that is
    over, TenantSuspended."""
    file_id = signatures.file_of_link(unit.tenant, signed, utc_now())
    row = None if file_id is None else await FileRepository(unit.session, unit.tenant).find_shown(file_id)
    if row is None:
        raise FileNotFound
    await require_active_tenant(unit, FileNotFound)
    audit(unit, principal, "file.fetched", row.id, by="link")
    return _to_opened(row)


async def _readable(unit: UnitOfWork, principal: Principal, file_id: str) -> File:
    row = await FileRepository(unit.session, unit.tenant).find_shown(file_id)
    if row is None or not principal.may(_READ, row.form_id):
        raise FileNotFound
    return row


def _to_info(row: File) -> FileInfo:
    return FileInfo(
        id=row.id,
        form_id=row.form_id,
        field=row.field_id,
        response_id=row.response_id,
        name=row.name,
        size=row.size,
        type=row.type,
        sha256=row.sha256,
        scanned=row.scanned,
        uploaded_by=row.uploaded_by,
        created_at=row.created_at,
    )


def _to_opened(row: File) -> OpenedFile:
    return OpenedFile(
        object=final_object(row.tenant_id, row.id), name=row.name, size=row.size, type=row.type, sha256=row.sha256
    )
