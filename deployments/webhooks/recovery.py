"""Making good what did not arrive: failed deliveries again, and those that were never made."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from db.models.webhooks import WebhookEndpoint
from db.repositories.jobs import JobRepository
from db.repositories.outbox import EventLogRepository
from db.session import Database, UnitOfWork
from db.types import utc_now
from deployments.kit.audit import audit
from deployments.kit.features import require_feature, settings_of
from deployments.kit.principal import Principal
from deployments.webhooks.errors import InvalidWebhook, WebhookDisabled
from deployments.webhooks.service.deliveries import is_news, new_delivery, wants
from deployments.webhooks.service.endpoints import get, webhooks_of
from deployments.webhooks.service.lanes import lanes_of, wake
from eventing.events.envelope import Event
from eventing.jobs import Done, JobKind, JobRun, JobSpec, enqueue

RECOVER: Final = "webhook.recover"
QUEUE: Final = "batch"

_AT_ONCE: Final = 200
_UNDER_WAY: Final = ("queued", "running")


async def order(
    unit: UnitOfWork, principal: Principal, webhook_id: str, since: datetime | None, until: datetime | None
) -> str:
    """The job that recovers an endpoint: the one that is under way, else a new one. Without `since`, only what failed
    is sent again, whenever it was made. Raises FeatureDisabled, InvalidWebhook, WebhookDisabled."""
    require_feature(await settings_of(unit), "webhooks")
    endpoint = await get(unit, webhook_id)
    if endpoint.status != "enabled":
        raise WebhookDisabled
    now = utc_now()
    if since is not None and since >= min(until or now, now):
        raise InvalidWebhook.at("/since", "range.order", "since is before until, and not in the future")
    await lanes_of(unit).ensure([webhook_id])
    (lane,) = await lanes_of(unit).lock([webhook_id])
    if lane.recovery_id is not None:
        job = await JobRepository(unit.session, unit.tenant).find(lane.recovery_id)
        if job is not None and job.state in _UNDER_WAY:
            return job.id
    payload = {
        "webhook_id": webhook_id,
        "since": since.isoformat() if since else None,
        "until": min(until or now, now).isoformat(),
        "ordered_at": now.isoformat(),
    }
    lane.recovery_id = await enqueue(unit, JobSpec(RECOVER, payload, principal.subject, queue=QUEUE))
    audit(unit, principal, "webhook.recovered", webhook_id, since=payload["since"], until=payload["until"])
    return lane.recovery_id


class RecoverWebhooks:
    """Starts deliveries of an endpoint again and makes those that are missing, a bounded number in each transaction.

    Run again after a crash it finds done what it did: what failed after it was ordered is not started a second time.
    """

    def __init__(self, database: Database, *, at_once: int = _AT_ONCE) -> None:
        self._database = database
        self._at_once = at_once

    async def run(self, job: JobRun) -> Done:
        """The result counts what was `restarted` and what was `made`."""
        restarted = await self._restart(job)
        made = await self._make(job) if job.payload["since"] is not None else 0
        return Done({"restarted": restarted, "made": made})

    async def _restart(self, job: JobRun) -> int:
        since, until = _moment(job.payload["since"]), datetime.fromisoformat(job.payload["until"])
        ordered_at = datetime.fromisoformat(job.payload["ordered_at"])
        endpoint_id: str = job.payload["webhook_id"]
        restarted, after = 0, ""
        while True:
            async with self._database.write(job.tenant_id) as unit:
                webhooks = webhooks_of(unit)
                ids = await webhooks.failed(endpoint_id, since, until, after, self._at_once)
                if not ids:
                    return restarted
                restarted += await webhooks.restart(ids, ordered_at, utc_now())
                await wake(unit, [endpoint_id], job.created_by)
            after = ids[-1]
            await job.progress(job.done + len(ids))

    async def _make(self, job: JobRun) -> int:
        since, until = datetime.fromisoformat(job.payload["since"]), datetime.fromisoformat(job.payload["until"])
        made, after = 0, ""
        while True:
            async with self._database.write(job.tenant_id) as unit:
                endpoint = await webhooks_of(unit).find(job.payload["webhook_id"])
                log = EventLogRepository(unit.session, unit.tenant)
                rows = await log.between(since, until, after, self._at_once)
                if endpoint is None or not rows:
                    return made
                made += await _make(unit, endpoint, [Event.decode(envelope) for _, envelope in rows], job.created_by)
            after = rows[-1][0]
            await job.progress(job.done + len(rows))


async def _make(unit: UnitOfWork, endpoint: WebhookEndpoint, events: Sequence[Event], actor: str) -> int:
    wanted = [event for event in events if is_news(event) and wants(endpoint, event)]
    there = await webhooks_of(unit).delivered_events(endpoint.id, [event.id for event in wanted])
    missing = [new_delivery(unit.tenant, endpoint.id, event) for event in wanted if event.id not in there]
    if missing:
        await webhooks_of(unit).add_missing(missing)
        await wake(unit, [endpoint.id], actor)
    return len(missing)


def _moment(text: Any) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def job_kinds(database: Database) -> tuple[JobKind, ...]:
    """The job of recovering."""
    recover = RecoverWebhooks(database)
    return (JobKind(RECOVER, QUEUE, recover.run, max_attempts=20, soft_limit_s=3_300.0, hard_limit_s=3_600.0),)
