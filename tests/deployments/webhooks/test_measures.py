"""What operators are told of all tenants' webhooks: what is late by our own fault, and how deliveries end."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from db.models.webhooks import WebhookDelivery, WebhookEndpoint, WebhookLane
from db.session import Database
from db.types import utc_now
from deployments.kit.principal import Principal
from deployments.webhooks.deployment import Webhooks
from tests.deployments.local_http import answer, serving
from tests.deployments.webhooks.lanes import endpoint, happen


async def _set(database: Database, table: Any, **values: Any) -> None:
    async with database.unscoped_write() as unit:
        await unit.session.execute(update(table).values(**values))


@pytest.mark.parametrize(
    ("table", "values"),
    [(WebhookLane, {"failing_since": utc_now()}), (WebhookEndpoint, {"max_per_minute": 1})],
    ids=["fails", "has a rate of its own"],
)
async def test_what_waits_for_a_receiver_that(
    database: Database, webhooks: Webhooks, acme: Principal, table: Any, values: dict[str, Any]
) -> None:
    """It is due, and nobody here can do anything about it."""
    async with serving(answer("200 OK")) as server:
        await endpoint(webhooks, acme, server)
    await happen(database, 3)
    before = await webhooks.measure()
    await _set(database, table, **values)
    after = await webhooks.measure()
    assert (before.due, before.endpoints, before.resting) == (3, {"enabled": 1}, 0)
    assert before.oldest_s > 0
    assert (after.due, after.oldest_s) == (0, 0.0)


async def test_only_what_ended_of_late_is_told(database: Database, webhooks: Webhooks, acme: Principal) -> None:
    async with serving(answer("200 OK")) as server:
        await endpoint(webhooks, acme, server)
    await happen(database, 2)
    await _set(database, WebhookDelivery, state="failed", finished_at=utc_now() - timedelta(minutes=1))
    await _set(database, WebhookLane, quiet_until=utc_now() + timedelta(minutes=1))
    late = await webhooks.measure()
    await _set(database, WebhookDelivery, finished_at=utc_now() - timedelta(minutes=6))
    later = await webhooks.measure()
    assert (late.ended, late.resting) == ({"delivered": 0, "failed": 2}, 1)
    assert later.ended == {"delivered": 0, "failed": 0}
