"""Telling a webhook of events again: new deliveries, marked with the replay, under the ids of the events."""

from collections.abc import Sequence

from db.models.webhooks import WebhookEndpoint
from db.session import UnitOfWork
from deployments.webhooks.service.deliveries import is_news, new_delivery, wants
from deployments.webhooks.service.endpoints import webhooks_of
from deployments.webhooks.service.lanes import wake
from eventing.events.catalogue import DELIVERED_TYPES
from eventing.events.envelope import Event
from eventing.jobs import GiveUp


class WebhookReplay:
    """An endpoint as the target of a replay. It is told what it subscribed to and nothing else."""

    def __init__(self, webhook_id: str) -> None:
        self._webhook_id = webhook_id

    async def wanted(self, unit: UnitOfWork, events: Sequence[Event]) -> Sequence[Event]:
        """The events that the endpoint subscribed to. Raises GiveUp when it is gone or disabled."""
        return _wanted(await self._endpoint(unit), events)

    async def tell(self, unit: UnitOfWork, events: Sequence[Event], replay_id: str) -> int:
        """Make deliveries of them; how many. Raises GiveUp when the endpoint is gone or disabled."""
        endpoint = await self._endpoint(unit)
        deliveries = [
            new_delivery(unit.tenant, endpoint.id, event, replay_id=replay_id) for event in _wanted(endpoint, events)
        ]
        if deliveries:
            await webhooks_of(unit).add_missing(deliveries)
            await wake(unit, [endpoint.id], "system:events")
        return len(deliveries)

    async def _endpoint(self, unit: UnitOfWork) -> WebhookEndpoint:
        endpoint = await webhooks_of(unit).find(self._webhook_id)
        if endpoint is None or endpoint.status != "enabled":
            raise GiveUp("the webhook is gone or disabled")
        return endpoint


def _wanted(endpoint: WebhookEndpoint, events: Sequence[Event]) -> list[Event]:
    return [event for event in events if event.type in DELIVERED_TYPES and is_news(event) and wants(endpoint, event)]
