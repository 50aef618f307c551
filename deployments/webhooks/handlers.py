"""Reactions of webhooks: an event becomes deliveries, a delivery becomes signed requests."""

import random
from collections.abc import Sequence
from typing import Any

from db.session import Database, UnitOfWork
from db.types import utc_now
from deployments.kit.egress import Egress
from deployments.kit.features import is_enabled, settings_of
from deployments.kit.vault import Vault
from deployments.webhooks import service
from deployments.webhooks.retry import Schedule, next_delay
from deployments.webhooks.sender import Outcome, send
from eventing.consumer import Subscription
from eventing.events.catalogue import TYPES
from eventing.events.envelope import Event
from eventing.jobs import Done, GiveUp, JobKind, JobRun, Retry

# Its own failures are not delivered: an endpoint that fails would feed itself.
DELIVERED_TYPES = tuple(sorted(name for name in TYPES if not name.startswith("webhook.")))


async def select_wanted(unit: UnitOfWork, events: Sequence[Event]) -> Sequence[Event]:
    """The events that at least one endpoint of the tenant subscribed to.

    What was imported happened elsewhere, long ago: telling receivers of it as news would mislead them.
    """
    if not is_enabled(await settings_of(unit), "webhooks"):
        return []
    endpoints = await service.webhooks_of(unit).enabled()
    news = [event for event in events if not event.data.get("imported")]
    return [event for event in news if any(service.wants(endpoint, event) for endpoint in endpoints)]


async def on_events(unit: UnitOfWork, events: Sequence[Event]) -> None:
    """Make the deliveries of events. Once per event: the inbox row is in the same transaction."""
    await service.deliver(unit, events)


class DeliverWebhook:
    """Sends one delivery. May send the same delivery twice after a crash, always under the same `webhook-id`."""

    def __init__(self, database: Database, vault: Vault, egress: Egress, schedule: Schedule) -> None:
        self._database = database
        self._vault = vault
        self._egress = egress
        self._schedule = schedule
        self._random = random.Random()

    async def run(self, job: JobRun) -> Done | None:
        """One attempt; raises Retry with the schedule's delay, or GiveUp."""
        delivery_id: str = job.payload["delivery_id"]
        async with self._database.read(job.tenant_id) as unit:
            webhooks = service.webhooks_of(unit)
            delivery = await webhooks.find_delivery(delivery_id)
            endpoint = await webhooks.find(delivery.endpoint_id) if delivery else None
            allowed = is_enabled(await settings_of(unit), "webhooks")
        if delivery is None or endpoint is None or delivery.state != "pending":
            return None
        if endpoint.status != "enabled" and delivery.event_type != service.TEST_EVENT:
            raise GiveUp("the webhook is disabled", effect=_abandoning(delivery_id, "the webhook is disabled"))
        if not allowed:
            reason = "webhooks are switched off for the tenant"
            raise GiveUp(reason, effect=_abandoning(delivery_id, reason))
        started_at = utc_now()
        headers = {
            "ce-specversion": "1.0",
            "ce-id": delivery.event_id,
            "ce-type": delivery.event_type,
            "ce-source": f"/tenants/{job.tenant_id}",
            "ce-time": delivery.created_at.isoformat(),
        }
        secrets = [self._vault.open(endpoint.secret)]
        attempt = await send(
            self._egress, endpoint.url, secrets, delivery.event_id, delivery.body.encode(), headers, started_at
        )
        delay = next_delay(self._schedule, job.attempt, attempt.retry_after_s, self._random)
        again = attempt.outcome is Outcome.RETRY and delay is not None

        async def effect(unit: UnitOfWork) -> None:
            await service.record_attempt(unit, delivery_id, attempt, started_at=started_at, final=not again)

        if attempt.outcome is Outcome.DELIVERED:
            return Done(effect=effect)
        reason = attempt.error or f"the receiver answered {attempt.status}"
        if again:
            raise Retry(reason, after_s=delay, effect=effect)
        raise GiveUp(reason, effect=effect)


def _abandoning(delivery_id: str, reason: str) -> Any:
    async def effect(unit: UnitOfWork) -> None:
        await service.abandon(unit, delivery_id, reason)

    return effect


SUBSCRIPTIONS = (Subscription("webhooks", DELIVERED_TYPES, on_events, select=select_wanted),)


def job_kinds(
    database: Database, vault: Vault, egress: Egress, schedule: Schedule | None = None
) -> tuple[JobKind, ...]:
    """The jobs of this context."""
    schedule = schedule or Schedule()
    deliver = DeliverWebhook(database, vault, egress, schedule)
    return (JobKind(service.DELIVER, "default", deliver.run, max_attempts=len(schedule.delays)),)
