"""Facts about webhook deliveries."""

from dataclasses import dataclass
from typing import ClassVar

from eventing.events.envelope import EventData


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
class WebhookDisabled(EventData):
    """An endpoint was switched off because it refuses deliveries for good."""

    type: ClassVar[str] = "webhook.disabled"
    entity: ClassVar[str] = "webhook_id"
    webhook_id: str
    reason: str
