"""A tenant as a whole: what it uses, a copy of everything it has, its erasure."""

from collections.abc import AsyncIterator

from deployments.kit.contract import Page
from deployments.kit.errors import NotFound
from deployments.tenancy.contracts import EraseTenant, ErasureReceipt, OrderedJob, TenantExport, TenantUsage
from serve_app.edge.operations import Exchange, Operation, PageQuery, Reply

_ADMIN = "platform:admin"
_OWN = "tenant:own"


async def get_tenant_usage(x: Exchange) -> Reply:
    return Reply(await x.apis.tenancy.usage(x.principal, x.path["tenant_id"]))


async def start_export(x: Exchange) -> Reply:
    return _ordered(await x.apis.tenancy.start_export(x.principal, x.path["tenant_id"]))


async def list_exports(x: Exchange) -> Reply:
    query: PageQuery = x.query
    return Reply(await x.apis.tenancy.list_exports(x.principal, x.path["tenant_id"], query.cursor, query.limit))


async def download_export(x: Exchange) -> Reply:
    export_id = x.path["export_id"]
    found = await x.apis.tenancy.open_export(x.principal, x.path["tenant_id"], export_id)
    name = found.file.rpartition("/")[2]
    return Reply(
        stream=_pieces(x, found.file),
        media_type="application/zip",
        headers=(("content-disposition", f'attachment; filename="{name}"'),),
    )


async def _pieces(x: Exchange, file: str) -> AsyncIterator[bytes]:
    try:
        async for piece in x.objects.read(file):
            yield piece
    except FileNotFoundError as error:
        # It expired, or its tenant was erased, since we asked.
        raise NotFound("the export is not there any more") from error


async def erase_tenant(x: Exchange) -> Reply:
    return _ordered(await x.apis.tenancy.start_erasure(x.principal, x.path["tenant_id"], x.body))


async def list_receipts(x: Exchange) -> Reply:
    query: PageQuery = x.query
    return Reply(await x.apis.tenancy.list_receipts(x.principal, query.cursor, query.limit))


async def get_receipt(x: Exchange) -> Reply:
    return Reply(await x.apis.tenancy.get_receipt(x.principal, x.path["tenant_id"]))


def _ordered(job: OrderedJob) -> Reply:
    return Reply(job, headers=(("location", f"/api/v1/jobs/{job.job_id}"),))


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
    Operation(
        id="export_tenant",
        method="POST",
        path="/api/v1/tenants/{tenant_id}/export",
        summary="Export everything a tenant has",
        description="A job makes a ZIP file: a JSON Lines file for each table, the tenant's files, and a manifest with "
        "counts and checksums. One at a time: while one is made, its job is answered. The job belongs to the tenant "
        "that the credential works in.",
        tag="Tenants",
        scope=_OWN,
        handler=start_export,
        response=OrderedJob,
        status=202,
    ),
    Operation(
        id="list_tenant_exports",
        method="GET",
        path="/api/v1/tenants/{tenant_id}/exports",
        summary="A tenant's exports, newest first",
        tag="Tenants",
        scope=_OWN,
        handler=list_exports,
        query=PageQuery,
        response=Page[TenantExport],
    ),
    Operation(
        id="download_tenant_export",
        method="GET",
        path="/api/v1/tenants/{tenant_id}/exports/{export_id}/download",
        summary="Fetch an export",
        description="Streamed. A connection that breaks before the end means an incomplete file. An export is deleted "
        "after 7 days.",
        tag="Tenants",
        scope=_OWN,
        handler=download_export,
        response=bytes,
        response_media_type="application/zip",
        errors=(409,),
    ),
    Operation(
        id="erase_tenant",
        method="POST",
        path="/api/v1/tenants/{tenant_id}/erase",
        summary="Erase a deleted tenant for good",
        description="Everything goes: rows, files, events, messages, the audit trail. A signed receipt stays. Happens "
        "by itself after the grace period; `force` does not wait for its end. The job is one of the platform's own "
        "tenant.",
        tag="Tenants",
        scope=_ADMIN,
        handler=erase_tenant,
        request=EraseTenant,
        response=OrderedJob,
        status=202,
        errors=(409,),
        example={"confirm": "acme"},
    ),
    Operation(
        id="list_erasure_receipts",
        method="GET",
        path="/api/v1/erasure-receipts",
        summary="Receipts of all erasures",
        tag="Tenants",
        scope=_ADMIN,
        handler=list_receipts,
        query=PageQuery,
        response=Page[ErasureReceipt],
    ),
    Operation(
        id="get_erasure_receipt",
        method="GET",
        path="/api/v1/erasure-receipts/{tenant_id}",
        summary="The receipt for an erased tenant",
        description="`formstream verify-receipt FILE` checks its signature.",
        tag="Tenants",
        scope=_ADMIN,
        handler=get_receipt,
        response=ErasureReceipt,
    ),
)
