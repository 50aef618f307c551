"""Whether a tenant is open: nothing is done for a closed one, nor handed out."""

from db.repositories.tenants import TenantRepository
from db.session import UnitOfWork
from deployments.kit.errors import DomainError, TenantSuspended


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
