"""The platform's customers."""

from deployments.identity.contracts import CreateTenant, Tenant, UpdateTenant
from deployments.kit.contract import Page
from serve_app.edge.operations import Exchange, Operation, PageQuery, Reply

_ADMIN = "platform:admin"


async def create_tenant(x: Exchange) -> Reply:
    return Reply(await x.apis.identity.create_tenant(x.principal, x.body))


async def list_tenants(x: Exchange) -> Reply:
    return Reply(await x.apis.identity.list_tenants(x.principal, x.query.cursor, x.query.limit))


async def get_tenant(x: Exchange) -> Reply:
    return Reply(await x.apis.identity.get_tenant(x.principal, x.path["tenant_id"]))


async def update_tenant(x: Exchange) -> Reply:
    return Reply(await x.apis.identity.update_tenant(x.principal, x.path["tenant_id"], x.body))


async def suspend_tenant(x: Exchange) -> Reply:
    return Reply(await x.apis.identity.suspend_tenant(x.principal, x.path["tenant_id"]))


async def resume_tenant(x: Exchange) -> Reply:
    return Reply(await x.apis.identity.resume_tenant(x.principal, x.path["tenant_id"]))


async def delete_tenant(x: Exchange) -> Reply:
    return Reply(await x.apis.identity.delete_tenant(x.principal, x.path["tenant_id"]))


OPERATIONS = (
    Operation(
        id="create_tenant",
        method="POST",
        path="/api/v1/tenants",
        summary="Create a tenant",
        tag="Tenants",
        scope=_ADMIN,
        handler=create_tenant,
        request=CreateTenant,
        response=Tenant,
        status=201,
        errors=(409,),
        example={"id": "acme", "name": "Acme", "settings": {"max_forms": 20}},
    ),
    Operation(
        id="list_tenants",
        method="GET",
        path="/api/v1/tenants",
        summary="Every tenant",
        tag="Tenants",
        scope=_ADMIN,
        handler=list_tenants,
        query=PageQuery,
        response=Page[Tenant],
    ),
    Operation(
        id="get_tenant",
        method="GET",
        path="/api/v1/tenants/{tenant_id}",
        summary="A tenant with its settings",
        tag="Tenants",
        scope="tenant:read",
        handler=get_tenant,
        response=Tenant,
    ),
    Operation(
        id="update_tenant",
        method="PATCH",
        path="/api/v1/tenants/{tenant_id}",
        summary="Change a tenant",
        description="Settings are merged key by key. Quotas may be changed by platform administrators only.",
        tag="Tenants",
        scope="tenant:write",
        handler=update_tenant,
        request=UpdateTenant,
        response=Tenant,
    ),
    Operation(
        id="suspend_tenant",
        method="POST",
        path="/api/v1/tenants/{tenant_id}/suspend",
        summary="Suspend a tenant",
        description="Its credentials stop working within a second and its public forms are closed.",
        tag="Tenants",
        scope=_ADMIN,
        handler=suspend_tenant,
        response=Tenant,
    ),
    Operation(
        id="resume_tenant",
        method="POST",
        path="/api/v1/tenants/{tenant_id}/resume",
        summary="End a tenant's suspension, or take back its deletion",
        description="A deleted tenant can be resumed until its `erase_after`.",
        tag="Tenants",
        scope=_ADMIN,
        handler=resume_tenant,
        response=Tenant,
    ),
    Operation(
        id="delete_tenant",
        method="DELETE",
        path="/api/v1/tenants/{tenant_id}",
        summary="Delete a tenant",
        description="Its credentials stop working within a second and its public forms are closed. Its data stay, and "
        "a platform administrator can resume it, until `erase_after`.",
        tag="Tenants",
        scope="tenant:own",
        handler=delete_tenant,
        response=Tenant,
    ),
)
