"""The rules of reports: who may have one, how it is kept, and who fetches it."""

from datetime import timedelta
from typing import Any, Final

from db.models.reports import Report as ReportRow
from db.repositories.published_forms import PublishedFormRepository
from db.session import UnitOfWork
from db.types import utc_now
from deployments.kit.contract import Page
from deployments.kit.features import require_feature, settings_of
from deployments.kit.links import Links
from deployments.kit.made_files import PERSONAL, MadeFiles
from deployments.kit.objects import REPORTS
from deployments.kit.principal import Principal
from deployments.reports.contracts import (
    CreateReportLink,
    OrderedReport,
    OrderReport,
    Report,
    ReportLink,
)
from deployments.reports.errors import FormNotFound, ReportNotFound, ReportNotReady
from eventing.events.envelope import Origin
from eventing.events.reports import ReportGenerated
from eventing.outbox import record

PLANNED: Final = "reports.scheduled"

READ: Final = "analytics:read"
WRITE: Final = "reports:write"


def file_name(row: ReportRow) -> str:
    """What the file of a report is called where it is saved."""
    return f"report-{row.form_id}.pdf"


FILES: Final = MadeFiles(
    row=ReportRow,
    name="report",
    plural=REPORTS,
    prefix="rpt",
    scope=READ,
    not_found=ReportNotFound,
    not_ready=ReportNotReady,
    sent_as=lambda row: (file_name(row), "application/pdf"),
)


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
    unique_key = None if key is None else f"{FILES.name}:{principal.subject}:{key}"
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
    made = await FILES.order(
        unit,
        principal,
        command.form_id,
        command,
        timedelta(days=life_days),
        unique_key=unique_key,
        columns={
            "wanted": command.model_dump(mode="json"),
            "sees_personal": sees_personal,
            "life_days": life_days,
            "delivery": delivery,
            "schedule_id": schedule_id,
        },
    )
    return OrderedReport(report_id=made.id, job_id=made.job_id, replayed=made.replayed)


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
    rows, meta = await FILES.page(
        unit,
        form_id,
        cursor,
        limit,
        after=utc_now(),
        forms=None if principal.may(READ) else principal.forms_granted(READ),
        personal_in=None if principal.may(PERSONAL) else principal.forms_granted(PERSONAL),
    )
    return Page[Report](data=[await _to_report(unit, row) for row in rows], meta=meta)


async def get(unit: UnitOfWork, principal: Principal, report_id: str) -> Report:
    """A report. Raises ReportNotFound."""
    return await _to_report(unit, await FILES.readable(unit, principal, report_id))


async def link(
    unit: UnitOfWork, principal: Principal, report_id: str, command: CreateReportLink, links: Links, public_url: str
) -> ReportLink:
    """An address for the file that needs no credential. Raises ReportNotFound, ReportNotReady."""
    url, expires_at = await FILES.link(unit, principal, report_id, command.expires_in, links, public_url)
    return ReportLink(url=url, expires_at=expires_at)


async def delete(unit: UnitOfWork, principal: Principal, report_id: str) -> None:
    """Forget a report: its job is ended, its file removed. Raises ReportNotFound, Forbidden for somebody else's unless
    the principal may have reports made."""
    row = await FILES.readable(unit, principal, report_id)
    if row.requested_by != principal.subject:
        principal.require(WRITE)
    await FILES.delete(unit, principal, row)


async def finish(
    unit: UnitOfWork, report_id: str, file: str, *, sha256: str, size: int, title: str, responses: int
) -> ReportRow | None:
    """The file is complete and can be fetched. None when it is not wanted: the report is gone, or has a file. Raises
    StorageQuotaReached."""
    row = await FILES.finish(
        unit, report_id, file, sha256=sha256, size=size, life=lambda row: timedelta(days=row.life_days)
    )
    if row is None:
        return None
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


async def _to_report(unit: UnitOfWork, row: ReportRow) -> Report:
    own: dict[str, Any] = {
        "schedule_id": row.schedule_id,
        "title": row.title,
        "language": row.wanted["language"],
        "since": row.wanted["since"],
        "until": row.wanted["until"],
        "responses": row.responses,
    }
    return Report.model_validate(await FILES.shown(unit, row) | own)
