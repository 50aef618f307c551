"""The rules of reports: who may have one, how it is kept, and who fetches it."""

from datetime import datetime, timedelta
from typing import Any, Final

from db.models.reports import Report as ReportRow
from db.repositories.jobs import JobRepository
from db.repositories.published_forms import PublishedFormRepository
from db.repositories.reports import ReportRepository
from db.repositories.storage import StorageRepository
from db.session import UnitOfWork
from db.types import new_id, utc_now
from deployments.kit.audit import audit
from deployments.kit.contract import Page, PageMeta
from deployments.kit.features import require_feature, settings_of
from deployments.kit.links import Links
from deployments.kit.pagination import decode_cursor, encode_cursor
from deployments.kit.principal import Principal
from deployments.kit.quotas import require_room
from deployments.reports.contracts import (
    CreateReportLink,
    OrderedReport,
    OrderReport,
    Report,
    ReportFile,
    ReportLink,
)
from deployments.reports.errors import (
    FormNotFound,
    KeyMismatch,
    ReportNotFound,
    ReportNotReady,
    StorageQuotaReached,
)
from eventing.events.envelope import Origin
from eventing.events.reports import ReportGenerated
from eventing.jobs import JobSpec, enqueue
from eventing.outbox import record

MAKE: Final = "report"
PLANNED: Final = "reports.scheduled"
REMOVE: Final = "reports.remove"
QUEUE: Final = "batch"

READ: Final = "analytics:read"
WRITE: Final = "reports:write"
PERSONAL: Final = "responses:read_personal"
_STATES: Final = {"queued": "queued", "running": "running", "cancelled": "cancelled"}
_SORT: Final = "reports"


async def require_form(unit: UnitOfWork, principal: Principal, form_id: str) -> None:
    """The form is there, and the principal may have reports on it made. Raises Forbidden, FeatureDisabled,
    FormNotFound."""
    principal.require(WRITE)
    principal.require(READ, form_id)
    require_feature(await settings_of(unit), "reports")
    if not await PublishedFormRepository(unit.session, unit.tenant).exists(form_id):
        raise FormNotFound


async def order(
    unit: UnitOfWork, principal: Principal, command: OrderReport, key: str | None, life: timedelta
) -> OrderedReport:
    """Order a report; what whoever orders it may see now is fixed. Raises KeyMismatch."""
    await require_form(unit, principal, command.form_id)
    unique_key = None if key is None else f"{MAKE}:{principal.subject}:{key}"
    personal = principal.may(PERSONAL, command.form_id)
    return await ordered(unit, principal, command, life.days, unique_key=unique_key, sees_personal=personal)


async def ordered(
    unit: UnitOfWork,
    principal: Principal,
    command: OrderReport,
    life_days: int,
    *,
    unique_key: str | None,
    sees_personal: bool,
    schedule_id: str | None = None,
    delivery: dict[str, Any] | None = None,
) -> OrderedReport:
    """A report and the job that makes it, once for each `unique_key`. Raises KeyMismatch."""
    report_id, now = new_id("rpt"), utc_now()
    payload = {"report_id": report_id, "form_id": command.form_id, "order": command.model_dump(mode="json")}
    job_id = await enqueue(unit, JobSpec(MAKE, payload, principal.subject, unique_key, queue=QUEUE))
    if unique_key is not None:
        job = await JobRepository(unit.session, unit.tenant).find(job_id)
        if job is None or job.payload["order"] != payload["order"]:
            raise KeyMismatch
        if job.payload["report_id"] != report_id:
            return OrderedReport(report_id=job.payload["report_id"], job_id=job_id, replayed=True)
    ReportRepository(unit.session, unit.tenant).add(
        ReportRow(
            tenant_id=unit.tenant,
            id=report_id,
            form_id=command.form_id,
            wanted=command.model_dump(mode="json"),
            sees_personal=sees_personal,
            life_days=life_days,
            delivery=delivery,
            schedule_id=schedule_id,
            job_id=job_id,
            requested_by=principal.subject,
            created_at=now,
            expires_at=now + timedelta(days=life_days),
        )
    )
    audit(unit, principal, "report.ordered", report_id, form_id=command.form_id)
    return OrderedReport(report_id=report_id, job_id=job_id)


def reader_of(row: ReportRow) -> Principal:
    """Who reads the figures for a report: as much as who ordered it was allowed to then."""
    scopes = {READ, "forms:read", "responses:read", "ai:use", *({PERSONAL} if row.sees_personal else ())}
    return Principal(row.tenant_id, row.requested_by, "system", scopes=frozenset(scopes))


async def page(
    unit: UnitOfWork, principal: Principal, form_id: str | None, cursor: str | None, limit: int
) -> Page[Report]:
    """The reports that the principal may fetch, newest first. Raises FormNotFound, Forbidden."""
    if form_id is not None:
        principal.require(READ, form_id)
        if not await PublishedFormRepository(unit.session, unit.tenant).exists(form_id):
            raise FormNotFound
    elif not principal.forms_granted(READ):
        principal.require(READ)
    sort = f"{form_id or ''}:{_SORT}"
    rows = await ReportRepository(unit.session, unit.tenant).page(
        form_id,
        None if cursor is None else str(decode_cursor(cursor, sort, 1)[0]),
        limit + 1,
        now=utc_now(),
        forms=None if principal.may(READ) else principal.forms_granted(READ),
        personal_in=None if principal.may(PERSONAL) else principal.forms_granted(PERSONAL),
    )
    more = encode_cursor(sort, [rows[limit - 1].id]) if len(rows) > limit else None
    data = [await _to_report(unit, row) for row in rows[:limit]]
    return Page[Report](data=data, meta=PageMeta(limit=limit, next_cursor=more))


async def get(unit: UnitOfWork, principal: Principal, report_id: str) -> Report:
    """A report. Raises ReportNotFound."""
    return await _to_report(unit, await _readable(unit, principal, report_id))


async def opened(unit: UnitOfWork, principal: Principal, report_id: str) -> ReportFile:
    """Where the file lies; that somebody fetched it is written down. Raises ReportNotFound, ReportNotReady."""
    row = await _readable(unit, principal, report_id)
    file = _to_file(row)
    audit(unit, principal, "report.fetched", row.id)
    return file


async def link(
    unit: UnitOfWork, principal: Principal, report_id: str, command: CreateReportLink, links: Links, public_url: str
) -> ReportLink:
    """An address for the file that needs no credential; that it was given out is written down."""
    row = await _readable(unit, principal, report_id)
    _to_file(row)
    expires_at = row.expires_at.replace(microsecond=0)
    if command.expires_in is not None:
        expires_at = min(expires_at, utc_now().replace(microsecond=0) + timedelta(seconds=command.expires_in))
    audit(unit, principal, "report.link_created", row.id, expires_at=expires_at.isoformat())
    return ReportLink(url=address_of(links, public_url, row, expires_at), expires_at=expires_at)


def address_of(links: Links, public_url: str, row: ReportRow, expires_at: datetime) -> str:
    """Where the file of a report is for whoever has the address, until a moment."""
    return f"{public_url}/api/v1/report-links/{row.tenant_id}/{links.link(row.tenant_id, row.id, expires_at)}"


async def opened_by_link(unit: UnitOfWork, principal: Principal, signed: str, links: Links) -> ReportFile:
    """The file that a link opens; that it was fetched is written down. Raises ReportNotFound."""
    report_id = links.target_of(unit.tenant, signed, utc_now())
    row = None if report_id is None else await ReportRepository(unit.session, unit.tenant).find(report_id)
    if row is None or row.file is None or row.expires_at <= utc_now():
        raise ReportNotFound
    if not await PublishedFormRepository(unit.session, unit.tenant).exists(row.form_id):
        raise ReportNotFound
    audit(unit, principal, "report.fetched", row.id, by="link")
    return _to_file(row)


async def delete(unit: UnitOfWork, principal: Principal, report_id: str) -> None:
    """Forget a report: its job is ended, its file removed. Raises ReportNotFound, Forbidden for somebody else's unless
    the principal may have reports made."""
    row = await _readable(unit, principal, report_id)
    if row.requested_by != principal.subject:
        principal.require(WRITE)
    job = await JobRepository(unit.session, unit.tenant).find(row.job_id, for_update=True)
    if job is not None and job.state in ("queued", "running"):
        if job.state == "queued":
            job.state, job.finished_at = "cancelled", utc_now()
        job.cancel_requested = True
    audit(unit, principal, "report.deleted", row.id)
    await forget(unit, row)


async def forget(unit: UnitOfWork, row: ReportRow) -> None:
    """The report is no more, and its file is going to be removed."""
    payload = {"form_id": row.form_id, "report_id": row.id}
    await enqueue(unit, JobSpec(REMOVE, payload, "system:reports"))
    if row.file is not None:
        await StorageRepository(unit.session, unit.tenant).remove(row.file)
    await ReportRepository(unit.session, unit.tenant).delete(row)


async def finish(
    unit: UnitOfWork, report_id: str, file: str, *, sha256: str, size: int, title: str, responses: int
) -> ReportRow | None:
    """The file is complete and can be fetched. None when it is not wanted: the report is gone, or has a file. Raises
    StorageQuotaReached."""
    row = await ReportRepository(unit.session, unit.tenant).find(report_id, for_update=True)
    if row is None or row.finished_at is not None:
        return None
    storage = StorageRepository(unit.session, unit.tenant)
    await require_room(unit, StorageQuotaReached, storage.used, size)
    await storage.add(file, size)
    now = utc_now()
    row.finished_at, row.expires_at = now, now + timedelta(days=row.life_days)
    row.file, row.sha256, row.bytes = file, sha256, size
    row.title, row.responses = title, responses
    fact = ReportGenerated(
        report_id=row.id,
        form_id=row.form_id,
        language=row.wanted["language"],
        responses=responses,
        bytes=size,
        expires_at=row.expires_at.isoformat(),
    )
    record(unit, fact, actor=row.requested_by, origin=Origin())
    return row


def result_of(row: ReportRow) -> dict[str, Any]:
    """What the job reports."""
    return {
        "report_id": row.id,
        "download_url": _url(row),
        "expires_at": row.expires_at.isoformat(),
        "responses": row.responses,
        "bytes": row.bytes,
    }


async def _readable(unit: UnitOfWork, principal: Principal, report_id: str) -> ReportRow:
    row = await ReportRepository(unit.session, unit.tenant).find(report_id)
    if row is None or row.expires_at <= utc_now() or not principal.may(READ, row.form_id):
        raise ReportNotFound
    if row.sees_personal and not principal.may(PERSONAL, row.form_id):
        raise ReportNotFound
    if not await PublishedFormRepository(unit.session, unit.tenant).exists(row.form_id):
        raise ReportNotFound
    return row


def _to_file(row: ReportRow) -> ReportFile:
    if row.file is None:
        raise ReportNotReady
    return ReportFile(object=row.file, name=f"report-{row.form_id}.pdf", size=row.bytes, sha256=row.sha256)


async def _to_report(unit: UnitOfWork, row: ReportRow) -> Report:
    job = None if row.file is not None else await JobRepository(unit.session, unit.tenant).find(row.job_id)
    return Report.model_validate(
        {
            "id": row.id,
            "form_id": row.form_id,
            "job_id": row.job_id,
            "schedule_id": row.schedule_id,
            "title": row.title,
            "language": row.wanted["language"],
            "since": row.wanted["since"],
            "until": row.wanted["until"],
            "state": "ready" if row.file is not None else _STATES.get(job.state if job else "", "failed"),
            "has_personal": row.sees_personal,
            "requested_by": row.requested_by,
            "created_at": row.created_at,
            "finished_at": row.finished_at,
            "expires_at": row.expires_at,
            "responses": row.responses,
            "bytes": row.bytes,
            "download_url": None if row.file is None else _url(row),
        }
    )


def _url(row: ReportRow) -> str:
    return f"/api/v1/reports/{row.id}/download"
