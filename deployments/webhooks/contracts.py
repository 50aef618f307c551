"""What crosses the door of webhooks: endpoints, deliveries, attempts."""

from datetime import datetime
from typing import Literal, Protocol

from pydantic import Field

from deployments.kit.contract import Contract, Page
from deployments.kit.principal import Principal


class CreateWebhook(Contract):
    url: str = Field(max_length=2048)
    events: list[str] = Field(min_length=1, max_length=50, description="Event types; `*` for all.")
    form_id: str | None = Field(default=None, description="Only events of this form.")


class UpdateWebhook(Contract):
    """What changes."""

    url: str | None = Field(default=None, max_length=2048)
    events: list[str] | None = Field(default=None, min_length=1, max_length=50)
    form_id: str | None = None
    status: Literal["enabled", "disabled"] | None = None


class Webhook(Contract):
    id: str
    url: str
    events: list[str]
    form_id: str | None
    status: Literal["enabled", "disabled"]
    created_at: datetime
    updated_at: datetime


class CreatedWebhook(Webhook):
    secret: str = Field(description="Signing secret (Standard Webhooks); shown this once.")


class Attempt(Contract):
    number: int
    started_at: datetime
    duration_ms: float
    status: int | None
    error: str | None
    response_excerpt: str


class Delivery(Contract):
    """One event for one endpoint, and every attempt at it."""

    id: str
    webhook_id: str
    event_id: str
    event_type: str
    state: Literal["pending", "delivered", "failed"]
    last_status: int | None
    created_at: datetime
    finished_at: datetime | None
    attempts: list[Attempt]


class WebhooksApi(Protocol):
    """Signed deliveries of events to customers' addresses."""

    async def create(self, principal: Principal, command: CreateWebhook) -> CreatedWebhook: ...

    async def get(self, principal: Principal, webhook_id: str) -> Webhook: ...

    async def list_webhooks(self, principal: Principal, cursor: str | None, limit: int) -> Page[Webhook]: ...

    async def update(self, principal: Principal, webhook_id: str, command: UpdateWebhook) -> Webhook: ...

    async def delete(self, principal: Principal, webhook_id: str) -> None: ...

    async def test(self, principal: Principal, webhook_id: str) -> Delivery:
        """Send a signed test event through the usual path."""
        ...

    async def list_deliveries(
        self, principal: Principal, webhook_id: str, cursor: str | None, limit: int
    ) -> Page[Delivery]: ...

    async def retry(self, principal: Principal, delivery_id: str) -> Delivery: ...
