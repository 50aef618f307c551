"""What crosses the door of webhooks: endpoints, deliveries, attempts."""

from datetime import datetime
from typing import Any, Literal, Protocol

from pydantic import Field

from deployments.kit.contract import Contract, Page
from deployments.kit.moments import WrittenMoment
from deployments.kit.principal import Principal

_EVENTS = "Event types; `response.*` for all that begin so, `*` for all but the webhooks' own."
_FILTER = "What the payload must be like, see the guide; null for any."
_CONCURRENCY = "Requests at once to this endpoint; null for the platform's default."
_RATE = "Requests in a minute to this endpoint; null for no limit."
_DAY_S = 86_400

Signature = Literal["v1", "v1a"]


class Header(Contract):
    """A header that is sent along. The value of a secret one is not shown again."""

    name: str = Field(max_length=64)
    value: str | None = Field(default=None, max_length=1024, description="Null: the secret value stays as it is.")
    secret: bool = Field(default=False, description="Encrypted at rest and never shown; always so for Authorization.")


class CreateWebhook(Contract):
    url: str = Field(max_length=2048)
    description: str = Field(default="", max_length=500)
    events: list[str] = Field(min_length=1, max_length=50, description=_EVENTS)
    form_id: str | None = Field(default=None, description="Only events of this form.")
    form_ids: list[str] = Field(default=[], max_length=50, description="Only events of these forms.")
    filter: dict[str, Any] | None = Field(default=None, description=_FILTER)
    headers: list[Header] = Field(default=[], max_length=20)
    signature: Signature = Field(default="v1", description="HMAC-SHA256 (v1) or ed25519 (v1a).")
    max_concurrency: int | None = Field(default=None, ge=1, le=50, description=_CONCURRENCY)
    max_per_minute: int | None = Field(default=None, ge=1, le=60_000, description=_RATE)


class UpdateWebhook(Contract):
    """What changes."""

    url: str | None = Field(default=None, max_length=2048)
    description: str | None = Field(default=None, max_length=500)
    events: list[str] | None = Field(default=None, min_length=1, max_length=50, description=_EVENTS)
    form_id: str | None = None
    form_ids: list[str] | None = Field(default=None, max_length=50)
    filter: dict[str, Any] | None = Field(default=None, description=_FILTER)
    headers: list[Header] | None = Field(default=None, max_length=20, description="Replaces all headers.")
    max_concurrency: int | None = Field(default=None, ge=1, le=50, description=_CONCURRENCY)
    max_per_minute: int | None = Field(default=None, ge=1, le=60_000, description=_RATE)
    status: Literal["enabled", "disabled"] | None = None


class Webhook(Contract):
    id: str
    url: str
    description: str
    events: list[str]
    form_id: str | None
    form_ids: list[str]
    filter: dict[str, Any] | None
    headers: list[Header]
    signature: Signature
    public_key: str | None = Field(description="Verifies v1a signatures (`whpk_…`).")
    max_concurrency: int | None
    max_per_minute: int | None
    status: Literal["enabled", "disabled"]
    disabled_reason: str | None = Field(description="Why the platform disabled it.")
    created_at: datetime
    updated_at: datetime


class CreatedWebhook(Webhook):
    secret: str | None = Field(description="Signing secret (Standard Webhooks); shown this once, null for v1a.")


class RotateSecret(Contract):
    """`signature` changes the kind of signature as well."""

    expire_previous_after_s: int = Field(
        default=_DAY_S, ge=0, le=7 * _DAY_S, description="How long the earlier secrets go on signing, beside the new."
    )
    signature: Signature | None = None


class RotatedSecret(Contract):
    signature: Signature
    secret: str | None = Field(description="The new signing secret; shown this once, null for v1a.")
    public_key: str | None = Field(description="Verifies v1a signatures (`whpk_…`).")
    previous_expires_at: datetime


class SendTestEvent(Contract):
    """Which event to play."""

    event_type: str | None = Field(default=None, description="A type of the catalogue; null for `webhook.test`.")


class Attempt(Contract):
    number: int
    started_at: datetime
    duration_ms: float
    request_headers: dict[str, str] = Field(description="As sent; the values of secret headers are left out.")
    status: int | None
    error: str | None
    response_excerpt: str


class DeliveryFilter(Contract):
    """Which deliveries of an endpoint to list."""

    state: Literal["pending", "delivered", "failed"] | None = None
    event_type: str | None = Field(default=None, max_length=100)
    replay_id: str | None = Field(
        default=None, max_length=100, description="Made by this replay; empty: made by none, the first of their events."
    )
    since: WrittenMoment | None = Field(default=None, description="Made at this time or later.")
    until: WrittenMoment | None = Field(default=None, description="Made before this time.")


class Delivery(Contract):
    """One event for one endpoint, and every attempt at it."""

    id: str
    webhook_id: str
    event_id: str
    event_type: str
    replay_id: str | None = Field(description="The replay that made it; null for the first delivery of the event.")
    is_test: bool
    state: Literal["pending", "delivered", "failed"]
    last_status: int | None
    next_at: datetime | None = Field(description="When it is due, while it is pending; later when the endpoint rests.")
    created_at: datetime
    finished_at: datetime | None
    attempts: list[Attempt]


class DeliveryDetail(Delivery):
    body: str | None = Field(description="The text that every attempt sends; null without `responses:read`.")


class RecoverWebhook(Contract):
    """Which deliveries to make good: of events from `since` until `until`, which is now when null."""

    since: WrittenMoment
    until: WrittenMoment | None = None


class OrderedRecovery(Contract):
    """The job that does the work; its state is at the address in `Location`."""

    job_id: str


class WebhookStatistics(Contract):
    """How an endpoint fared with what was made since `since`, and how it is now."""

    since: datetime
    delivered: int
    failed: int
    pending: int
    success_rate: float | None = Field(description="Share of what ended that was delivered; null when nothing ended.")
    attempts: int
    p50_ms: float | None = Field(description="Half of the answered attempts took no longer.")
    p95_ms: float | None
    last_success_at: datetime | None
    last_failure_at: datetime | None
    circuit: Literal["closed", "open", "half_open"] = Field(
        description="Open: too many attempts in a row failed, deliveries wait. Half open: one at a time is tried."
    )
    consecutive_failures: int
    failing_since: datetime | None
    resumes_at: datetime | None = Field(description="Until when nothing is sent.")


class WebhookMeasures(Contract):
    """The numbers of all tenants' webhooks. `due` counts what is due and not sent at endpoints that could be sent to at
    once, `oldest_s` is how long the longest of it waits; `ended` are the deliveries that ended in the last five
    minutes, and `endpoints` the endpoints, by state; `resting` are those that are spared after failures."""

    due: int
    oldest_s: float
    ended: dict[str, int]
    endpoints: dict[str, int]
    resting: int


class WebhooksApi(Protocol):
    """Signed deliveries of events to customers' addresses."""

    async def create(self, principal: Principal, command: CreateWebhook) -> CreatedWebhook: ...

    async def get(self, principal: Principal, webhook_id: str) -> Webhook: ...

    async def list_webhooks(self, principal: Principal, cursor: str | None, limit: int) -> Page[Webhook]: ...

    async def update(self, principal: Principal, webhook_id: str, command: UpdateWebhook) -> Webhook: ...

    async def delete(self, principal: Principal, webhook_id: str) -> None: ...

    async def rotate_secret(self, principal: Principal, webhook_id: str, command: RotateSecret) -> RotatedSecret: ...

    async def test(self, principal: Principal, webhook_id: str, command: SendTestEvent) -> Delivery:
        """Send a signed test event through the usual path."""
        ...

    async def list_deliveries(
        self, principal: Principal, webhook_id: str, wanted: DeliveryFilter, cursor: str | None, limit: int
    ) -> Page[Delivery]: ...

    async def get_delivery(self, principal: Principal, delivery_id: str) -> DeliveryDetail: ...

    async def retry(self, principal: Principal, delivery_id: str) -> Delivery: ...

    async def recover(self, principal: Principal, webhook_id: str, command: RecoverWebhook) -> OrderedRecovery:
        """Send what failed again, and what was never sent because the endpoint was disabled. One job at a time."""
        ...

    async def resend_failed(self, principal: Principal, webhook_id: str) -> OrderedRecovery:
        """Send every delivery that failed again. One job at a time."""
        ...

    async def statistics(self, principal: Principal, webhook_id: str, days: int) -> WebhookStatistics: ...

    async def measure(self) -> WebhookMeasures:
        """The numbers of all tenants. Raises DatabaseUnavailable."""
        ...
