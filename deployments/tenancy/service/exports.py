"""The rules of exports of a whole tenant: who may have one, one at a time, for how long."""

from datetime import timedelta
from typing import Final

from db.models.jobs import Job
from db.models.tenancy import TenantExport as ExportRow
from db.repositories.jobs import JobRepository
from db.repositories.tenant_exports import TenantExportRepository
from db.repositories.tenants import TenantRepository
from db.session import UnitOfWork
from db.types import new_id, utc_now
from deployments.kit.audit import audit
from deployments.kit.contract import Page, PageMeta
from deployments.kit.features import require_feature
from deployments.kit.pagination import decode_cursor, encode_cursor
from deployments.kit.principal import Principal
from deployments.tenancy.contracts import ExportFile, OrderedJob, TenantExport
from deployments.tenancy.errors import ExportNotFound, ExportNotReady
from deployments.tenancy.service.access import OWN, PLATFORM_ADMIN, existing
from eventing.events.envelope import Origin
from eventing.events.tenancy import TenantExported, TenantExportRequested
from eventing.jobs import JobSpec, enqueue
from eventing.outbox import record

EXPORT: Final = "tenant.export"
EXPIRE: Final = "tenant.export_expire"
QUEUE: Final = "batch"
LIFE: Final = timedelta(days=7)

_SORT: Final = "-id"


async def start(unit: UnitOfWork, principal: Principal, tenant_id: str) -> OrderedJob:
    """Order an export; while one is under way that one is answered. `unit` is unscoped.

    The job belongs to the tenant that the principal works in: an administrator's runs for a closed tenant, too.
    Raises TenantNotFound, Forbidden, FeatureDisabled.
    """
    principal.require(OWN)
    await unit.enter_tenant(tenant_id)
    tenant = existing(principal, await TenantRepository(unit.session, tenant_id).get_locked())
    if not principal.may(PLATFORM_ADMIN):
        require_feature(tenant.settings, "exports")
    exports = TenantExportRepository(unit.session, tenant_id)
    for earlier in await exports.page(None, 1):
        await unit.enter_tenant(earlier.job_tenant_id)
        job = await JobRepository(unit.session, earlier.job_tenant_id).find(earlier.job_id)
        if job is not None and job.state in ("queued", "running"):
            return OrderedJob(job_id=job.id)
        await unit.enter_tenant(tenant_id)
    export_id = new_id("exp")
    record(unit, TenantExportRequested(export_id=export_id), actor=principal.subject, origin=principal.origin)
    await unit.enter_tenant(principal.tenant_id)
    payload = {"tenant_id": tenant_id, "export_id": export_id}
    spec = JobSpec(EXPORT, payload, principal.subject, unique_key=f"{EXPORT}:{export_id}", queue=QUEUE)
    job_id = await enqueue(unit, spec)
    await unit.enter_tenant(tenant_id)
    exports.add(
        ExportRow(
            tenant_id=tenant_id,
            id=export_id,
            job_tenant_id=principal.tenant_id,
            job_id=job_id,
            requested_by=principal.subject,
            created_at=utc_now(),
        )
    )
    return OrderedJob(job_id=job_id)


async def list_all(
    unit: UnitOfWork, principal: Principal, tenant_id: str, cursor: str | None, limit: int
) -> Page[TenantExport]:
    """The exports that are not expired, newest first. `unit` is unscoped. Raises TenantNotFound, Forbidden."""
    principal.require(OWN)
    await unit.enter_tenant(tenant_id)
    existing(principal, await TenantRepository(unit.session, tenant_id).get())
    before = None if cursor is None else str(decode_cursor(cursor, _SORT, 1)[0])
    rows = await TenantExportRepository(unit.session, tenant_id).page(before, limit + 1)
    more = encode_cursor(_SORT, [rows[limit - 1].id]) if len(rows) > limit else None
    shown = []
    for row in rows[:limit]:
        await unit.enter_tenant(row.job_tenant_id)
        shown.append(_to_export(row, await JobRepository(unit.session, row.job_tenant_id).find(row.job_id)))
    return Page[TenantExport](data=shown, meta=PageMeta(limit=limit, next_cursor=more))


async def opened(unit: UnitOfWork, principal: Principal, export_id: str) -> ExportFile:
    """Where the export lies; that it was fetched is written down. Raises ExportNotFound, ExportNotReady, Forbidden."""
    principal.require(OWN)
    existing(principal, await TenantRepository(unit.session, unit.tenant).get())
    row = await TenantExportRepository(unit.session, unit.tenant).find(export_id)
    if row is None or (row.expires_at is not None and row.expires_at <= utc_now()):
        raise ExportNotFound
    if row.file is None:
        raise ExportNotReady
    audit(unit, principal, "tenant.export_fetched", row.id)
    return ExportFile(file=row.file, bytes=row.bytes)


async def finish(unit: UnitOfWork, export_id: str, file: str, rows: int, size: int) -> None:
    """The file is complete: it can be fetched, and its end is ordered. Once, however often it is said."""
    row = await TenantExportRepository(unit.session, unit.tenant).find_locked(export_id)
    if row is None or row.finished_at is not None:
        return
    now = utc_now()
    row.finished_at, row.expires_at = now, now + LIFE
    row.file, row.rows, row.bytes = file, rows, size
    fact = TenantExported(export_id=row.id, rows=rows, bytes=size, expires_at=row.expires_at.isoformat())
    record(unit, fact, actor=row.requested_by, origin=Origin())
    payload = {"export_id": export_id}
    key = f"{EXPIRE}:{export_id}"
    spec = JobSpec(EXPIRE, payload, "system:tenancy", key, run_after_s=LIFE.total_seconds(), queue=QUEUE)
    await enqueue(unit, spec)


def _to_export(row: ExportRow, job: Job | None) -> TenantExport:
    states = {"queued": "queued", "running": "running", "cancelled": "cancelled"}
    state = "ready" if row.file is not None else states.get(job.state if job else "", "failed")
    return TenantExport.model_validate(
        {
            "id": row.id,
            "job_id": row.job_id,
            "state": state,
            "requested_by": row.requested_by,
            "created_at": row.created_at,
            "finished_at": row.finished_at,
            "expires_at": row.expires_at,
            "rows": row.rows,
            "bytes": row.bytes,
        }
    )
