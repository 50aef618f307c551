"""Webhook endpoints, deliveries and every attempt at one."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index
from sqlmodel import Field, SQLModel

from db.models.columns import belongs_to, document, key, moment


class WebhookEndpoint(SQLModel, table=True):
    """Where a tenant wants events sent. Secrets are encrypted at rest."""

    __tablename__ = "webhook_endpoint"

    tenant_id: str = Field(primary_key=True, sa_column_args=(ForeignKey("tenant.id", ondelete="CASCADE"),))
    id: str = key()
    url: str
    events: list[str] = document()
    form_id: str | None = None
    secret: str
    status: str = "enabled"
    created_by: str
    created_at: datetime = moment()
    updated_at: datetime = moment()


class WebhookDelivery(SQLModel, table=True):
    """One event for one endpoint. `body` is frozen when the delivery is made, so every retry sends the same bytes."""

    __tablename__ = "webhook_delivery"
    __table_args__ = (
        belongs_to("webhook_endpoint", "endpoint_id"),
        Index("uq_webhook_delivery_event", "tenant_id", "endpoint_id", "event_id", unique=True),
    )

    tenant_id: str = key()
    id: str = key()
    endpoint_id: str
    event_id: str
    event_type: str
    body: str
    state: str = "pending"
    attempts: int = 0
    last_status: int | None = None
    created_at: datetime = moment()
    finished_at: datetime | None = moment(default=None)


class WebhookAttempt(SQLModel, table=True):
    """One try of a delivery: what was answered and how long it took."""

    __tablename__ = "webhook_attempt"
    __table_args__ = (belongs_to("webhook_delivery", "delivery_id"),)

    tenant_id: str = key()
    delivery_id: str = key()
    number: int = key()
    started_at: datetime = moment()
    duration_ms: float
    status: int | None = None
    error: str | None = None
    response_excerpt: str = ""
