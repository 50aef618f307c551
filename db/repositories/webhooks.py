"""Queries for webhook endpoints, deliveries and attempts."""

import math
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, delete, func, insert, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from db.models.webhooks import WebhookAttempt, WebhookDelivery, WebhookEndpoint
from db.repositories.upsert import upsert


class WebhookRepository:
    """The webhooks of one tenant."""

    def __init__(self, session: AsyncSession, tenant_id: str) -> None:
        self._session = session
        self._tenant_id = tenant_id

    def add(self, row: WebhookEndpoint | WebhookDelivery | WebhookAttempt) -> None:
        self._session.add(row)

    async def find(self, endpoint_id: str) -> WebhookEndpoint | None:
        return await self._session.get(WebhookEndpoint, (self._tenant_id, endpoint_id))

    async def count(self) -> int:
        """How many endpoints the tenant has."""
        mine = col(WebhookEndpoint.tenant_id) == self._tenant_id
        return await self._session.scalar(select(func.count()).select_from(WebhookEndpoint).where(mine)) or 0

    async def delete(self, endpoint: WebhookEndpoint) -> None:
        """Remove the endpoint with its deliveries."""
        await self._session.delete(endpoint)

    async def page(self, after_id: str | None, limit: int) -> Sequence[WebhookEndpoint]:
        """Endpoints, newest first, older than `after_id`."""
        mine = select(WebhookEndpoint).where(col(WebhookEndpoint.tenant_id) == self._tenant_id)
        if after_id is not None:
            mine = mine.where(col(WebhookEndpoint.id) < after_id)
        return (await self._session.scalars(mine.order_by(col(WebhookEndpoint.id).desc()).limit(limit))).all()

    async def enabled(self) -> Sequence[WebhookEndpoint]:
        """Every endpoint that wants events."""
        statement = select(WebhookEndpoint).where(
            col(WebhookEndpoint.tenant_id) == self._tenant_id, col(WebhookEndpoint.status) == "enabled"
        )
        return (await self._session.scalars(statement)).all()

    async def add_deliveries(self, deliveries: Sequence[WebhookDelivery]) -> None:
        """Store new deliveries as one statement."""
        connection = await self._session.connection()
        await connection.execute(insert(WebhookDelivery), [delivery.model_dump() for delivery in deliveries])

    async def add_missing(self, deliveries: Sequence[WebhookDelivery]) -> None:
        """Store those deliveries whose event the endpoint does not have yet, from this replay if it is one."""
        statement = upsert(self._session, WebhookDelivery).on_conflict_do_nothing(
            index_elements=["tenant_id", "endpoint_id", "event_id", "replay_id"]
        )
        connection = await self._session.connection()
        await connection.execute(statement, [delivery.model_dump() for delivery in deliveries])

    async def delivered_events(self, endpoint_id: str, event_ids: Sequence[str]) -> set[str]:
        """Those of the events of which there is a delivery to the endpoint."""
        which = col(WebhookDelivery.event_id).in_(event_ids)
        found = await self._session.scalars(select(col(WebhookDelivery.event_id)).where(*self._of(endpoint_id), which))
        return set(found.all())

    async def find_delivery(self, delivery_id: str, *, for_update: bool = False) -> WebhookDelivery | None:
        statement = select(WebhookDelivery).where(
            col(WebhookDelivery.tenant_id) == self._tenant_id, col(WebhookDelivery.id) == delivery_id
        )
        return await self._session.scalar(statement.with_for_update() if for_update else statement)

    async def deliveries(
        self,
        endpoint_id: str,
        after_id: str | None,
        limit: int,
        *,
        state: str | None = None,
        event_type: str | None = None,
        replay_id: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> Sequence[WebhookDelivery]:
        """Deliveries to an endpoint, newest first, older than `after_id`."""
        statement = select(WebhookDelivery).where(*self._of(endpoint_id))
        if after_id is not None:
            statement = statement.where(col(WebhookDelivery.id) < after_id)
        if state is not None:
            statement = statement.where(col(WebhookDelivery.state) == state)
        if event_type is not None:
            statement = statement.where(col(WebhookDelivery.event_type) == event_type)
        if replay_id is not None:
            statement = statement.where(col(WebhookDelivery.replay_id) == replay_id)
        if since is not None:
            statement = statement.where(col(WebhookDelivery.created_at) >= since)
        if until is not None:
            statement = statement.where(col(WebhookDelivery.created_at) < until)
        statement = statement.order_by(col(WebhookDelivery.id).desc()).limit(limit)
        return (await self._session.scalars(statement)).all()

    async def failed(
        self, endpoint_id: str, since: datetime | None, until: datetime, after_id: str, limit: int
    ) -> Sequence[str]:
        """Ids of deliveries made from `since` until `until` that failed before `until`, in order, after `after_id`."""
        statement = select(col(WebhookDelivery.id)).where(
            *self._of(endpoint_id),
            col(WebhookDelivery.state) == "failed",
            col(WebhookDelivery.created_at) < until,
            col(WebhookDelivery.id) > after_id,
        )
        if since is not None:
            statement = statement.where(col(WebhookDelivery.created_at) >= since)
        return (await self._session.scalars(statement.order_by(col(WebhookDelivery.id)).limit(limit))).all()

    async def restart(self, ids: Sequence[str], finished_before: datetime, now: datetime) -> int:
        """Put those of the failed deliveries that ended before a moment at the start of their schedule; how many."""
        statement = (
            update(WebhookDelivery)
            .where(
                col(WebhookDelivery.tenant_id) == self._tenant_id,
                col(WebhookDelivery.id).in_(ids),
                col(WebhookDelivery.state) == "failed",
                col(WebhookDelivery.finished_at) < finished_before,
            )
            .values(state="pending", tries=0, next_at=now, finished_at=None)
            .execution_options(synchronize_session=False)
        )
        result = await (await self._session.connection()).execute(statement)
        return result.rowcount

    async def attempts(self, delivery_ids: Sequence[str]) -> dict[str, list[WebhookAttempt]]:
        """The attempts at each of these deliveries, first to last."""
        statement = (
            select(WebhookAttempt)
            .where(
                col(WebhookAttempt.tenant_id) == self._tenant_id,
                col(WebhookAttempt.delivery_id).in_(list(delivery_ids)),
            )
            .order_by(col(WebhookAttempt.number))
        )
        found: dict[str, list[WebhookAttempt]] = defaultdict(list)
        for attempt in await self._session.scalars(statement):
            found[attempt.delivery_id].append(attempt)
        return found

    # How it fares.

    async def ended(self, endpoint_id: str, since: datetime) -> dict[str, int]:
        """How many deliveries made since then are in each state. Tests do not count."""
        statement = (
            select(col(WebhookDelivery.state), func.count())
            .where(*self._of(endpoint_id), *_real(since))
            .group_by(col(WebhookDelivery.state))
        )
        return dict((await self._session.execute(statement)).all())

    async def durations(self, endpoint_id: str, since: datetime, *shares: float) -> tuple[int, list[float | None]]:
        """How many attempts there were at deliveries made since then, and which duration in ms each share of those
        that were answered did not exceed."""
        attempts = self._attempts(endpoint_id, since)
        total = await self._session.scalar(select(func.count()).select_from(attempts.subquery())) or 0
        answered = attempts.where(col(WebhookAttempt.status).is_not(None))
        count = await self._session.scalar(select(func.count()).select_from(answered.subquery())) or 0
        found: list[float | None] = []
        for share in shares:
            place = max(0, math.ceil(count * share) - 1)
            ordered = answered.order_by(col(WebhookAttempt.duration_ms)).offset(place).limit(1)
            found.append(await self._session.scalar(ordered))
        return total, found

    def _attempts(self, endpoint_id: str, since: datetime) -> Select[Any]:
        same = (
            col(WebhookDelivery.tenant_id) == col(WebhookAttempt.tenant_id),
            col(WebhookDelivery.id) == col(WebhookAttempt.delivery_id),
        )
        joined = select(col(WebhookAttempt.duration_ms)).join(WebhookDelivery, and_(*same))
        return joined.where(*self._of(endpoint_id), *_real(since))

    def _of(self, endpoint_id: str) -> tuple[ColumnElement[bool], ...]:
        return col(WebhookDelivery.tenant_id) == self._tenant_id, col(WebhookDelivery.endpoint_id) == endpoint_id


class WebhookDirectory:
    """Deliveries of all tenants."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def outlived_in_any_tenant(self, before: datetime, limit: int) -> Sequence[tuple[str, str]]:
        """Tenant and id of some deliveries that ended before a moment."""
        statement = (
            select(col(WebhookDelivery.tenant_id), col(WebhookDelivery.id))
            .where(col(WebhookDelivery.finished_at) < before)
            .order_by(col(WebhookDelivery.finished_at))
            .limit(limit)
        )
        return [(tenant_id, id_) for tenant_id, id_ in await self._session.execute(statement)]

    async def remove_in_any_tenant(self, keys: Sequence[tuple[str, str]]) -> int:
        """Delete deliveries with their attempts; how many there were."""
        theirs = tuple_(col(WebhookDelivery.tenant_id), col(WebhookDelivery.id)).in_(list(keys))
        connection = await self._session.connection()
        return (await connection.execute(delete(WebhookDelivery).where(theirs))).rowcount


def _real(since: datetime) -> tuple[ColumnElement[bool], ...]:
    return col(WebhookDelivery.created_at) >= since, ~col(WebhookDelivery.is_test)
