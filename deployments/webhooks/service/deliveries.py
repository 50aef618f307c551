"""Deliveries: which event goes where, tests, and starting one again."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import orjson

from db.models.webhooks import WebhookDelivery, WebhookEndpoint
from db.session import UnitOfWork
from db.types import new_id, utc_now
from deployments.kit.features import require_feature, settings_of
from deployments.kit.principal import Principal
from deployments.webhooks.contracts import SendTestEvent
from deployments.webhooks.errors import DeliveryNotFound, DeliveryPending, InvalidWebhook
from deployments.webhooks.examples import example
from deployments.webhooks.filters import matches
from deployments.webhooks.service.endpoints import ANY_EVENT, OPERATIONAL_TYPES, get, is_like, webhooks_of
from deployments.webhooks.service.lanes import wake
from eventing.events.envelope import Event

TEST_EVENT: Final = "webhook.test"

# What somebody wants to see now goes before what has waited for days.
_FIRST: Final = timedelta(days=30)
# The clocks of two machines: rather an event too many than one too few.
_CLOCKS_DIFFER: Final = timedelta(seconds=2)


def wants(endpoint: WebhookEndpoint, event: Event) -> bool:
    """Whether the endpoint asked for the event: by type, form and payload."""
    forms = {*endpoint.form_ids, *([endpoint.form_id] if endpoint.form_id is not None else [])}
    if forms and event.form_id not in forms:
        return False
    if event.type in OPERATIONAL_TYPES:
        if event.type not in endpoint.events or event.entity_id == endpoint.id:
            return False
    elif ANY_EVENT not in endpoint.events and not any(is_like(event.type, name) for name in endpoint.events):
        return False
    return endpoint.payload_filter is None or matches(endpoint.payload_filter, _as_sent(event))


def is_news(event: Event) -> bool:
    """Whether receivers are told of it. What was imported happened elsewhere, long ago: as news it would mislead."""
    return not event.data.get("imported")


def is_news_for(endpoint: WebhookEndpoint, event: Event) -> bool:
    """Whether the endpoint is told of it by itself: it wants it, and was there when it happened. What was before that
    it gets when somebody recovers or replays it."""
    return event.timestamp >= endpoint.created_at - _CLOCKS_DIFFER and wants(endpoint, event)


async def deliver(unit: UnitOfWork, events: Sequence[Event]) -> None:
    """A delivery of each event to every endpoint that wants it and was there when it happened."""
    endpoints = await webhooks_of(unit).enabled()
    deliveries = [
        new_delivery(unit.tenant, endpoint.id, event)
        for event in events
        for endpoint in endpoints
        if is_news_for(endpoint, event)
    ]
    if deliveries:
        # An endpoint that was recovered has some of them already.
        await webhooks_of(unit).add_missing(deliveries)
        await wake(unit, {each.endpoint_id for each in deliveries}, "system:webhooks")


async def test(unit: UnitOfWork, principal: Principal, webhook_id: str, command: SendTestEvent) -> WebhookDelivery:
    """A delivery of a made-up event, sent like every other. Raises FeatureDisabled, InvalidWebhook."""
    require_feature(await settings_of(unit), "webhooks")
    endpoint = await get(unit, webhook_id)
    event_id, now = new_id("evt"), utc_now()
    event_type = command.event_type or TEST_EVENT
    data = {"webhook_id": endpoint.id, "message": "This is a test event."}
    if event_type != TEST_EVENT:
        made_up = example(event_type)
        if made_up is None:
            raise InvalidWebhook.at("/event_type", "event.unknown", f"there is no event {event_type!r}")
        data = made_up
    body = {"type": event_type, "id": event_id, "timestamp": now, "tenant_id": unit.tenant, "data": data}
    delivery = WebhookDelivery(
        tenant_id=unit.tenant,
        id=new_id("dlv"),
        endpoint_id=endpoint.id,
        event_id=event_id,
        event_type=event_type,
        is_test=True,
        body=orjson.dumps(body).decode(),
        next_at=now - _FIRST,
        created_at=now,
    )
    await webhooks_of(unit).add_deliveries([delivery])
    await wake(unit, [endpoint.id], principal.subject, at_once=True)
    return delivery


async def find(unit: UnitOfWork, delivery_id: str) -> WebhookDelivery:
    """The delivery. Raises DeliveryNotFound."""
    delivery = await webhooks_of(unit).find_delivery(delivery_id)
    if delivery is None:
        raise DeliveryNotFound
    return delivery


async def retry(unit: UnitOfWork, principal: Principal, delivery_id: str) -> WebhookDelivery:
    """The delivery, started once more with the same body. Raises DeliveryPending, FeatureDisabled."""
    require_feature(await settings_of(unit), "webhooks")
    delivery = await webhooks_of(unit).find_delivery(delivery_id, for_update=True)
    if delivery is None:
        raise DeliveryNotFound
    if delivery.state == "pending":
        raise DeliveryPending
    delivery.state, delivery.finished_at, delivery.tries = "pending", None, 0
    delivery.next_at = utc_now() - _FIRST
    await unit.session.flush()
    await wake(unit, [delivery.endpoint_id], principal.subject, at_once=True)
    return delivery


def new_delivery(
    tenant_id: str, endpoint_id: str, event: Event, now: datetime | None = None, *, replay_id: str = ""
) -> WebhookDelivery:
    """A delivery of an event, due at once; `replay_id` tells a further one of the same event from the first."""
    now = now or utc_now()
    return WebhookDelivery(
        tenant_id=tenant_id,
        id=new_id("dlv"),
        endpoint_id=endpoint_id,
        event_id=event.id,
        replay_id=replay_id,
        event_type=event.type,
        body=orjson.dumps(event.public()).decode(),
        next_at=now,
        created_at=now,
    )


def _as_sent(event: Event) -> Any:
    return orjson.loads(orjson.dumps(event.public()))
