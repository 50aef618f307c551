"""How webhooks fare over all tenants. For unscoped transactions."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, and_, func, select, text
from sqlmodel import col

from db.models.webhooks import WebhookDelivery, WebhookEndpoint, WebhookLane

_PENDING = text("webhook_delivery.state = 'pending'")
_COUNTED = 10_000


@dataclass(frozen=True, slots=True)
class WebhookFigures:
    """What is due at endpoints that could be sent to at once, counted up to 10,000, since when the longest of it; how
    deliveries ended of late; the endpoints."""

    due: int
    oldest: datetime | None
    ended: Mapping[str, int]
    endpoints: Mapping[str, int]
    resting: int


def webhook_figures(connection: Connection, now: datetime, since: datetime) -> WebhookFigures:
    """How it is `now`, and how deliveries ended after `since`."""
    few = (
        select(col(WebhookDelivery.next_at))
        .join(WebhookEndpoint, _of(WebhookEndpoint, "id"))
        .join(WebhookLane, _of(WebhookLane, "endpoint_id"))
        .where(
            *(_PENDING, col(WebhookDelivery.next_at) <= now),
            # What waits for a receiver that fails, or that wants only so many, is not late by our fault.
            *(col(WebhookLane.failing_since).is_(None), col(WebhookEndpoint.max_per_minute).is_(None)),
        )
    )
    waiting = few.limit(_COUNTED).subquery()
    due, oldest = connection.execute(select(func.count(), func.min(waiting.c.next_at))).one()
    ended = (
        select(col(WebhookDelivery.state), func.count())
        .where(col(WebhookDelivery.finished_at) > since)
        .group_by(col(WebhookDelivery.state))
    )
    endpoints = select(col(WebhookEndpoint.status), func.count()).group_by(col(WebhookEndpoint.status))
    resting = select(func.count()).select_from(WebhookLane).where(col(WebhookLane.quiet_until) > now)
    return WebhookFigures(
        due=due,
        oldest=oldest,
        ended=dict(connection.execute(ended).all()),
        endpoints=dict(connection.execute(endpoints).all()),
        resting=connection.scalar(resting) or 0,
    )


def _of(table: type[WebhookEndpoint | WebhookLane], key: str) -> ColumnElement[bool]:
    """The row of the delivery's endpoint."""
    return and_(
        col(table.tenant_id) == col(WebhookDelivery.tenant_id), getattr(table, key) == col(WebhookDelivery.endpoint_id)
    )
