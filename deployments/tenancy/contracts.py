"""What crosses the door of tenancy."""

from typing import Protocol

from deployments.kit.contract import Contract
from deployments.kit.principal import Principal


class Meter(Contract):
    """How much there is of something and how much there may be; `limit` is null for no limit."""

    used: int
    limit: int | None


class TenantUsage(Contract):
    """What a tenant holds at this moment, exactly, and which switches were set for it."""

    meters: dict[str, Meter]
    features: dict[str, bool]


class TenancyApi(Protocol):
    """How much of the platform a tenant uses."""

    async def usage(self, principal: Principal, tenant_id: str) -> TenantUsage: ...
