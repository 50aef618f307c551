"""Which switches a tenant has on."""

from typing import Final

from db.repositories.tenants import TenantRepository
from db.session import UnitOfWork

LOGIN_CODES: Final = "login_codes"
REQUIRE_SECOND_FACTOR: Final = "require_second_factor"


async def is_on(unit: UnitOfWork, feature: str) -> bool:
    """Whether the unit's tenant is active and has the switch on; switches are off until somebody sets them."""
    tenant = await TenantRepository(unit.session, unit.tenant).get()
    if tenant is None or tenant.status != "active":
        return False
    return tenant.settings.get("features", {}).get(feature) is True
