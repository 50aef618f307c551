"""The door of tenancy: opens the unit of work, calls the rules, returns a contract."""

from db.repositories.platform_figures import platform_figures
from db.session import Database
from deployments.kit.contract import Page
from deployments.kit.kept_keys import KeptKeys
from deployments.kit.principal import PLATFORM_TENANT, Principal
from deployments.kit.secret_keys import Keys
from deployments.kit.vault import Vault
from deployments.tenancy.contracts import (
    EraseTenant,
    ErasureReceipt,
    ExportFile,
    OrderedJob,
    PlatformMeasures,
    TenantExport,
    TenantUsage,
)
from deployments.tenancy.people import orders
from deployments.tenancy.people_contracts import ErasePerson, PersonErasure, PersonErasureReceipt
from deployments.tenancy.service import erasures, exports
from deployments.tenancy.service.access import reachable
from deployments.tenancy.service.usage import usage


class Tenancy:
    """A tenant as a whole: what it uses, a copy of everything it has, its erasure, and that of single persons."""

    def __init__(self, database: Database, keys: Keys = "") -> None:
        """`keys` are the platform's: without one nobody can ask for a person's erasure."""
        self._database = database
        self._vault = Vault(keys)
        self._kept = KeptKeys(database, self._vault)

    async def usage(self, principal: Principal, tenant_id: str) -> TenantUsage:
        async with self._database.read(reachable(principal, tenant_id)) as unit:
            return await usage(unit, principal)

    async def start_export(self, principal: Principal, tenant_id: str) -> OrderedJob:
        reachable(principal, tenant_id)
        async with self._database.unscoped_write() as unit:
            return await exports.start(unit, principal, tenant_id)

    async def list_exports(
        self, principal: Principal, tenant_id: str, cursor: str | None, limit: int
    ) -> Page[TenantExport]:
        reachable(principal, tenant_id)
        async with self._database.unscoped_read() as unit:
            return await exports.list_all(unit, principal, tenant_id, cursor, limit)

    async def open_export(self, principal: Principal, tenant_id: str, export_id: str) -> ExportFile:
        async with self._database.write(reachable(principal, tenant_id)) as unit:
            return await exports.opened(unit, principal, export_id)

    async def start_erasure(self, principal: Principal, tenant_id: str, command: EraseTenant) -> OrderedJob:
        principal.require(erasures.PLATFORM_ADMIN)
        reachable(principal, tenant_id)
        async with self._database.unscoped_write() as unit:
            return await erasures.start(unit, principal, tenant_id, command)

    async def list_receipts(self, principal: Principal, cursor: str | None, limit: int) -> Page[ErasureReceipt]:
        principal.require(erasures.PLATFORM_ADMIN)
        async with self._database.read(PLATFORM_TENANT) as unit:
            return await erasures.list_receipts(unit, principal, cursor, limit)

    async def get_receipt(self, principal: Principal, tenant_id: str) -> ErasureReceipt:
        principal.require(erasures.PLATFORM_ADMIN)
        async with self._database.read(PLATFORM_TENANT) as unit:
            return await erasures.get_receipt(unit, principal, tenant_id)

    async def measure(self) -> PlatformMeasures:
        figures = await self._database.view(platform_figures)
        return PlatformMeasures(
            tenants=dict(figures.tenants),
            forms=dict(figures.forms),
            responses=figures.responses,
            people=figures.people,
        )

    async def erase_person(self, principal: Principal, command: ErasePerson) -> PersonErasure:
        sealing = orders.Sealing(self._vault, await self._kept.people())
        async with self._database.write(principal.tenant_id) as unit:
            return await orders.start(unit, principal, command, sealing)

    async def list_person_erasures(self, principal: Principal, cursor: str | None, limit: int) -> Page[PersonErasure]:
        async with self._database.read(principal.tenant_id) as unit:
            return await orders.list_all(unit, principal, cursor, limit)

    async def get_person_erasure(self, principal: Principal, erasure_id: str) -> PersonErasure:
        async with self._database.read(principal.tenant_id) as unit:
            return await orders.get(unit, principal, erasure_id)

    async def get_person_receipt(self, principal: Principal, erasure_id: str) -> PersonErasureReceipt:
        async with self._database.read(principal.tenant_id) as unit:
            return await orders.receipt(unit, principal, erasure_id)
