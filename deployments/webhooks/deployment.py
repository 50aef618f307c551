"""The door of webhooks: opens the unit of work, calls the rules, returns contracts."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any, Final

from db.models import webhooks as tables
from db.repositories.webhook_figures import webhook_figures
from db.session import Database, UnitOfWork
from db.types import utc_now
from deployments.kit.audit import audit
from deployments.kit.contract import Page, PageMeta
from deployments.kit.pagination import decode_cursor, encode_cursor
from deployments.kit.principal import Principal
from deployments.kit.quotas import QuotaNotices
from deployments.kit.vault import Vault
from deployments.webhooks import health, recovery, signing
from deployments.webhooks.contracts import (
    Attempt,
    CreatedWebhook,
    CreateWebhook,
    Delivery,
    DeliveryDetail,
    DeliveryFilter,
    Header,
    OrderedRecovery,
    RecoverWebhook,
    RotatedSecret,
    RotateSecret,
    SendTestEvent,
    UpdateWebhook,
    Webhook,
    WebhookMeasures,
    WebhookStatistics,
)
from deployments.webhooks.policy import Policy
from deployments.webhooks.service import deliveries, endpoints
from deployments.webhooks.service.endpoints import webhooks_of
from deployments.webhooks.service.lanes import lanes_of

_SORT = "-id"
_LATELY: Final = timedelta(minutes=5)


class Webhooks:
    """Signed deliveries of events to customers' addresses; satisfies `WebhooksApi`."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault
        self._quotas = QuotaNotices(database)
        self._policy = Policy()

    async def create(self, principal: Principal, command: CreateWebhook) -> CreatedWebhook:
        principal.require("webhooks:write")
        tenant_id = principal.tenant_id
        async with self._quotas.telling(tenant_id), self._database.write(tenant_id) as unit:
            row, secret = await endpoints.create(unit, self._vault, principal, command)
        return CreatedWebhook(**dict(self._to_webhook(row)), secret=secret)

    async def get(self, principal: Principal, webhook_id: str) -> Webhook:
        principal.require("webhooks:read")
        async with self._database.read(principal.tenant_id) as unit:
            return self._to_webhook(await endpoints.get(unit, webhook_id))

    async def list_webhooks(self, principal: Principal, cursor: str | None, limit: int) -> Page[Webhook]:
        principal.require("webhooks:read")
        after = decode_cursor(cursor, _SORT, 1)[0] if cursor else None
        async with self._database.read(principal.tenant_id) as unit:
            rows = await webhooks_of(unit).page(after, limit + 1)
        next_cursor = encode_cursor(_SORT, [rows[limit - 1].id]) if len(rows) > limit else None
        return Page[Webhook](
            data=[self._to_webhook(row) for row in rows[:limit]], meta=PageMeta(limit=limit, next_cursor=next_cursor)
        )

    async def update(self, principal: Principal, webhook_id: str, command: UpdateWebhook) -> Webhook:
        principal.require("webhooks:write")
        async with self._database.write(principal.tenant_id) as unit:
            return self._to_webhook(await endpoints.update(unit, self._vault, principal, webhook_id, command))

    async def delete(self, principal: Principal, webhook_id: str) -> None:
        principal.require("webhooks:write")
        async with self._database.write(principal.tenant_id) as unit:
            await webhooks_of(unit).delete(await endpoints.get(unit, webhook_id))
            audit(unit, principal, "webhook.deleted", webhook_id)

    async def rotate_secret(self, principal: Principal, webhook_id: str, command: RotateSecret) -> RotatedSecret:
        principal.require("webhooks:write")
        async with self._database.write(principal.tenant_id) as unit:
            secret, expires_at = await endpoints.rotate(unit, self._vault, principal, webhook_id, command)
        scheme = signing.scheme_of(secret)
        return RotatedSecret(
            signature=scheme,
            secret=secret if scheme == "v1" else None,
            public_key=signing.public_key(secret),
            previous_expires_at=expires_at,
        )

    async def test(self, principal: Principal, webhook_id: str, command: SendTestEvent) -> Delivery:
        principal.require("webhooks:write")
        async with self._database.write(principal.tenant_id) as unit:
            return Delivery(**_of_delivery(await deliveries.test(unit, principal, webhook_id, command), []))

    async def list_deliveries(
        self, principal: Principal, webhook_id: str, wanted: DeliveryFilter, cursor: str | None, limit: int
    ) -> Page[Delivery]:
        principal.require("webhooks:read")
        chosen = wanted.model_dump()
        sort = ":".join((webhook_id, *(str(value) for value in chosen.values()), _SORT))
        after = decode_cursor(cursor, sort, 1)[0] if cursor else None
        async with self._database.read(principal.tenant_id) as unit:
            await endpoints.get(unit, webhook_id)
            rows = await webhooks_of(unit).deliveries(webhook_id, after, limit + 1, **chosen)
            data = await _with_attempts(unit, rows[:limit])
        next_cursor = encode_cursor(sort, [rows[limit - 1].id]) if len(rows) > limit else None
        return Page[Delivery](data=data, meta=PageMeta(limit=limit, next_cursor=next_cursor))

    async def get_delivery(self, principal: Principal, delivery_id: str) -> DeliveryDetail:
        principal.require("webhooks:read")
        async with self._database.read(principal.tenant_id) as unit:
            row = await deliveries.find(unit, delivery_id)
            attempts = await webhooks_of(unit).attempts([row.id])
        # It may hold answers, whoever may look after webhooks.
        body = row.body if principal.may("responses:read") else None
        return DeliveryDetail(**_of_delivery(row, attempts.get(row.id, [])), body=body)

    async def retry(self, principal: Principal, delivery_id: str) -> Delivery:
        principal.require("webhooks:write")
        async with self._database.write(principal.tenant_id) as unit:
            row = await deliveries.retry(unit, principal, delivery_id)
            return (await _with_attempts(unit, [row]))[0]

    async def recover(self, principal: Principal, webhook_id: str, command: RecoverWebhook) -> OrderedRecovery:
        principal.require("webhooks:write")
        async with self._database.write(principal.tenant_id) as unit:
            job_id = await recovery.order(unit, principal, webhook_id, command.since, command.until)
        return OrderedRecovery(job_id=job_id)

    async def resend_failed(self, principal: Principal, webhook_id: str) -> OrderedRecovery:
        principal.require("webhooks:write")
        async with self._database.write(principal.tenant_id) as unit:
            job_id = await recovery.order(unit, principal, webhook_id, None, None)
        return OrderedRecovery(job_id=job_id)

    async def statistics(self, principal: Principal, webhook_id: str, days: int) -> WebhookStatistics:
        principal.require("webhooks:read")
        now = utc_now()
        since = now - timedelta(days=days)
        async with self._database.read(principal.tenant_id) as unit:
            await endpoints.get(unit, webhook_id)
            counts = await webhooks_of(unit).ended(webhook_id, since)
            attempts, (p50, p95) = await webhooks_of(unit).durations(webhook_id, since, 0.5, 0.95)
            lane = await lanes_of(unit).find(webhook_id)
        lane = lane or tables.WebhookLane(tenant_id=principal.tenant_id, endpoint_id=webhook_id)
        delivered, failed = counts.get("delivered", 0), counts.get("failed", 0)
        is_broken = lane.failures >= self._policy.failures_to_open
        is_quiet = health.is_quiet(lane, now)
        return WebhookStatistics(
            since=since,
            delivered=delivered,
            failed=failed,
            pending=counts.get("pending", 0),
            success_rate=delivered / (delivered + failed) if delivered + failed else None,
            attempts=attempts,
            p50_ms=p50,
            p95_ms=p95,
            last_success_at=lane.last_success_at,
            last_failure_at=lane.last_failure_at,
            circuit="closed" if not is_broken else "open" if is_quiet else "half_open",
            consecutive_failures=lane.failures,
            failing_since=lane.failing_since,
            resumes_at=lane.quiet_until if is_quiet else None,
        )

    async def measure(self) -> WebhookMeasures:
        now = utc_now()
        figures = await self._database.view(partial(webhook_figures, now=now, since=now - _LATELY))
        return WebhookMeasures(
            due=figures.due,
            oldest_s=0.0 if figures.oldest is None else max(0.0, (now - figures.oldest).total_seconds()),
            # Both, so that a rate of failures is there before the first one.
            ended={"delivered": 0, "failed": 0} | dict(figures.ended),
            endpoints=dict(figures.endpoints),
            resting=figures.resting,
        )

    def _to_webhook(self, row: tables.WebhookEndpoint) -> Webhook:
        secret = self._vault.open(row.secret)
        headers = [Header(name=name, value=value) for name, value in row.headers.items()]
        headers += [Header(name=name, secret=True) for name in row.secret_headers]
        return Webhook(
            id=row.id,
            url=row.url,
            description=row.description,
            events=row.events,
            form_id=row.form_id,
            form_ids=row.form_ids,
            filter=row.payload_filter,
            headers=sorted(headers, key=lambda header: header.name),
            signature=signing.scheme_of(secret),
            public_key=signing.public_key(secret),
            max_concurrency=row.max_concurrency,
            max_per_minute=row.max_per_minute,
            status=row.status,  # type: ignore[arg-type]  # checked by the contract
            disabled_reason=row.disabled_reason,
            created_at=row.created_at,
            updated_at=row.updated_at,
        )


async def _with_attempts(unit: UnitOfWork, rows: Sequence[tables.WebhookDelivery]) -> list[Delivery]:
    attempts = await webhooks_of(unit).attempts([row.id for row in rows])
    return [Delivery(**_of_delivery(row, attempts.get(row.id, []))) for row in rows]


def _of_delivery(row: tables.WebhookDelivery, attempts: Sequence[tables.WebhookAttempt]) -> Mapping[str, Any]:
    return {
        "id": row.id,
        "webhook_id": row.endpoint_id,
        "event_id": row.event_id,
        "event_type": row.event_type,
        "replay_id": row.replay_id or None,
        "is_test": row.is_test,
        "state": row.state,
        "last_status": row.last_status,
        # What somebody started by hand goes before what waits.
        "next_at": row.next_at and max(row.next_at, row.created_at),
        "created_at": row.created_at,
        "finished_at": row.finished_at,
        "attempts": [_to_attempt(attempt) for attempt in attempts],
    }


def _to_attempt(row: tables.WebhookAttempt) -> Attempt:
    return Attempt(
        number=row.number,
        started_at=row.started_at,
        duration_ms=row.duration_ms,
        request_headers=row.request_headers,
        status=row.status,
        error=row.error,
        response_excerpt=row.response_excerpt,
    )
