"""Signed deliveries of events to customers' addresses."""

from pydantic import Field

from deployments.kit.contract import Contract, Page
from deployments.webhooks.contracts import (
    CreatedWebhook,
    CreateWebhook,
    Delivery,
    DeliveryDetail,
    DeliveryFilter,
    OrderedRecovery,
    RecoverWebhook,
    RotatedSecret,
    RotateSecret,
    SendTestEvent,
    UpdateWebhook,
    Webhook,
    WebhookStatistics,
)
from serve_app.edge.operations import Exchange, Operation, PageQuery, Reply


class DeliveryQuery(DeliveryFilter, PageQuery):
    """Which deliveries of an endpoint, and which page of them."""


class PeriodQuery(Contract):
    """How far back to look."""

    days: int = Field(default=7, ge=1, le=90)


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


async def rotate_webhook_secret(x: Exchange) -> Reply:
    return Reply(await x.apis.webhooks.rotate_secret(x.principal, x.path["webhook_id"], x.body))


async def test_webhook(x: Exchange) -> Reply:
    return Reply(await x.apis.webhooks.test(x.principal, x.path["webhook_id"], x.body))


async def list_deliveries(x: Exchange) -> Reply:
    wanted = DeliveryFilter(**{name: getattr(x.query, name) for name in DeliveryFilter.model_fields})
    webhook_id, page = x.path["webhook_id"], (x.query.cursor, x.query.limit)
    return Reply(await x.apis.webhooks.list_deliveries(x.principal, webhook_id, wanted, *page))


async def get_delivery(x: Exchange) -> Reply:
    return Reply(await x.apis.webhooks.get_delivery(x.principal, x.path["delivery_id"]))


async def retry_delivery(x: Exchange) -> Reply:
    return Reply(await x.apis.webhooks.retry(x.principal, x.path["delivery_id"]))


async def recover_webhook(x: Exchange) -> Reply:
    return _ordered(await x.apis.webhooks.recover(x.principal, x.path["webhook_id"], x.body))


async def resend_failed_deliveries(x: Exchange) -> Reply:
    return _ordered(await x.apis.webhooks.resend_failed(x.principal, x.path["webhook_id"]))


async def get_webhook_statistics(x: Exchange) -> Reply:
    return Reply(await x.apis.webhooks.statistics(x.principal, x.path["webhook_id"], x.query.days))


def _ordered(job: OrderedRecovery) -> Reply:
    return Reply(job, headers=(("Location", f"/api/v1/jobs/{job.job_id}"),))


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
        id="rotate_webhook_secret",
        method="POST",
        path="/api/v1/webhooks/{webhook_id}/rotate-secret",
        summary="Make a new signing secret",
        description="The earlier ones sign beside it until they expire, so that a receiver can change at its leisure.",
        tag="Webhooks",
        scope="webhooks:write",
        handler=rotate_webhook_secret,
        request=RotateSecret,
        optional_body=True,
        response=RotatedSecret,
        example={"expire_previous_after_s": 86400},
    ),
    Operation(
        id="test_webhook",
        method="POST",
        path="/api/v1/webhooks/{webhook_id}/test",
        summary="Send a signed test event",
        description="A disabled endpoint gets it too, and one that rests after failures gets it at once.",
        tag="Webhooks",
        scope="webhooks:write",
        handler=test_webhook,
        request=SendTestEvent,
        optional_body=True,
        response=Delivery,
        status=202,
        example={"event_type": "response.submitted"},
    ),
    Operation(
        id="list_deliveries",
        method="GET",
        path="/api/v1/webhooks/{webhook_id}/deliveries",
        summary="The deliveries to an endpoint, with every attempt",
        tag="Webhooks",
        scope="webhooks:read",
        handler=list_deliveries,
        query=DeliveryQuery,
        response=Page[Delivery],
    ),
    Operation(
        id="get_webhook_statistics",
        method="GET",
        path="/api/v1/webhooks/{webhook_id}/statistics",
        summary="How an endpoint fares",
        tag="Webhooks",
        scope="webhooks:read",
        handler=get_webhook_statistics,
        query=PeriodQuery,
        response=WebhookStatistics,
    ),
    Operation(
        id="recover_webhook",
        method="POST",
        path="/api/v1/webhooks/{webhook_id}/recover",
        summary="Make good what did not arrive",
        description="What failed is sent again, and what was never sent, because the endpoint was disabled or asked "
        "for less, is sent now. By a job, whose address is in `Location`; an endpoint has one of these at a time.",
        tag="Webhooks",
        scope="webhooks:write",
        handler=recover_webhook,
        request=RecoverWebhook,
        response=OrderedRecovery,
        status=202,
        errors=(409,),
        example={"since": "2026-01-31T08:00:00Z"},
    ),
    Operation(
        id="resend_failed_deliveries",
        method="POST",
        path="/api/v1/webhooks/{webhook_id}/resend-failed",
        summary="Send every failed delivery again",
        description="By a job, whose address is in `Location`.",
        tag="Webhooks",
        scope="webhooks:write",
        handler=resend_failed_deliveries,
        response=OrderedRecovery,
        status=202,
        errors=(409,),
    ),
    Operation(
        id="get_delivery",
        method="GET",
        path="/api/v1/deliveries/{delivery_id}",
        summary="A delivery with its body and every attempt",
        tag="Webhooks",
        scope="webhooks:read",
        handler=get_delivery,
        response=DeliveryDetail,
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
