"""Endpoints, what happens to be delivered to them, and the jobs that deliver it."""

from collections.abc import Sequence
from typing import Any

from db.models.webhooks import WebhookDelivery, WebhookLane
from db.session import Database
from deployments.kit.egress import Egress
from deployments.kit.principal import Principal
from deployments.kit.vault import Vault
from deployments.webhooks import handlers
from deployments.webhooks.contracts import (
    CreatedWebhook,
    CreateWebhook,
)
from deployments.webhooks.deployment import Webhooks
from deployments.webhooks.policy import Policy
from deployments.webhooks.retry import Schedule
from deployments.webhooks.service import deliveries
from eventing.events.envelope import Event, Origin
from eventing.events.responses import ResponseSubmitted
from eventing.outbox import make_event
from tests.deployments.local_http import LocalHttp
from tests.eventing.harness import eventually, rows
from tests.eventing.jobs import harness as jobs

VAULT = Vault("a secret key of the platform, 32+")


AT_ONCE = Policy(Schedule((0.0, *[0.01] * 3)), pauses_s=(0.2,))


EVENTS = ["response.submitted"]


def url_of(server: LocalHttp) -> str:
    return f"http://127.0.0.1:{server.port}/hook"


async def endpoint(webhooks: Webhooks, acme: Principal, server: LocalHttp, **wishes: Any) -> CreatedWebhook:
    return await webhooks.create(acme, CreateWebhook(**{"url": url_of(server), "events": EVENTS, **wishes}))


def submitted(number: int, tenant_id: str = "acme") -> Event:
    fact = ResponseSubmitted(
        response_id=f"rsp_{number}", form_id="frm_1", form_version=1, status="complete", answers={"n": number}
    )
    return make_event(fact, tenant_id=tenant_id, actor="anonymous", origin=Origin())


async def happen(database: Database, count: int, first: int = 0, tenant_id: str = "acme") -> list[str]:
    """So many submissions and their deliveries, in one transaction; the events' ids."""
    events = [submitted(number, tenant_id) for number in range(first, first + count)]
    async with database.write(tenant_id) as unit:
        await deliveries.deliver(unit, events)
    return [event.id for event in events]


async def states(database: Database) -> dict[str, int]:
    found: dict[str, int] = {}
    for row in await rows(database, WebhookDelivery):
        found[row.state] = found.get(row.state, 0) + 1
    return found


async def all_are(database: Database, **wanted: int) -> None:
    """Wait until so many deliveries are in each state and the lanes have come to rest."""

    async def settled() -> bool:
        if await states(database) != wanted:
            return False
        return not any(lane.run_at for lane in await rows(database, WebhookLane)) or "pending" in wanted

    await eventually(settled)


def kinds(database: Database, egress: Egress, policy: Policy = AT_ONCE) -> Sequence[Any]:
    return handlers.job_kinds(database, VAULT, egress, policy)


def serving_jobs(database: Database, egress: Egress, policy: Policy = AT_ONCE, **options: Any) -> Any:
    queues = {"default": 8, "batch": 2}
    return jobs.serving(database, *kinds(database, egress, policy), queues=queues, **options)


def ids_of(server: LocalHttp) -> list[str]:
    return [request.headers["webhook-id"] for request in server.requests]


async def reached(found: Sequence[Any], count: int) -> bool:
    return len(found) >= count


async def rests(database: Database) -> bool:
    (lane,) = await rows(database, WebhookLane)
    return lane.quiet_until is not None and lane.run_at is not None and lane.run_at >= lane.quiet_until
