"""Facts about webhook deliveries."""

from dataclasses import dataclass
from typing import ClassVar

from eventing.events.envelope import EventData


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookDelivered(EventData):
    """An endpoint took a delivery. Not delivered to webhooks itself."""

    type: ClassVar[str] = "webhook.delivered"
    audited: ClassVar[bool] = False
    entity: ClassVar[str] = "delivery_id"
    delivery_id: str
    webhook_id: str
    event_id: str
    attempts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookFailed(EventData):
    """A delivery was given up after its last attempt."""

    type: ClassVar[str] = "webhook.failed"
    audited: ClassVar[bool] = False
    entity: ClassVar[str] = "delivery_id"
    delivery_id: str
    webhook_id: str
    event_id: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookFailing(EventData):
    """Nothing reached an endpoint for so many per cent of the time after which it is disabled."""

    type: ClassVar[str] = "webhook.failing"
    audited: ClassVar[bool] = False
    entity: ClassVar[str] = "webhook_id"
    webhook_id: str
    percent: int
    failing_since: str
    disabled_at: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookDisabled(EventData):
    """An endpoint was switched off: it refuses deliveries for good, or nothing reached it for too long."""

    type: ClassVar[str] = "webhook.disabled"
    entity: ClassVar[str] = "webhook_id"
    webhook_id: str
    reason: str
