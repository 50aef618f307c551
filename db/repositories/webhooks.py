"""Queries for webhook endpoints, deliveries and attempts."""

from collections import defaultdict
from collections.abc import Sequence

from sqlalchemy import func, insert, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from db.models.webhooks import WebhookAttempt, WebhookDelivery, WebhookEndpoint


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

    async def find_delivery(self, delivery_id: str, *, for_update: bool = False) -> WebhookDelivery | None:
        statement = select(WebhookDelivery).where(
            col(WebhookDelivery.tenant_id) == self._tenant_id, col(WebhookDelivery.id) == delivery_id
        )
        return await self._session.scalar(statement.with_for_update() if for_update else statement)

    async def deliveries(self, endpoint_id: str, after_id: str | None, limit: int) -> Sequence[WebhookDelivery]:
        """Deliveries to an endpoint, newest first, older than `after_id`."""
        statement = select(WebhookDelivery).where(
            col(WebhookDelivery.tenant_id) == self._tenant_id, col(WebhookDelivery.endpoint_id) == endpoint_id
        )
        if after_id is not None:
            statement = statement.where(col(WebhookDelivery.id) < after_id)
        statement = statement.order_by(col(WebhookDelivery.id).desc()).limit(limit)
        return (await self._session.scalars(statement)).all()

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
