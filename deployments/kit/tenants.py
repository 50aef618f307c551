"""Whether there is a tenant to work for, and an open one: nothing is done for a closed one, nor handed out."""

from db.repositories.tenants import TenantRepository
from db.session import UnitOfWork
from deployments.kit.errors import DomainError, TenantRequired, TenantSuspended
from deployments.kit.principal import PLATFORM_TENANT, Principal


def require_customer(principal: Principal) -> None:
    """Raise TenantRequired for an administrator of the platform who has named no tenant."""
    if principal.tenant_id == PLATFORM_TENANT:
        raise TenantRequired


def require_active(status: str | None, gone: type[DomainError]) -> None:
    """Raise TenantSuspended, or `gone` for a tenant that is deleted or was never there (None)."""
    if status == "suspended":
        raise TenantSuspended
    if status != "active":
        raise gone


async def require_active_tenant(unit: UnitOfWork, gone: type[DomainError]) -> None:
    """See `require_active`: the unit's tenant, as it is now."""
    tenant = await TenantRepository(unit.session, unit.tenant).get()
    require_active(tenant.status if tenant is not None else None, gone)
