"""Who may reach a tenant as a whole."""

import re
from typing import Final

from db.models.identity import Tenant
from deployments.identity.contracts import TENANT_ID
from deployments.kit.principal import Principal
from deployments.tenancy.errors import TenantNotFound

PLATFORM_ADMIN: Final = "platform:admin"
OWN: Final = "tenant:own"


def reachable(principal: Principal, tenant_id: str) -> str:
    """The id, when it is one that the principal may know about. Raises TenantNotFound."""
    own = tenant_id == principal.tenant_id or principal.may(PLATFORM_ADMIN)
    if not own or re.fullmatch(TENANT_ID, tenant_id) is None:
        raise TenantNotFound
    return tenant_id


def known(row: Tenant | None) -> Tenant:
    """The tenant, while there is anything left of it. Raises TenantNotFound."""
    if row is None or row.erased_at is not None:
        raise TenantNotFound
    return row


def existing(principal: Principal, row: Tenant | None) -> Tenant:
    """The tenant; a deleted one only for platform administrators. Raises TenantNotFound."""
    if known(row).status == "deleted" and not principal.may(PLATFORM_ADMIN):
        raise TenantNotFound
    return known(row)
