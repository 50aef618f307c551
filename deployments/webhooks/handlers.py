"""Reactions of webhooks: an event becomes deliveries, deliveries become signed requests."""

from collections.abc import Sequence

from db.session import Database, UnitOfWork
from deployments.kit.egress import Egress
from deployments.kit.features import is_enabled, settings_of
from deployments.kit.spans import Tracing, untraced
from deployments.kit.vault import Vault
from deployments.webhooks import pruning, recovery
from deployments.webhooks.lane import SendWebhooks
from deployments.webhooks.policy import Policy
from deployments.webhooks.service import deliveries
from deployments.webhooks.service.endpoints import OPERATIONAL_TYPES, webhooks_of
from deployments.webhooks.service.lanes import SEND, wake
from eventing.consumer import Subscription
from eventing.events.catalogue import DELIVERED_TYPES
from eventing.events.envelope import Event
from eventing.jobs import Done, JobKind, JobRun

_DELIVER = "webhook.deliver"


async def select_wanted(unit: UnitOfWork, events: Sequence[Event]) -> Sequence[Event]:
    """The events that at least one endpoint of the tenant subscribed to before they happened."""
    if not is_enabled(await settings_of(unit), "webhooks"):
        return []
    endpoints = await webhooks_of(unit).enabled()
    news = [event for event in events if deliveries.is_news(event)]
    return [event for event in news if any(deliveries.is_news_for(endpoint, event) for endpoint in endpoints)]


async def on_events(unit: UnitOfWork, events: Sequence[Event]) -> None:
    """Make the deliveries of events. Once per event: the inbox row is in the same transaction."""
    await deliveries.deliver(unit, events)


class DeliverWebhook:
    """Wakes the lane of one delivery: the job of an earlier release, which may still wait in the queue."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def run(self, job: JobRun) -> Done | None:
        async with self._database.write(job.tenant_id) as unit:
            delivery = await webhooks_of(unit).find_delivery(job.payload["delivery_id"])
            if delivery is not None and delivery.state == "pending":
                await wake(unit, [delivery.endpoint_id], job.created_by)
        return None


SUBSCRIPTIONS = (
    Subscription("webhooks", tuple(sorted({*DELIVERED_TYPES, *OPERATIONAL_TYPES})), on_events, select=select_wanted),
)


def job_kinds(
    database: Database,
    vault: Vault,
    egress: Egress,
    policy: Policy | None = None,
    tracing: Tracing = untraced,
) -> tuple[JobKind, ...]:
    """The jobs of this context."""
    policy = policy or Policy()
    send = SendWebhooks(database, vault, egress, policy, tracing)
    return (
        # The lane counts attempts at deliveries; these are of the job, which ends well unless the platform is at fault.
        JobKind(SEND, "default", send.run, max_attempts=20, delays=(1.0, 5.0, 30.0), soft_limit_s=50, hard_limit_s=60),
        JobKind(_DELIVER, "default", DeliverWebhook(database).run, max_attempts=20, own_schedule=True),
        *recovery.job_kinds(database),
        *pruning.job_kinds(database, policy.keep),
    )
