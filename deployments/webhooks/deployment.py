"""The door of webhooks: opens the unit of work, calls the rules, returns contracts."""

from collections.abc import Sequence

from db.models import webhooks as tables
from db.session import Database, UnitOfWork
from deployments.kit.audit import audit
from deployments.kit.contract import Page, PageMeta
from deployments.kit.pagination import decode_cursor, encode_cursor
from deployments.kit.principal import Principal
from deployments.kit.quotas import QuotaNotices
from deployments.kit.vault import Vault
from deployments.webhooks import service
from deployments.webhooks.contracts import (
    Attempt,
    CreatedWebhook,
    CreateWebhook,
    Delivery,
    UpdateWebhook,
    Webhook,
)

_SORT = "-id"


class Webhooks:
    """Signed deliveries of events to customers' addresses; satisfies `WebhooksApi`."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault
        self._quotas = QuotaNotices(database)

    async def create(self, principal: Principal, command: CreateWebhook) -> CreatedWebhook:
        tenant_id = principal.tenant_id
        async with self._quotas.telling(tenant_id), self._database.write(tenant_id) as unit:
            row, secret = await service.create(unit, self._vault, principal, command)
        return CreatedWebhook(**_to_webhook(row).model_dump(), secret=secret)

    async def get(self, principal: Principal, webhook_id: str) -> Webhook:
        async with self._database.read(principal.tenant_id) as unit:
            return _to_webhook(await service.get(unit, webhook_id))

    async def list_webhooks(self, principal: Principal, cursor: str | None, limit: int) -> Page[Webhook]:
        after = decode_cursor(cursor, _SORT, 1)[0] if cursor else None
        async with self._database.read(principal.tenant_id) as unit:
            rows = await service.webhooks_of(unit).page(after, limit + 1)
        next_cursor = encode_cursor(_SORT, [rows[limit - 1].id]) if len(rows) > limit else None
        return Page[Webhook](
            data=[_to_webhook(row) for row in rows[:limit]], meta=PageMeta(limit=limit, next_cursor=next_cursor)
        )

    async def update(self, principal: Principal, webhook_id: str, command: UpdateWebhook) -> Webhook:
        async with self._database.write(principal.tenant_id) as unit:
            return _to_webhook(await service.update(unit, principal, webhook_id, command))

    async def delete(self, principal: Principal, webhook_id: str) -> None:
        async with self._database.write(principal.tenant_id) as unit:
            await service.webhooks_of(unit).delete(await service.get(unit, webhook_id))
            audit(unit, principal, "webhook.deleted", webhook_id)

    async def test(self, principal: Principal, webhook_id: str) -> Delivery:
        async with self._database.write(principal.tenant_id) as unit:
            return _to_delivery(await service.test(unit, principal, webhook_id), [])

    async def list_deliveries(
        self, principal: Principal, webhook_id: str, cursor: str | None, limit: int
    ) -> Page[Delivery]:
        sort = f"{webhook_id}{_SORT}"
        after = decode_cursor(cursor, sort, 1)[0] if cursor else None
        async with self._database.read(principal.tenant_id) as unit:
            await service.get(unit, webhook_id)
            rows = await service.webhooks_of(unit).deliveries(webhook_id, after, limit + 1)
            data = await _with_attempts(unit, rows[:limit])
        next_cursor = encode_cursor(sort, [rows[limit - 1].id]) if len(rows) > limit else None
        return Page[Delivery](data=data, meta=PageMeta(limit=limit, next_cursor=next_cursor))

    async def retry(self, principal: Principal, delivery_id: str) -> Delivery:
        async with self._database.write(principal.tenant_id) as unit:
            row = await service.retry(unit, principal, delivery_id)
            return (await _with_attempts(unit, [row]))[0]


async def _with_attempts(unit: UnitOfWork, rows: Sequence[tables.WebhookDelivery]) -> list[Delivery]:
    attempts = await service.webhooks_of(unit).attempts([row.id for row in rows])
    return [_to_delivery(row, attempts.get(row.id, [])) for row in rows]


def _to_webhook(row: tables.WebhookEndpoint) -> Webhook:
    return Webhook(
        id=row.id,
        url=row.url,
        events=row.events,
        form_id=row.form_id,
        status=row.status,  # type: ignore[arg-type]  # checked by the contract
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def _to_delivery(row: tables.WebhookDelivery, attempts: Sequence[tables.WebhookAttempt]) -> Delivery:
    return Delivery(
        id=row.id,
        webhook_id=row.endpoint_id,
        event_id=row.event_id,
        event_type=row.event_type,
        state=row.state,  # type: ignore[arg-type]  # checked by the contract
        last_status=row.last_status,
        created_at=row.created_at,
        finished_at=row.finished_at,
        attempts=[_to_attempt(attempt) for attempt in attempts],
    )


def _to_attempt(row: tables.WebhookAttempt) -> Attempt:
    return Attempt(
        number=row.number,
        started_at=row.started_at,
        duration_ms=row.duration_ms,
        status=row.status,
        error=row.error,
        response_excerpt=row.response_excerpt,
    )
