"""Queries on exports of tenants, their finished parts, and receipts of erasures."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from db.models.identity import PLATFORM_TENANT, Tenant
from db.models.tenancy import ErasureReceipt, TenantExport, TenantExportPart


class TenantExportRepository:
    """The exports of one tenant."""

    def __init__(self, session: AsyncSession, tenant_id: str) -> None:
        self._session = session
        self._tenant_id = tenant_id

    def add(self, row: TenantExport | TenantExportPart) -> None:
        """Add an export, or a part of one."""
        self._session.add(row)

    async def find(self, export_id: str) -> TenantExport | None:
        return await self._session.get(TenantExport, (self._tenant_id, export_id))

    async def find_locked(self, export_id: str) -> TenantExport | None:
        """The export as last committed; nobody else changes it until the transaction ends."""
        return await self._session.get(
            TenantExport, (self._tenant_id, export_id), with_for_update=True, populate_existing=True
        )

    async def delete(self, export: TenantExport) -> None:
        """Remove an export with its parts."""
        await self._session.delete(export)

    async def page(self, before_id: str | None, limit: int) -> Sequence[TenantExport]:
        """Up to `limit` exports, newest first, older than `before_id`."""
        mine = select(TenantExport).where(col(TenantExport.tenant_id) == self._tenant_id)
        if before_id is not None:
            mine = mine.where(col(TenantExport.id) < before_id)
        return (await self._session.scalars(mine.order_by(col(TenantExport.id).desc()).limit(limit))).all()

    async def parts(self, export_id: str) -> Sequence[TenantExportPart]:
        """The finished parts of an export, by table and number."""
        statement = (
            select(TenantExportPart)
            .where(col(TenantExportPart.tenant_id) == self._tenant_id, col(TenantExportPart.export_id) == export_id)
            .order_by(col(TenantExportPart.source), col(TenantExportPart.number))
        )
        return (await self._session.scalars(statement)).all()


class ErasureReceiptRepository:
    """The receipts of the platform: in a unit of its own tenant."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    def add(self, row: ErasureReceipt) -> None:
        """Add the receipt of an erasure that begins."""
        self._session.add(row)

    async def find(self, tenant_id: str) -> ErasureReceipt | None:
        """The receipt for a tenant, also when its erasure has not ended."""
        return await self._session.get(ErasureReceipt, (PLATFORM_TENANT, tenant_id))

    async def find_locked(self, tenant_id: str) -> ErasureReceipt:
        """The receipt of an erasure under way. Raises LookupError."""
        key = (PLATFORM_TENANT, tenant_id)
        row = await self._session.get(ErasureReceipt, key, with_for_update=True, populate_existing=True)
        if row is None:
            raise LookupError(tenant_id)
        return row

    async def page(self, after: str | None, limit: int) -> Sequence[ErasureReceipt]:
        """Up to `limit` receipts of erasures that have ended, by tenant, after the tenant `after`."""
        statement = (
            select(ErasureReceipt)
            .where(col(ErasureReceipt.tenant_id) == PLATFORM_TENANT, col(ErasureReceipt.ended_at).is_not(None))
            .order_by(col(ErasureReceipt.erased_tenant_id))
            .limit(limit)
        )
        if after is not None:
            statement = statement.where(col(ErasureReceipt.erased_tenant_id) > after)
        return (await self._session.scalars(statement)).all()


class ErasureDirectory:
    """Tenants whose time has come: needs an unscoped unit."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def due_in_any_tenant(self, now: datetime, after: str | None, limit: int) -> Sequence[str]:
        """Up to `limit` deleted tenants past their grace period that are not erased yet, by id."""
        statement = (
            select(col(Tenant.id))
            .where(
                col(Tenant.status) == "deleted",
                col(Tenant.erase_after) <= now,
                col(Tenant.erased_at).is_(None),
                col(Tenant.id) != PLATFORM_TENANT,
            )
            .order_by(col(Tenant.id))
            .limit(limit)
        )
        if after is not None:
            statement = statement.where(col(Tenant.id) > after)
        return (await self._session.scalars(statement)).all()
