"""The rules of looking at what a tenant uses."""

from db.repositories.tenants import TenantRepository
from db.repositories.usage import UsageRepository
from db.session import UnitOfWork
from deployments.identity.contracts import TenantSettings
from deployments.kit.features import FEATURES, is_enabled
from deployments.kit.principal import Principal
from deployments.tenancy.contracts import Meter, TenantUsage
from deployments.tenancy.errors import TenantNotFound


async def usage(unit: UnitOfWork, principal: Principal) -> TenantUsage:
    """What the unit's tenant holds. Raises TenantNotFound, for a deleted one too."""
    principal.require("tenant:read")
    row = await TenantRepository(unit.session, unit.tenant).get()
    if row is None or row.status == "deleted":
        raise TenantNotFound
    settings = TenantSettings.model_validate(row.settings)
    counted = UsageRepository(unit.session, unit.tenant)
    return TenantUsage(
        meters={
            "forms": Meter(used=await counted.forms(), limit=settings.max_forms),
            "responses": Meter(used=await counted.responses(), limit=None),
            "responses_in_largest_form": Meter(
                used=await counted.largest_form(), limit=settings.max_responses_per_form
            ),
            "users": Meter(used=await counted.users(), limit=settings.max_users),
            "webhooks": Meter(used=await counted.webhooks(), limit=settings.max_webhooks),
            "storage_bytes": Meter(used=await counted.storage_bytes(), limit=settings.max_storage_bytes),
        },
        features={name: is_enabled(row.settings, name) for name in FEATURES},
    )
