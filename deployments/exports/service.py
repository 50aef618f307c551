"""The rules of exports: who may have one, what is in it, how long it is kept."""

from datetime import timedelta
from typing import Any, Final

from db.models.exports import ResponseExport
from db.repositories.published_forms import PublishedFormRepository
from db.repositories.quotas import QuotaRepository
from db.repositories.storage import StorageRepository
from db.session import UnitOfWork
from deployments.exports.contracts import (
    CreateExportLink,
    Export,
    ExportLink,
    OrderedExport,
    OrderExport,
)
from deployments.exports.errors import ExportNotFound, ExportNotReady, FormNotFound
from deployments.exports.packing import FORMATS
from deployments.exports.settings import ExportsSettings
from deployments.kit.contract import Page
from deployments.kit.errors import Forbidden
from deployments.kit.links import Links
from deployments.kit.made_files import PERSONAL, MadeFiles
from deployments.kit.objects import EXPORTS
from deployments.kit.principal import Principal
from deployments.kit.quotas import StorageQuotaReached
from deployments.responses.contracts import ExportResponses
from eventing.events.envelope import Origin
from eventing.events.exports import ExportCompleted
from eventing.outbox import record

_READ: Final = "responses:read"
_WRITE: Final = "responses:write"


def _sent_as(row: ResponseExport) -> tuple[str, str]:
    media_type = FORMATS[row.format].media_type  # type: ignore[index]  # checked when it was ordered
    return f"responses-{row.form_id}.{row.format}", media_type


FILES: Final = MadeFiles(
    row=ResponseExport,
    name="export",
    plural=EXPORTS,
    prefix="exp",
    scope=_READ,
    not_found=ExportNotFound,
    not_ready=ExportNotReady,
    sent_as=_sent_as,
)


def wanted_by(command: OrderExport) -> ExportResponses:
    """What an order asks of responses."""
    return ExportResponses.model_validate(command.model_dump(exclude={"format"}))


async def order(
    unit: UnitOfWork, principal: Principal, form_id: str, command: OrderExport, key: str | None, life: timedelta
) -> OrderedExport:
    """Order an export of a form that the principal may read; what it may see of it now is fixed. Raises KeyMismatch."""
    principal.require(_READ, form_id)
    ordered = await FILES.order(
        unit,
        principal,
        form_id,
        command,
        life,
        unique_key=None if key is None else f"{FILES.name}:{form_id}:{principal.subject}:{key}",
        columns={
            "format": command.format,
            "wanted": wanted_by(command).model_dump(mode="json"),
            "sees_personal": principal.may(PERSONAL, form_id),
        },
        format=command.format,
    )
    return OrderedExport(export_id=ordered.id, job_id=ordered.job_id, replayed=ordered.replayed)


def reader_of(row: ResponseExport) -> Principal:
    """Who reads the responses for an export: as much as who ordered it was allowed to then."""
    scopes = {_READ, PERSONAL} if row.sees_personal else {_READ}
    return Principal(row.tenant_id, row.requested_by, "system", scopes=frozenset(scopes))


async def list_of_form(
    unit: UnitOfWork, principal: Principal, form_id: str, cursor: str | None, limit: int
) -> Page[Export]:
    """The exports that the principal may fetch, newest first. Raises FormNotFound."""
    principal.require(_READ, form_id)
    if not await PublishedFormRepository(unit.session, unit.tenant).exists(form_id):
        raise FormNotFound
    seen = None if principal.may(PERSONAL, form_id) else frozenset[str]()
    rows, meta = await FILES.page(unit, form_id, cursor, limit, personal_in=seen)
    return Page[Export](data=[await _to_export(unit, row) for row in rows], meta=meta)


async def get(unit: UnitOfWork, principal: Principal, export_id: str) -> Export:
    """An export. Raises ExportNotFound."""
    return await _to_export(unit, await FILES.readable(unit, principal, export_id))


async def link(
    unit: UnitOfWork,
    principal: Principal,
    export_id: str,
    command: CreateExportLink,
    settings: ExportsSettings,
    links: Links,
) -> ExportLink:
    """An address for the file that needs no credential. Raises ExportNotFound, ExportNotReady."""
    url, expires_at = await FILES.link(unit, principal, export_id, command.expires_in, links, settings.public_url)
    return ExportLink(url=url, expires_at=expires_at)


async def delete(unit: UnitOfWork, principal: Principal, export_id: str) -> None:
    """Forget an export: its job is ended, its file removed. Raises ExportNotFound, Forbidden for somebody else's unless
    the principal may change responses."""
    row = await FILES.readable(unit, principal, export_id)
    if row.requested_by != principal.subject and not principal.may(_WRITE, row.form_id):
        raise Forbidden("the export is somebody else's")
    await FILES.delete(unit, principal, row)


async def room(unit: UnitOfWork) -> int | None:
    """Bytes that the tenant's files may still take, negative when they take too much; None without a limit."""
    limit = await QuotaRepository(unit.session, unit.tenant).limit(StorageQuotaReached.quota)
    return None if limit is None else limit - await StorageRepository(unit.session, unit.tenant).used()


async def finish(
    unit: UnitOfWork, export_id: str, file: str, *, sha256: str, rows: int, size: int, life: timedelta
) -> ResponseExport | None:
    """The file is complete and can be fetched. None when it is not wanted: the export is gone, or has a file. Raises
    StorageQuotaReached."""
    row = await FILES.finish(unit, export_id, file, sha256=sha256, size=size, life=lambda _: life)
    if row is None:
        return None
    row.rows = rows
    fact = ExportCompleted(
        export_id=row.id,
        form_id=row.form_id,
        format=row.format,
        rows=rows,
        bytes=size,
        expires_at=row.expires_at.isoformat(),
    )
    record(unit, fact, actor=row.requested_by, origin=Origin())
    return row


async def _to_export(unit: UnitOfWork, row: ResponseExport) -> Export:
    own: dict[str, Any] = {"format": row.format, "rows": row.rows}
    return Export.model_validate(await FILES.shown(unit, row) | own)
