"""The door of audit: opens the unit of work, calls the rules, returns a contract."""

from db.session import Database
from deployments.audit import service
from deployments.audit.contracts import AuditEntry, FindEntries, Verification
from deployments.kit.contract import Page
from deployments.kit.principal import Principal


class Audit:
    """What was done in a tenant, by whom, from where; provably unchanged."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list_entries(
        self, principal: Principal, query: FindEntries, cursor: str | None, limit: int
    ) -> Page[AuditEntry]:
        async with self._database.read(principal.tenant_id) as unit:
            return await service.list_entries(unit, principal, query, cursor, limit)

    async def verify(self, principal: Principal) -> Verification:
        async with self._database.read(principal.tenant_id) as unit:
            return await service.verify(unit, principal)

    async def holds(self, principal: Principal, sequence: int, digest: str) -> bool:
        async with self._database.read(principal.tenant_id) as unit:
            return await service.holds(unit, principal, sequence, digest)
