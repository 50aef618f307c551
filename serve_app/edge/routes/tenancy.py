"""How much of the platform a tenant uses."""

from deployments.tenancy.contracts import TenantUsage
from serve_app.edge.operations import Exchange, Operation, Reply


async def get_tenant_usage(x: Exchange) -> Reply:
    return Reply(await x.apis.tenancy.usage(x.principal, x.path["tenant_id"]))


OPERATIONS = (
    Operation(
        id="get_tenant_usage",
        method="GET",
        path="/api/v1/tenants/{tenant_id}/usage",
        summary="What a tenant holds, and its limits",
        tag="Tenants",
        scope="tenant:read",
        handler=get_tenant_usage,
        response=TenantUsage,
    ),
)
