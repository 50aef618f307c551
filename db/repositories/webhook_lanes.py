"""Queries of the lanes on which deliveries are sent."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Executable, and_, bindparam, exists, func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session
from sqlmodel import col

from db.models.events import Event
from db.models.identity import Tenant
from db.models.webhooks import WebhookAttempt, WebhookDelivery, WebhookEndpoint, WebhookLane
from db.repositories.upsert import upsert

_PENDING = text("webhook_delivery.state = 'pending'")
_OF_EVENT = and_(col(Event.tenant_id) == col(WebhookDelivery.tenant_id), col(Event.id) == col(WebhookDelivery.event_id))
_END = (
    update(WebhookDelivery)
    .where(col(WebhookDelivery.tenant_id) == bindparam("b_tenant_id"), col(WebhookDelivery.id) == bindparam("b_id"))
    .values(
        state=bindparam("b_state"),
        attempts=bindparam("b_attempts"),
        tries=bindparam("b_tries"),
        next_at=bindparam("b_next_at"),
        last_status=bindparam("b_last_status"),
        finished_at=bindparam("b_finished_at"),
    )
    .execution_options(synchronize_session=False)
)


@dataclass(frozen=True, slots=True)
class DueDelivery:
    """What a sender needs to know of a delivery; `envelope` is that of its event, None for a test."""

    id: str
    event_id: str
    replay_id: str
    event_type: str
    is_test: bool
    body: str
    attempts: int
    tries: int
    created_at: datetime
    envelope: str | None


@dataclass(frozen=True, slots=True)
class Look:
    """What a lane wants to know: what is due at its endpoint, without the deliveries that it has already."""

    endpoint_id: str
    but: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class Sight:
    """What it gets to see: the endpoint, its lane and so many of the deliveries that are due. While the endpoint is
    not enabled only its tests are."""

    endpoint: WebhookEndpoint
    lane: WebhookLane
    due: list[DueDelivery]


def look_at(
    connection: Connection, tenant_id: str, looks: Sequence[Look], now: datetime, limit: int
) -> tuple[Mapping[str, Any], list[Sight | None]]:
    """The tenant's settings, and what each of its lanes sees, None where the endpoint is gone; `limit` deliveries of
    each, those that waited longest first."""
    ids = {each.endpoint_id for each in looks}
    with Session(bind=connection, expire_on_commit=False) as session:
        settings = session.scalar(select(col(Tenant.settings)).where(col(Tenant.id) == tenant_id)) or {}
        of_tenant = select(WebhookEndpoint).where(col(WebhookEndpoint.tenant_id) == tenant_id)
        endpoints = {each.id: each for each in session.scalars(of_tenant.where(col(WebhookEndpoint.id).in_(ids)))}
        on_tenants_lanes = select(WebhookLane).where(col(WebhookLane.tenant_id) == tenant_id)
        found = session.scalars(on_tenants_lanes.where(col(WebhookLane.endpoint_id).in_(ids)))
        lanes = {each.endpoint_id: each for each in found}
        session.expunge_all()
    sights: list[Sight | None] = []
    for each in looks:
        endpoint, lane = endpoints.get(each.endpoint_id), lanes.get(each.endpoint_id)
        if endpoint is None or lane is None:
            sights.append(None)
            continue
        statement = _due(tenant_id, each.endpoint_id, now, limit, each.but, tests_only=endpoint.status != "enabled")
        sights.append(Sight(endpoint, lane, [DueDelivery(*row) for row in connection.execute(statement)]))
    return settings, sights


def _due(
    tenant_id: str, endpoint_id: str, now: datetime, limit: int, but: Collection[str], *, tests_only: bool
) -> Executable:
    # The columns of DueDelivery.
    columns = select(
        col(WebhookDelivery.id),
        col(WebhookDelivery.event_id),
        col(WebhookDelivery.replay_id),
        col(WebhookDelivery.event_type),
        col(WebhookDelivery.is_test),
        col(WebhookDelivery.body),
        col(WebhookDelivery.attempts),
        col(WebhookDelivery.tries),
        col(WebhookDelivery.created_at),
        col(Event.envelope),
    )
    statement = columns.select_from(WebhookDelivery).outerjoin(Event, _OF_EVENT)
    statement = statement.where(*_waiting(tenant_id, endpoint_id), col(WebhookDelivery.next_at) <= now)
    if but:
        statement = statement.where(col(WebhookDelivery.id).not_in(list(but)))
    if tests_only:
        statement = statement.where(col(WebhookDelivery.is_test))
    return statement.order_by(col(WebhookDelivery.next_at), col(WebhookDelivery.id)).limit(limit)


def _waiting(tenant_id: str, endpoint_id: str) -> tuple[Any, ...]:
    return col(WebhookDelivery.tenant_id) == tenant_id, col(WebhookDelivery.endpoint_id) == endpoint_id, _PENDING


class WebhookLaneRepository:
    """The lanes of one tenant, and what waits on them."""

    def __init__(self, session: AsyncSession, tenant_id: str) -> None:
        self._session = session
        self._tenant_id = tenant_id

    async def find(self, endpoint_id: str) -> WebhookLane | None:
        return await self._session.get(WebhookLane, (self._tenant_id, endpoint_id))

    async def ensure(self, endpoint_ids: Collection[str]) -> None:
        """Make the lanes that are missing."""
        rows = [WebhookLane(tenant_id=self._tenant_id, endpoint_id=each).model_dump() for each in sorted(endpoint_ids)]
        if rows:
            connection = await self._session.connection()
            await connection.execute(upsert(self._session, WebhookLane).on_conflict_do_nothing(), rows)

    async def lock(self, endpoint_ids: Collection[str]) -> Sequence[WebhookLane]:
        """The lanes of these endpoints, locked in an order that is always the same."""
        statement = (
            select(WebhookLane)
            .where(col(WebhookLane.tenant_id) == self._tenant_id, col(WebhookLane.endpoint_id).in_(list(endpoint_ids)))
            .order_by(col(WebhookLane.endpoint_id))
            .with_for_update()
            .execution_options(populate_existing=True)
        )
        return (await self._session.scalars(statement)).all()

    async def next_due(self, endpoint_ids: Collection[str]) -> dict[str, datetime]:
        """When the first of what waits for each endpoint is due, of those for which something waits."""
        statement = (
            select(col(WebhookDelivery.endpoint_id), func.min(col(WebhookDelivery.next_at)))
            .where(
                col(WebhookDelivery.tenant_id) == self._tenant_id,
                col(WebhookDelivery.endpoint_id).in_(list(endpoint_ids)),
                _PENDING,
            )
            .group_by(col(WebhookDelivery.endpoint_id))
        )
        found = await self._session.execute(statement)
        return {endpoint_id: next_at for endpoint_id, next_at in found if next_at is not None}

    async def attempts_made(self, ids: Collection[str]) -> dict[str, int]:
        """Of those of the deliveries that are still pending, how many attempts there were; locked."""
        if not ids:
            return {}
        statement = (
            select(col(WebhookDelivery.id), col(WebhookDelivery.attempts))
            .where(col(WebhookDelivery.tenant_id) == self._tenant_id, col(WebhookDelivery.id).in_(list(ids)), _PENDING)
            .order_by(col(WebhookDelivery.id))
            .with_for_update()
        )
        return dict((await self._session.execute(statement)).all())

    async def end_attempts(self, ends: Sequence[Mapping[str, Any]], attempts: Sequence[Mapping[str, Any]]) -> None:
        """Write what attempts made of their deliveries, and the attempts."""
        if not ends:
            return
        connection = await self._session.connection()
        bound = [{f"b_{name}": value for name, value in end.items()} | {"b_tenant_id": self._tenant_id} for end in ends]
        await connection.execute(_END, bound)
        await connection.execute(insert(WebhookAttempt), list(attempts))

    async def abandon(self, endpoint_id: str, now: datetime, limit: int, *, tests_too: bool) -> int:
        """End so many of the deliveries that wait as failed; how many there were."""
        chosen = select(col(WebhookDelivery.id)).where(*_waiting(self._tenant_id, endpoint_id))
        if not tests_too:
            chosen = chosen.where(~col(WebhookDelivery.is_test))
        statement = (
            update(WebhookDelivery)
            .where(col(WebhookDelivery.tenant_id) == self._tenant_id, col(WebhookDelivery.id).in_(chosen.limit(limit)))
            .values(state="failed", finished_at=now, next_at=None)
            .execution_options(synchronize_session=False)
        )
        return (await (await self._session.connection()).execute(statement)).rowcount


class WebhookLaneDirectory:
    """The lanes of all tenants."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def stranded_in_any_tenant(self, before: datetime, limit: int) -> Sequence[tuple[str, str]]:
        """Tenant and endpoint of lanes whose job has given no sign of life since `before` although something is due."""
        is_due = exists().where(
            col(WebhookDelivery.tenant_id) == col(WebhookLane.tenant_id),
            col(WebhookDelivery.endpoint_id) == col(WebhookLane.endpoint_id),
            col(WebhookDelivery.next_at) < before,
            _PENDING,
        )
        statement = select(col(WebhookLane.tenant_id), col(WebhookLane.endpoint_id)).where(
            col(WebhookLane.run_at) < before, is_due
        )
        return [(tenant_id, id_) for tenant_id, id_ in await self._session.execute(statement.limit(limit))]
