"""The rules of exports: who may have one, what is in it, how long it is kept."""

from datetime import timedelta
from typing import Any, Final

from db.models.exports import ResponseExport
from db.models.jobs import Job
from db.repositories.jobs import JobRepository
from db.repositories.published_forms import PublishedFormRepository
from db.repositories.quotas import QuotaRepository
from db.repositories.response_exports import ResponseExportRepository
from db.repositories.storage import StorageRepository
from db.session import UnitOfWork
from db.types import new_id, utc_now
from deployments.exports.contracts import (
    CreateExportLink,
    Export,
    ExportFile,
    ExportLink,
    OrderedExport,
    OrderExport,
)
from deployments.exports.errors import (
    ExportNotFound,
    ExportNotReady,
    FormNotFound,
    KeyMismatch,
    StorageQuotaReached,
)
from deployments.exports.packing import FORMATS
from deployments.exports.settings import ExportsSettings
from deployments.kit.audit import audit
from deployments.kit.contract import Page, PageMeta
from deployments.kit.errors import Forbidden
from deployments.kit.links import Links
from deployments.kit.pagination import decode_cursor, encode_cursor
from deployments.kit.principal import Principal
from deployments.kit.quotas import require_room
from deployments.responses.contracts import ExportResponses
from eventing.events.envelope import Origin
from eventing.events.exports import ExportCompleted
from eventing.jobs import JobSpec, enqueue
from eventing.outbox import record

MAKE: Final = "export"
REMOVE: Final = "exports.remove"
QUEUE: Final = "batch"

READ: Final = "responses:read"
_PERSONAL: Final = "responses:read_personal"
_WRITE: Final = "responses:write"
_STATES: Final = {"queued": "queued", "running": "running", "cancelled": "cancelled"}


def wanted_by(command: OrderExport) -> ExportResponses:
    """What an order asks of responses."""
    return ExportResponses.model_validate(command.model_dump(exclude={"format"}))


async def order(
    unit: UnitOfWork, principal: Principal, form_id: str, command: OrderExport, key: str | None, life: timedelta
) -> OrderedExport:
    """Order an export of a form that the principal may read; what it may see of it now is fixed. Raises KeyMismatch."""
    principal.require(READ, form_id)
    exports = ResponseExportRepository(unit.session, unit.tenant)
    export_id, now = new_id("exp"), utc_now()
    unique_key = None if key is None else f"{MAKE}:{form_id}:{principal.subject}:{key}"
    payload = {"export_id": export_id, "form_id": form_id, "order": command.model_dump(mode="json")}
    job_id = await enqueue(unit, JobSpec(MAKE, payload, principal.subject, unique_key, queue=QUEUE))
    if unique_key is not None:
        job = await JobRepository(unit.session, unit.tenant).find(job_id)
        if job is None or job.payload["order"] != payload["order"]:
            raise KeyMismatch
        if job.payload["export_id"] != export_id:
            return OrderedExport(export_id=job.payload["export_id"], job_id=job_id, replayed=True)
    exports.add(
        ResponseExport(
            tenant_id=unit.tenant,
            id=export_id,
            form_id=form_id,
            format=command.format,
            wanted=wanted_by(command).model_dump(mode="json"),
            sees_personal=principal.may(_PERSONAL, form_id),
            job_id=job_id,
            requested_by=principal.subject,
            created_at=now,
            expires_at=now + life,
        )
    )
    audit(unit, principal, "export.ordered", export_id, form_id=form_id, format=command.format)
    return OrderedExport(export_id=export_id, job_id=job_id)


def reader_of(row: ResponseExport) -> Principal:
    """Who reads the responses for an export: as much as who ordered it was allowed to then."""
    scopes = {READ, _PERSONAL} if row.sees_personal else {READ}
    return Principal(row.tenant_id, row.requested_by, "system", scopes=frozenset(scopes))


async def list_of_form(
    unit: UnitOfWork, principal: Principal, form_id: str, cursor: str | None, limit: int
) -> Page[Export]:
    """The exports that the principal may fetch, newest first. Raises FormNotFound."""
    principal.require(READ, form_id)
    if not await PublishedFormRepository(unit.session, unit.tenant).exists(form_id):
        raise FormNotFound
    sort = f"{form_id}:exports"
    before = None if cursor is None else str(decode_cursor(cursor, sort, 1)[0])
    exports = ResponseExportRepository(unit.session, unit.tenant)
    rows = await exports.page(form_id, before, limit + 1, personal=principal.may(_PERSONAL, form_id))
    more = encode_cursor(sort, [rows[limit - 1].id]) if len(rows) > limit else None
    data = [await _to_export(unit, row) for row in rows[:limit]]
    return Page[Export](data=data, meta=PageMeta(limit=limit, next_cursor=more))


async def get(unit: UnitOfWork, principal: Principal, export_id: str) -> Export:
    """An export. Raises ExportNotFound."""
    return await _to_export(unit, await _readable(unit, principal, export_id))


async def opened(unit: UnitOfWork, principal: Principal, export_id: str) -> ExportFile:
    """Where the file lies; that somebody fetched it is written down. Raises ExportNotFound, ExportNotReady."""
    row = await _readable(unit, principal, export_id)
    file = _to_file(row)
    audit(unit, principal, "export.fetched", row.id)
    return file


async def link(
    unit: UnitOfWork,
    principal: Principal,
    export_id: str,
    command: CreateExportLink,
    settings: ExportsSettings,
    links: Links,
) -> ExportLink:
    """An address for the file that needs no credential; that it was given out is written down."""
    row = await _readable(unit, principal, export_id)
    _to_file(row)
    expires_at = row.expires_at.replace(microsecond=0)
    if command.expires_in is not None:
        expires_at = min(expires_at, utc_now().replace(microsecond=0) + timedelta(seconds=command.expires_in))
    audit(unit, principal, "export.link_created", row.id, expires_at=expires_at.isoformat())
    signed = links.link(unit.tenant, row.id, expires_at)
    return ExportLink(url=f"{settings.public_url}/api/v1/export-links/{unit.tenant}/{signed}", expires_at=expires_at)


async def opened_by_link(unit: UnitOfWork, principal: Principal, signed: str, links: Links) -> ExportFile:
    """The file that a link opens; that it was fetched is written down. Raises ExportNotFound."""
    export_id = links.target_of(unit.tenant, signed, utc_now())
    row = None if export_id is None else await ResponseExportRepository(unit.session, unit.tenant).find(export_id)
    if row is None or row.file is None or row.expires_at <= utc_now():
        raise ExportNotFound
    if not await PublishedFormRepository(unit.session, unit.tenant).exists(row.form_id):
        raise ExportNotFound
    audit(unit, principal, "export.fetched", row.id, by="link")
    return _to_file(row)


async def delete(unit: UnitOfWork, principal: Principal, export_id: str) -> None:
    """Forget an export: its job is ended, its file removed. Raises ExportNotFound, Forbidden for somebody else's unless
    the principal may change responses."""
    row = await _readable(unit, principal, export_id)
    if row.requested_by != principal.subject and not principal.may(_WRITE, row.form_id):
        raise Forbidden("the export is somebody else's")
    job = await JobRepository(unit.session, unit.tenant).find(row.job_id, for_update=True)
    if job is not None and job.state in ("queued", "running"):
        if job.state == "queued":
            job.state, job.finished_at = "cancelled", utc_now()
        job.cancel_requested = True
    audit(unit, principal, "export.deleted", row.id)
    await forget(unit, row)


async def forget(unit: UnitOfWork, row: ResponseExport) -> None:
    """The export is no more, and its file is going to be removed."""
    payload = {"form_id": row.form_id, "export_id": row.id}
    await enqueue(unit, JobSpec(REMOVE, payload, "system:exports"))
    if row.file is not None:
        await StorageRepository(unit.session, unit.tenant).remove(row.file)
    await ResponseExportRepository(unit.session, unit.tenant).delete(row)


async def room(unit: UnitOfWork) -> int | None:
    """Bytes that the tenant's files may still take, negative when they take too much; None without a limit."""
    limit = await QuotaRepository(unit.session, unit.tenant).limit(StorageQuotaReached.quota)
    return None if limit is None else limit - await StorageRepository(unit.session, unit.tenant).used()


async def finish(
    unit: UnitOfWork, export_id: str, file: str, *, sha256: str, rows: int, size: int, life: timedelta
) -> bool:
    """The file is complete and can be fetched. False when it is not wanted: the export is gone, or has a file. Raises
    StorageQuotaReached."""
    row = await ResponseExportRepository(unit.session, unit.tenant).find(export_id, for_update=True)
    if row is None or row.finished_at is not None:
        return False
    storage = StorageRepository(unit.session, unit.tenant)
    await require_room(unit, StorageQuotaReached, storage.used, size)
    await storage.add(file, size)
    now = utc_now()
    row.finished_at, row.expires_at = now, now + life
    row.file, row.sha256, row.rows, row.bytes = file, sha256, rows, size
    fact = ExportCompleted(
        export_id=row.id,
        form_id=row.form_id,
        format=row.format,
        rows=rows,
        bytes=size,
        expires_at=row.expires_at.isoformat(),
    )
    record(unit, fact, actor=row.requested_by, origin=Origin())
    return True


def result_of(row: ResponseExport) -> dict[str, Any]:
    """What the job reports."""
    return {
        "export_id": row.id,
        "download_url": _url(row),
        "expires_at": row.expires_at.isoformat(),
        "rows": row.rows,
        "bytes": row.bytes,
    }


async def _readable(unit: UnitOfWork, principal: Principal, export_id: str) -> ResponseExport:
    row = await ResponseExportRepository(unit.session, unit.tenant).find(export_id)
    if row is None or row.expires_at <= utc_now() or not principal.may(READ, row.form_id):
        raise ExportNotFound
    if row.sees_personal and not principal.may(_PERSONAL, row.form_id):
        raise ExportNotFound
    if not await PublishedFormRepository(unit.session, unit.tenant).exists(row.form_id):
        raise ExportNotFound
    return row


def _to_file(row: ResponseExport) -> ExportFile:
    if row.file is None:
        raise ExportNotReady
    return ExportFile(
        object=row.file,
        name=f"responses-{row.form_id}.{row.format}",
        size=row.bytes,
        type=FORMATS[row.format].media_type,  # type: ignore[index]  # checked when it was ordered
        sha256=row.sha256,
    )


async def _to_export(unit: UnitOfWork, row: ResponseExport) -> Export:
    job: Job | None = None
    if row.file is None:
        job = await JobRepository(unit.session, unit.tenant).find(row.job_id)
    return Export.model_validate(
        {
            "id": row.id,
            "form_id": row.form_id,
            "job_id": row.job_id,
            "format": row.format,
            "state": "ready" if row.file is not None else _STATES.get(job.state if job else "", "failed"),
            "has_personal": row.sees_personal,
            "requested_by": row.requested_by,
            "created_at": row.created_at,
            "finished_at": row.finished_at,
            "expires_at": row.expires_at,
            "rows": row.rows,
            "bytes": row.bytes,
            "download_url": None if row.file is None else _url(row),
        }
    )


def _url(row: ResponseExport) -> str:
    return f"/api/v1/exports/{row.id}/download"
