"""The door of tenancy."""

from db.session import Database
from deployments.kit.principal import Principal
from deployments.tenancy import service
from deployments.tenancy.contracts import TenantUsage


class Tenancy:
    """How much of the platform a tenant uses."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def usage(self, principal: Principal, tenant_id: str) -> TenantUsage:
        async with self._database.read(service.reachable(principal, tenant_id)) as unit:
            return await service.usage(unit, principal)
