"""Webhook endpoints, deliveries and every attempt at one."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, false, text
from sqlmodel import Field, SQLModel

from db.models.columns import belongs_to, document, key, moment, sealed
from db.types import JsonColumn

_PENDING = text("state = 'pending'")


class WebhookEndpoint(SQLModel, table=True):
    """Where a tenant wants events sent. Secrets are encrypted at rest.

    `secret` signs, and so do those of `previous_secrets` (`{"secret", "expires_at"}`) until they expire.
    """

    __tablename__ = "webhook_endpoint"

    tenant_id: str = Field(primary_key=True, sa_column_args=(ForeignKey("tenant.id", ondelete="CASCADE"),))
    id: str = key()
    url: str
    description: str = Field(default="", sa_column_kwargs={"server_default": ""})
    events: list[str] = document()
    form_id: str | None = None
    form_ids: list[str] = document(default_factory=list, sa_column_kwargs={"server_default": "[]"})
    payload_filter: dict[str, Any] | None = document(default=None)
    headers: dict[str, str] = document(default_factory=dict, sa_column_kwargs={"server_default": "{}"})
    secret_headers: dict[str, str] = sealed(
        sa_type=JsonColumn, default_factory=dict, sa_column_kwargs={"server_default": "{}"}
    )
    secret: str = sealed()
    previous_secrets: list[dict[str, str]] = sealed(
        sa_type=JsonColumn, default_factory=list, sa_column_kwargs={"server_default": "[]"}
    )
    max_concurrency: int | None = None
    max_per_minute: int | None = None
    status: str = "enabled"
    disabled_reason: str | None = None
    created_by: str
    created_at: datetime = moment()
    updated_at: datetime = moment()


class WebhookLane(SQLModel, table=True):
    """The way to an endpoint: who sends there, when, and how it goes. One job at a time sends, that of `turn`.

    `run_at` is when that job is due, or last gave a sign of life; None when nothing waits. Before `quiet_until` nothing
    is sent. `failures` are attempts in a row, since `failing_since`; `opened` is how often the circuit opened in a row,
    `warned` the share of the time until the endpoint is disabled, in per cent, that was last told of.
    """

    __tablename__ = "webhook_lane"
    __table_args__ = (belongs_to("webhook_endpoint", "endpoint_id"),)

    tenant_id: str = key()
    endpoint_id: str = key()
    turn: int = 0
    run_at: datetime | None = moment(default=None)
    quiet_until: datetime | None = moment(default=None)
    failures: int = 0
    failing_since: datetime | None = moment(default=None)
    opened: int = 0
    warned: int = 0
    last_success_at: datetime | None = moment(default=None)
    last_failure_at: datetime | None = moment(default=None)
    recovery_id: str | None = None


class WebhookDelivery(SQLModel, table=True):
    """One event for one endpoint. `body` is frozen when the delivery is made, so every retry sends the same bytes.

    `replay_id` is that of the replay which made it, empty for the first delivery of the event.
    `attempts` counts all, `tries` those since it was last started; a pending one is due at `next_at`.
    """

    __tablename__ = "webhook_delivery"
    __table_args__ = (
        belongs_to("webhook_endpoint", "endpoint_id"),
        Index("uq_webhook_delivery_event", "tenant_id", "endpoint_id", "event_id", "replay_id", unique=True),
        Index(
            "ix_webhook_delivery_due",
            *("tenant_id", "endpoint_id", "next_at", "id"),
            sqlite_where=_PENDING,
            postgresql_where=_PENDING,
        ),
        Index("ix_webhook_delivery_list", "tenant_id", "endpoint_id", "id"),
        Index("ix_webhook_delivery_finished_at", "finished_at"),
    )

    tenant_id: str = key()
    id: str = key()
    endpoint_id: str
    event_id: str
    replay_id: str = Field(default="", sa_column_kwargs={"server_default": ""})
    event_type: str
    is_test: bool = Field(default=False, sa_column_kwargs={"server_default": false()})
    body: str
    state: str = "pending"
    attempts: int = 0
    tries: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    next_at: datetime | None = moment(default=None)
    last_status: int | None = None
    created_at: datetime = moment()
    finished_at: datetime | None = moment(default=None)


class WebhookAttempt(SQLModel, table=True):
    """One try of a delivery: what was asked, what was answered and how long it took."""

    __tablename__ = "webhook_attempt"
    __table_args__ = (belongs_to("webhook_delivery", "delivery_id"),)

    tenant_id: str = key()
    delivery_id: str = key()
    number: int = key()
    started_at: datetime = moment()
    duration_ms: float
    request_headers: dict[str, str] = document(default_factory=dict, sa_column_kwargs={"server_default": "{}"})
    status: int | None = None
    error: str | None = None
    response_excerpt: str = ""
