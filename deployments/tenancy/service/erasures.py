"""The rules of erasing a tenant: when, on whose word, and what proves it."""

from datetime import datetime
from typing import Final

from db.models.identity import Tenant
from db.models.tenancy import ErasureReceipt as ReceiptRow
from db.repositories.audit import AuditRepository
from db.repositories.tenant_exports import ErasureReceiptRepository
from db.repositories.tenants import TenantRepository
from db.session import UnitOfWork
from db.types import utc_now
from deployments.kit.contract import Page, PageMeta
from deployments.kit.pagination import decode_cursor, encode_cursor
from deployments.kit.principal import PLATFORM_TENANT, Principal
from deployments.tenancy.contracts import EraseTenant, ErasureReceipt, OrderedJob
from deployments.tenancy.errors import (
    ErasureUnconfirmed,
    ReceiptNotFound,
    TenantErased,
    TenantInGrace,
    TenantNotDeleted,
    TenantNotFound,
)
from deployments.tenancy.receipts import Signer
from deployments.tenancy.service.access import PLATFORM_ADMIN
from eventing.events.envelope import Origin
from eventing.events.tenancy import TenantErased as TenantErasedFact
from eventing.events.tenancy import TenantErasureRequested
from eventing.jobs import JobSpec, enqueue_again
from eventing.outbox import record

__all__ = [
    "ERASE",
    "PLATFORM_ADMIN",
    "QUEUE",
    "begin",
    "end",
    "get_receipt",
    "is_due",
    "list_receipts",
    "order",
    "start",
]

ERASE: Final = "tenant.erase"
QUEUE: Final = "batch"

_SORT: Final = "tenant_id"


def is_due(row: Tenant) -> bool:
    """Whether nobody can bring the tenant back any more."""
    return row.status == "deleted" and row.erase_after is not None and row.erase_after <= utc_now()


async def start(unit: UnitOfWork, principal: Principal, tenant_id: str, command: EraseTenant) -> OrderedJob:
    """Order the erasure of a deleted tenant; the order of an erasure that did not end yet is answered. For an
    unscoped unit. Raises Forbidden, TenantNotFound, ErasureUnconfirmed, TenantNotDeleted, TenantInGrace, TenantErased.
    """
    principal.require(PLATFORM_ADMIN)
    if command.confirm != tenant_id:
        raise ErasureUnconfirmed.at("/confirm", ErasureUnconfirmed.code, ErasureUnconfirmed.title)
    await unit.enter_tenant(tenant_id)
    row = await TenantRepository(unit.session, tenant_id).get_locked()
    if row is None:
        raise TenantNotFound
    if row.erased_at is not None:
        raise TenantErased
    if row.status != "deleted":
        raise TenantNotDeleted
    if not is_due(row):
        if not command.force:
            raise TenantInGrace
        row.erase_after = utc_now()  # from now on it cannot be resumed
    await unit.enter_tenant(PLATFORM_TENANT)
    fact = TenantErasureRequested(erased_tenant_id=tenant_id, force=command.force)
    record(unit, fact, actor=principal.subject, origin=principal.origin)
    return OrderedJob(job_id=await order(unit, tenant_id, principal.subject))


async def order(unit: UnitOfWork, tenant_id: str, actor: str) -> str:
    """The job that erases the tenant, in a unit of the platform's own tenant. One, however often it is ordered."""
    payload = {"tenant_id": tenant_id, "requested_by": actor}
    return await enqueue_again(unit, JobSpec(ERASE, payload, actor, unique_key=f"{ERASE}:{tenant_id}", queue=QUEUE))


async def begin(unit: UnitOfWork, tenant_id: str, actor: str) -> None:
    """Open the receipt, with the end of the audit trail while it is there. Once. For an unscoped unit."""
    await unit.enter_tenant(PLATFORM_TENANT)
    receipts = ErasureReceiptRepository(unit.session)
    if await receipts.find(tenant_id) is not None:
        return
    await unit.enter_tenant(tenant_id)
    sequence, digest = await AuditRepository(unit.session, tenant_id).head()
    await unit.enter_tenant(PLATFORM_TENANT)
    receipts.add(
        ReceiptRow(
            tenant_id=PLATFORM_TENANT,
            erased_tenant_id=tenant_id,
            requested_by=actor,
            started_at=utc_now(),
            rows={},
            audit_sequence=sequence,
            audit_hash=digest,
        )
    )


async def end(unit: UnitOfWork, tenant_id: str, signer: Signer) -> ErasureReceipt:
    """Leave nothing of the tenant's row but its id, which stays taken, and sign the receipt. For an unscoped unit."""
    await unit.enter_tenant(tenant_id)
    tenant = await TenantRepository(unit.session, tenant_id).get_locked()
    if tenant is None:
        raise LookupError(tenant_id)
    now = utc_now()
    tenant.name, tenant.settings, tenant.erased_at, tenant.updated_at = "", {}, now, now
    await unit.enter_tenant(PLATFORM_TENANT)
    row = await ErasureReceiptRepository(unit.session).find_locked(tenant_id)
    row.ended_at = now
    receipt = signer.signed(_to_receipt(row, now))
    row.public_key, row.signature = receipt.public_key, receipt.signature
    fact = TenantErasedFact(
        erased_tenant_id=tenant_id, rows=sum(row.rows.values()), objects=row.objects, messages=row.messages
    )
    record(unit, fact, actor=row.requested_by, origin=Origin())
    return receipt


async def list_receipts(unit: UnitOfWork, principal: Principal, cursor: str | None, limit: int) -> Page[ErasureReceipt]:
    """The receipts of all erasures, by tenant."""
    principal.require(PLATFORM_ADMIN)
    after = None if cursor is None else str(decode_cursor(cursor, _SORT, 1)[0])
    rows = await ErasureReceiptRepository(unit.session).page(after, limit + 1)
    more = encode_cursor(_SORT, [rows[limit - 1].erased_tenant_id]) if len(rows) > limit else None
    data = [_to_receipt(row, row.ended_at) for row in rows[:limit] if row.ended_at is not None]
    return Page[ErasureReceipt](data=data, meta=PageMeta(limit=limit, next_cursor=more))


async def get_receipt(unit: UnitOfWork, principal: Principal, tenant_id: str) -> ErasureReceipt:
    """The receipt for a tenant. Raises ReceiptNotFound, also while the erasure has not ended."""
    principal.require(PLATFORM_ADMIN)
    row = await ErasureReceiptRepository(unit.session).find(tenant_id)
    if row is None or row.ended_at is None:
        raise ReceiptNotFound
    return _to_receipt(row, row.ended_at)


def _to_receipt(row: ReceiptRow, ended_at: datetime) -> ErasureReceipt:
    return ErasureReceipt(
        tenant_id=row.erased_tenant_id,
        requested_by=row.requested_by,
        started_at=row.started_at,
        ended_at=ended_at,
        rows=row.rows,
        objects=row.objects,
        messages=row.messages,
        audit_sequence=row.audit_sequence,
        audit_hash=row.audit_hash,
        public_key=row.public_key,
        signature=row.signature,
    )
