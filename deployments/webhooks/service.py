"""The rules of webhooks: who gets which event, and what an attempt changes."""

from collections.abc import Sequence
from typing import Any

import orjson

from db.models.webhooks import WebhookAttempt, WebhookDelivery, WebhookEndpoint
from db.repositories.published_forms import PublishedFormRepository
from db.repositories.webhooks import WebhookRepository
from db.session import UnitOfWork
from db.types import new_id, utc_now
from deployments.kit.audit import audit
from deployments.kit.egress import check_url
from deployments.kit.features import require_feature, settings_of
from deployments.kit.principal import Principal
from deployments.kit.quotas import require_room
from deployments.kit.vault import Vault
from deployments.webhooks import signing
from deployments.webhooks.contracts import CreateWebhook, UpdateWebhook
from deployments.webhooks.errors import (
    DeliveryNotFound,
    DeliveryPending,
    InvalidWebhook,
    WebhookNotFound,
    WebhookQuotaReached,
)
from deployments.webhooks.sender import Attempt, Outcome
from eventing.events.catalogue import TYPES
from eventing.events.envelope import Event
from eventing.events.webhooks import WebhookDisabled, WebhookFailed
from eventing.jobs import JobSpec, enqueue, enqueue_all
from eventing.outbox import record

ANY_EVENT = "*"
TEST_EVENT = "webhook.test"
DELIVER = "webhook.deliver"


def webhooks_of(unit: UnitOfWork) -> WebhookRepository:
    return WebhookRepository(unit.session, unit.tenant)


async def create(
    unit: UnitOfWork, vault: Vault, principal: Principal, command: CreateWebhook
) -> tuple[WebhookEndpoint, str]:
    """The new endpoint and its secret, which is not shown again. Raises FeatureDisabled, InvalidWebhook,
    WebhookQuotaReached."""
    require_feature(await settings_of(unit), "webhooks")
    await _check(unit, command.url, command.events, command.form_id)
    await require_room(unit, WebhookQuotaReached, webhooks_of(unit).count)
    now = utc_now()
    secret = signing.new_secret()
    endpoint = WebhookEndpoint(
        tenant_id=unit.tenant,
        id=new_id("whk"),
        url=command.url,
        events=command.events,
        form_id=command.form_id,
        secret=vault.seal(secret),
        created_by=principal.subject,
        created_at=now,
        updated_at=now,
    )
    webhooks_of(unit).add(endpoint)
    audit(unit, principal, "webhook.created", endpoint.id, url=endpoint.url, events=endpoint.events)
    audit(unit, principal, "webhook.secret_shown", endpoint.id)
    return endpoint, secret


async def get(unit: UnitOfWork, webhook_id: str) -> WebhookEndpoint:
    """The endpoint. Raises WebhookNotFound."""
    endpoint = await webhooks_of(unit).find(webhook_id)
    if endpoint is None:
        raise WebhookNotFound
    return endpoint


async def update(unit: UnitOfWork, principal: Principal, webhook_id: str, command: UpdateWebhook) -> WebhookEndpoint:
    """The changed endpoint. An endpoint that was switched off starts anew when it is enabled."""
    endpoint = await get(unit, webhook_id)
    changes = command.model_dump(exclude_unset=True)
    form_id = changes.get("form_id", endpoint.form_id)
    await _check(unit, command.url or endpoint.url, command.events or endpoint.events, form_id)
    for name, value in changes.items():
        if value is not None or name == "form_id":
            setattr(endpoint, name, value)
    endpoint.updated_at = utc_now()
    audit(unit, principal, "webhook.updated", endpoint.id, changed=sorted(changes))
    return endpoint


async def test(unit: UnitOfWork, principal: Principal, webhook_id: str) -> WebhookDelivery:
    """A delivery of a test event, sent like every other. Raises FeatureDisabled."""
    require_feature(await settings_of(unit), "webhooks")
    endpoint = await get(unit, webhook_id)
    event_id = new_id("evt")
    body = {
        "type": TEST_EVENT,
        "id": event_id,
        "timestamp": utc_now(),
        "tenant_id": unit.tenant,
        "data": {"webhook_id": endpoint.id, "message": "This is a test event."},
    }
    delivery = _new_delivery(unit, endpoint, event_id, TEST_EVENT, body)
    await _start(unit, [delivery], principal.subject)
    return delivery


def wants(endpoint: WebhookEndpoint, event: Event) -> bool:
    """Whether the endpoint subscribed to the event."""
    if endpoint.form_id is not None and endpoint.form_id != event.form_id:
        return False
    return event.type in endpoint.events or ANY_EVENT in endpoint.events


async def deliver(unit: UnitOfWork, events: Sequence[Event]) -> None:
    """A delivery of each event to every endpoint that wants it."""
    endpoints = await webhooks_of(unit).enabled()
    deliveries = [
        _new_delivery(unit, endpoint, event.id, event.type, event.public())
        for event in events
        for endpoint in endpoints
        if wants(endpoint, event)
    ]
    await _start(unit, deliveries, "system:webhooks")


async def retry(unit: UnitOfWork, principal: Principal, delivery_id: str) -> WebhookDelivery:
    """The delivery, started once more with the same body. Raises DeliveryPending, FeatureDisabled."""
    require_feature(await settings_of(unit), "webhooks")
    delivery = await webhooks_of(unit).find_delivery(delivery_id, for_update=True)
    if delivery is None:
        raise DeliveryNotFound
    if delivery.state == "pending":
        raise DeliveryPending
    delivery.state = "pending"
    delivery.finished_at = None
    await enqueue(unit, JobSpec(DELIVER, {"delivery_id": delivery.id}, created_by=principal.subject))
    return delivery


async def record_attempt(unit: UnitOfWork, delivery_id: str, attempt: Attempt, *, started_at: Any, final: bool) -> None:
    """Note an attempt and what it means; `final` when no further one will follow."""
    delivery = await webhooks_of(unit).find_delivery(delivery_id, for_update=True)
    if delivery is None or delivery.state != "pending":
        return
    delivery.attempts += 1
    delivery.last_status = attempt.status
    webhooks_of(unit).add(
        WebhookAttempt(
            tenant_id=unit.tenant,
            delivery_id=delivery.id,
            number=delivery.attempts,
            started_at=started_at,
            duration_ms=attempt.duration_ms,
            status=attempt.status,
            error=attempt.error,
            response_excerpt=attempt.response_excerpt,
        )
    )
    if attempt.outcome is Outcome.DELIVERED:
        delivery.state, delivery.finished_at = "delivered", utc_now()
    elif final:
        reason = attempt.error or f"the receiver answered {attempt.status}"
        await _give_up(unit, delivery, reason, disable=attempt.outcome is Outcome.GONE)


async def abandon(unit: UnitOfWork, delivery_id: str, reason: str) -> None:
    """Note that a delivery will not be attempted."""
    delivery = await webhooks_of(unit).find_delivery(delivery_id, for_update=True)
    if delivery is not None and delivery.state == "pending":
        await _give_up(unit, delivery, reason, disable=False)


async def _give_up(unit: UnitOfWork, delivery: WebhookDelivery, reason: str, *, disable: bool) -> None:
    delivery.state, delivery.finished_at = "failed", utc_now()
    principal = Principal.system(unit.tenant, "webhooks")
    failed = WebhookFailed(
        delivery_id=delivery.id, webhook_id=delivery.endpoint_id, event_id=delivery.event_id, reason=reason
    )
    record(unit, failed, actor=principal.subject, origin=principal.origin)
    endpoint = await webhooks_of(unit).find(delivery.endpoint_id)
    if disable and endpoint is not None and endpoint.status == "enabled":
        endpoint.status, endpoint.updated_at = "disabled", utc_now()
        fact = WebhookDisabled(webhook_id=endpoint.id, reason=reason)
        record(unit, fact, actor=principal.subject, origin=principal.origin)


def _new_delivery(
    unit: UnitOfWork, endpoint: WebhookEndpoint, event_id: str, event_type: str, body: dict[str, Any]
) -> WebhookDelivery:
    return WebhookDelivery(
        tenant_id=unit.tenant,
        id=new_id("dlv"),
        endpoint_id=endpoint.id,
        event_id=event_id,
        event_type=event_type,
        body=orjson.dumps(body).decode(),
        created_at=utc_now(),
    )


async def _start(unit: UnitOfWork, deliveries: Sequence[WebhookDelivery], actor: str) -> None:
    if deliveries:
        await webhooks_of(unit).add_deliveries(deliveries)
        await enqueue_all(unit, [JobSpec(DELIVER, {"delivery_id": each.id}, created_by=actor) for each in deliveries])


async def _check(unit: UnitOfWork, url: str, events: Sequence[str], form_id: str | None) -> None:
    check_url(url, pointer="/url")
    unknown = [i for i, name in enumerate(events) if name != ANY_EVENT and name not in TYPES]
    if unknown:
        raise InvalidWebhook.at(f"/events/{unknown[0]}", "event.unknown", f"there is no event {events[unknown[0]]!r}")
    if form_id is not None and not await PublishedFormRepository(unit.session, unit.tenant).exists(form_id):
        raise InvalidWebhook.at("/form_id", "form.not_found", "there is no such form")
