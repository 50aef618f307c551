"""Signed deliveries of events to customers' addresses."""

from deployments.kit.contract import Page
from deployments.webhooks.contracts import CreatedWebhook, CreateWebhook, Delivery, UpdateWebhook, Webhook
from serve_app.edge.operations import Exchange, Operation, PageQuery, Reply


async def create_webhook(x: Exchange) -> Reply:
    return Reply(await x.apis.webhooks.create(x.principal, x.body))


async def list_webhooks(x: Exchange) -> Reply:
    return Reply(await x.apis.webhooks.list_webhooks(x.principal, x.query.cursor, x.query.limit))


async def get_webhook(x: Exchange) -> Reply:
    return Reply(await x.apis.webhooks.get(x.principal, x.path["webhook_id"]))


async def update_webhook(x: Exchange) -> Reply:
    return Reply(await x.apis.webhooks.update(x.principal, x.path["webhook_id"], x.body))


async def delete_webhook(x: Exchange) -> Reply:
    await x.apis.webhooks.delete(x.principal, x.path["webhook_id"])
    return Reply()


async def test_webhook(x: Exchange) -> Reply:
    return Reply(await x.apis.webhooks.test(x.principal, x.path["webhook_id"]))


async def list_deliveries(x: Exchange) -> Reply:
    page = await x.apis.webhooks.list_deliveries(x.principal, x.path["webhook_id"], x.query.cursor, x.query.limit)
    return Reply(page)


async def retry_delivery(x: Exchange) -> Reply:
    return Reply(await x.apis.webhooks.retry(x.principal, x.path["delivery_id"]))


OPERATIONS = (
    Operation(
        id="create_webhook",
        method="POST",
        path="/api/v1/webhooks",
        summary="Create a webhook endpoint",
        description="Deliveries are signed as in Standard Webhooks; the signing secret is shown this once.",
        tag="Webhooks",
        scope="webhooks:write",
        handler=create_webhook,
        request=CreateWebhook,
        response=CreatedWebhook,
        status=201,
        example={"url": "https://example.com/hook", "events": ["response.submitted"], "form_id": None},
    ),
    Operation(
        id="list_webhooks",
        method="GET",
        path="/api/v1/webhooks",
        summary="The tenant's webhook endpoints",
        tag="Webhooks",
        scope="webhooks:read",
        handler=list_webhooks,
        query=PageQuery,
        response=Page[Webhook],
    ),
    Operation(
        id="get_webhook",
        method="GET",
        path="/api/v1/webhooks/{webhook_id}",
        summary="A webhook endpoint",
        tag="Webhooks",
        scope="webhooks:read",
        handler=get_webhook,
        response=Webhook,
    ),
    Operation(
        id="update_webhook",
        method="PATCH",
        path="/api/v1/webhooks/{webhook_id}",
        summary="Change a webhook endpoint",
        tag="Webhooks",
        scope="webhooks:write",
        handler=update_webhook,
        request=UpdateWebhook,
        response=Webhook,
    ),
    Operation(
        id="delete_webhook",
        method="DELETE",
        path="/api/v1/webhooks/{webhook_id}",
        summary="Delete a webhook endpoint",
        tag="Webhooks",
        scope="webhooks:write",
        handler=delete_webhook,
        status=204,
    ),
    Operation(
        id="test_webhook",
        method="POST",
        path="/api/v1/webhooks/{webhook_id}/test",
        summary="Send a signed test event",
        tag="Webhooks",
        scope="webhooks:write",
        handler=test_webhook,
        response=Delivery,
        status=202,
    ),
    Operation(
        id="list_deliveries",
        method="GET",
        path="/api/v1/webhooks/{webhook_id}/deliveries",
        summary="The deliveries to an endpoint, with every attempt",
        tag="Webhooks",
        scope="webhooks:read",
        handler=list_deliveries,
        query=PageQuery,
        response=Page[Delivery],
    ),
    Operation(
        id="retry_delivery",
        method="POST",
        path="/api/v1/deliveries/{delivery_id}/retry",
        summary="Try a delivery again",
        tag="Webhooks",
        scope="webhooks:write",
        handler=retry_delivery,
        response=Delivery,
        status=202,
        errors=(409,),
    ),
)
