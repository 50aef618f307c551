"""How deliveries are sent: beside one another, at their rate, each as its endpoint wants it; on both databases."""

import asyncio
import time
from datetime import timedelta

from sqlalchemy import select, update
from sqlmodel import col
from standardwebhooks import Webhook as Verifier

from db.models.events import Event as EventRow
from db.models.jobs import Job
from db.models.webhooks import WebhookAttempt, WebhookDelivery, WebhookEndpoint, WebhookLane
from db.session import Database
from db.types import utc_now
from deployments.kit.egress import Egress
from deployments.kit.principal import Principal
from deployments.webhooks.contracts import (
    DeliveryFilter,
    Header,
    RotateSecret,
    SendTestEvent,
)
from deployments.webhooks.deployment import Webhooks
from deployments.webhooks.policy import Policy
from deployments.webhooks.service import deliveries
from eventing.events.envelope import Event, Origin
from tests.deployments.local_http import answer, hang, serving
from tests.deployments.webhooks.lanes import (
    all_are,
    endpoint,
    happen,
    ids_of,
    reached,
    serving_jobs,
)
from tests.eventing.harness import eventually, record_facts, rows
from tests.eventing.jobs import harness as jobs
from tests.factories import make_tenant


async def test_many_deliveries_take_one_job_and_few_connections(
    database: Database, webhooks: Webhooks, acme: Principal, egress: Egress
) -> None:
    """W5: 200 deliveries of one endpoint by one lane, over connections that are kept; each is sent once."""
    async with serving(answer("200 OK")) as server:
        hook = await endpoint(webhooks, acme, server)
        ids = await happen(database, 200)
        async with serving_jobs(database, egress):
            await all_are(database, delivered=200)
    assert sorted(ids_of(server)) == sorted(ids)
    assert server.connections <= Policy().concurrency
    assert len(await rows(database, Job)) < 10
    statistics = await webhooks.statistics(acme, hook.id, 1)
    assert (statistics.delivered, statistics.attempts, statistics.success_rate, statistics.circuit) == (
        200,
        200,
        1.0,
        "closed",
    )
    assert 0 < (statistics.p50_ms or 0) <= (statistics.p95_ms or 0)
    assert statistics.last_success_at is not None
    told = [Event.decode(row.envelope) for row in await rows(database, EventRow) if row.type == "webhook.delivered"]
    assert {event.data["event_id"] for event in told} == set(ids)


async def test_an_endpoint_gets_as_many_requests_at_once_as_it_asked_for(
    database: Database, webhooks: Webhooks, acme: Principal, egress: Egress
) -> None:
    """W2: per-endpoint concurrency."""
    running = most = 0

    async def slowly(writer: asyncio.StreamWriter) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.02)
        running -= 1
        await answer("200 OK")(writer)

    async with serving(slowly) as server:
        await endpoint(webhooks, acme, server, max_concurrency=3)
        await happen(database, 30)
        async with serving_jobs(database, egress):
            await all_are(database, delivered=30)
    assert most == 3


async def test_an_endpoint_gets_no_more_in_a_minute_than_it_asked_for(
    database: Database, webhooks: Webhooks, acme: Principal, egress: Egress
) -> None:
    """W2: per-endpoint rate, also over several turns of its lane; the wait of a slow one takes no place."""
    arrivals: list[float] = []

    async def note(writer: asyncio.StreamWriter) -> None:
        arrivals.append(time.monotonic())
        await answer("200 OK")(writer)

    async with serving(note) as quick, serving(answer("200 OK")) as slow:
        await endpoint(webhooks, acme, quick, max_per_minute=1200)
        slow_hook = await endpoint(webhooks, acme, slow, max_per_minute=1)
        async with serving_jobs(database, egress):
            await happen(database, 10)
            await eventually(lambda: reached(arrivals, 10))
            await happen(database, 5, first=10)
            await all_are(database, delivered=16, pending=14)
    # A busy machine can hold one up on its way; ten of them take their time all the same.
    assert min(last - first for first, last in zip(arrivals, arrivals[9:], strict=False)) > 9 * 0.05 - 0.05
    assert len(slow.requests) == 1
    lane = next(row for row in await rows(database, WebhookLane) if row.endpoint_id == slow_hook.id)
    assert 50 < (lane.run_at - utc_now()).total_seconds() <= 60
    assert [row.tries for row in await rows(database, WebhookDelivery) if row.state == "pending"] == [0] * 14


async def test_the_rate_holds_for_what_comes_when_nothing_waited(
    database: Database, webhooks: Webhooks, acme: Principal, egress: Egress
) -> None:
    """W2: the job that sent the last one is gone by then."""
    async with serving(answer("200 OK")) as server:
        await endpoint(webhooks, acme, server, max_per_minute=1)
        async with serving_jobs(database, egress):
            for number, states in enumerate(({"delivered": 1}, {"delivered": 1, "pending": 1})):
                await happen(database, 1, first=number)
                await all_are(database, **states)
                await eventually(lambda: has_left(database))
    assert len(server.requests) == 1
    (lane,) = await rows(database, WebhookLane)
    assert 50 < (lane.run_at - utc_now()).total_seconds() <= 60


async def has_left(database: Database) -> bool:
    """Whether no job is at the lane: it waits for its time, or for nothing."""
    (lane,) = await rows(database, WebhookLane)
    return lane.run_at is None or lane.run_at > utc_now()


async def test_a_hanging_endpoint_holds_up_nobody(database: Database, webhooks: Webhooks, acme: Principal) -> None:
    """W5: among 51, with fewer places than endpoints, the other 50 get theirs long before its time is over."""
    egress = Egress(("127.0.0.0/8",), timeout_s=60, keep_s=5)
    async with serving(hang) as bad, serving(answer("200 OK")) as good:
        await endpoint(webhooks, acme, bad)
        for _ in range(50):
            await endpoint(webhooks, acme, good)
        await happen(database, 2)
        async with serving_jobs(database, egress):
            started = time.monotonic()
            await all_are(database, delivered=100, pending=2)
            took = time.monotonic() - started
    await egress.aclose()
    assert took < 20
    assert len(bad.requests) == 2
    assert len(good.requests) == 100


async def test_a_request_that_hangs_does_not_hold_up_what_comes_later(
    database: Database, webhooks: Webhooks, acme: Principal
) -> None:
    """W5: nor the deliveries of the same endpoint, which has more than one request at once."""
    egress = Egress(("127.0.0.0/8",), timeout_s=60)
    async with serving(hang, answer("200 OK")) as server:
        await endpoint(webhooks, acme, server)
        async with serving_jobs(database, egress):
            await happen(database, 1)
            await eventually(lambda: reached(server.requests, 1))
            await happen(database, 3, first=1)
            await all_are(database, delivered=3, pending=1)
    await egress.aclose()
    assert len(server.requests) == 4


async def test_secrets_headers_and_what_is_on_record(
    database: Database, webhooks: Webhooks, acme: Principal, egress: Egress
) -> None:
    """W1, W3: during a rotation both secrets verify; own headers go along; the log shows them but no secret."""
    async with serving(answer("200 OK", b"tha\0nks")) as server:
        headers = [Header(name="X-Team", value="kitchen"), Header(name="X-Api-Key", value="hush", secret=True)]
        hook = await endpoint(webhooks, acme, server, headers=headers)
        rotated = await webhooks.rotate_secret(acme, hook.id, RotateSecret())
        await happen(database, 1)
        async with serving_jobs(database, egress):
            await all_are(database, delivered=1)
    (request,) = server.requests
    for secret in (hook.secret, rotated.secret):
        assert Verifier(secret or "").verify(request.body, request.headers)
    assert (request.headers["x-team"], request.headers["x-api-key"]) == ("kitchen", "hush")
    (delivery,) = (await webhooks.list_deliveries(acme, hook.id, DeliveryFilter(), None, 1)).data
    (attempt,) = delivery.attempts
    assert attempt.request_headers["x-team"] == "kitchen"
    assert attempt.request_headers["x-api-key"] == "(secret)"
    assert attempt.request_headers["webhook-id"] == delivery.event_id
    assert attempt.response_excerpt == "thanks"
    assert "hush" not in str([row.model_dump() for row in await rows(database, WebhookAttempt)])
    assert (await webhooks.get_delivery(acme, delivery.id)).body == request.body.decode()


async def test_an_expired_secret_signs_no_more(
    database: Database, webhooks: Webhooks, acme: Principal, egress: Egress
) -> None:
    """W1."""
    async with serving(answer("200 OK")) as server:
        hook = await endpoint(webhooks, acme, server)
        await webhooks.rotate_secret(acme, hook.id, RotateSecret(expire_previous_after_s=3600))
        async with database.write("acme") as unit:
            (row,) = await unit.session.scalars(select(WebhookEndpoint))
            past = (utc_now() - timedelta(seconds=1)).isoformat()
            row.previous_secrets = [{**each, "expires_at": past} for each in row.previous_secrets]
        await happen(database, 1)
        async with serving_jobs(database, egress):
            await all_are(database, delivered=1)
    assert len(server.requests[0].headers["webhook-signature"].split()) == 1


async def test_only_what_the_filter_wants_is_delivered(
    database: Database, webhooks: Webhooks, acme: Principal, egress: Egress
) -> None:
    """W1."""
    async with serving(answer("200 OK")) as server:
        await endpoint(webhooks, acme, server, filter={"data": {"answers": {"n": {"$gte": 3}}}})
        ids = await happen(database, 5)
        async with serving_jobs(database, egress):
            await all_are(database, delivered=2)
    assert sorted(ids_of(server)) == sorted(ids[3:])


async def test_of_an_endpoint_that_fails_the_others_are_told(webhooks: Webhooks, acme: Principal) -> None:
    """W2: operational events go to whoever names them, never to the endpoint that they are about, nor for `*`."""
    fact = {"webhook_id": "whk_1", "reason": "gone"}
    event = Event("evt_1", "webhook.disabled", 1, utc_now(), "acme", "whk_1", None, "system:webhooks", data=fact)

    def row(id_: str, *events: str) -> WebhookEndpoint:
        named = {"tenant_id": "acme", "id": id_, "url": "https://a.example", "events": list(events), "secret": ""}
        return WebhookEndpoint(**named, created_by="usr_1", created_at=utc_now(), updated_at=utc_now())

    assert deliveries.wants(row("whk_2", "webhook.disabled"), event)
    assert not deliveries.wants(row("whk_1", "webhook.disabled"), event)
    assert not deliveries.wants(row("whk_2", "*"), event)
    assert not deliveries.wants(row("whk_2", "webhook.*"), event)


async def test_old_deliveries_are_forgotten_and_lost_lanes_found(
    database: Database, webhooks: Webhooks, acme: Principal, egress: Egress
) -> None:
    """W3: what ended longer ago than it is kept goes, with its attempts, of every tenant; the rest stays. A lane
    whose job is gone gets another."""
    globex = await make_tenant(database, "globex")
    async with serving(answer("200 OK")) as server:
        for who in (acme, globex):
            await endpoint(webhooks, who, server)
            await happen(database, 3, tenant_id=who.tenant_id)
        async with serving_jobs(database, egress):
            await all_are(database, delivered=6)
            async with database.unscoped_write() as unit:
                old = [row.id for row in await rows(database, WebhookDelivery) if row.body.count('"rsp_1"')]
                await unit.session.execute(
                    update(WebhookDelivery)
                    .where(col(WebhookDelivery.id).in_(old))
                    .values(finished_at=utc_now() - timedelta(days=91))
                )
            await happen(database, 1, first=9)
            await all_are(database, delivered=7)
            async with database.unscoped_write() as unit:
                stranded = utc_now() - timedelta(hours=1)
                await unit.session.execute(
                    update(WebhookLane).where(col(WebhookLane.tenant_id) == "acme").values(run_at=stranded)
                )
                await unit.session.execute(
                    update(WebhookDelivery)
                    .where(col(WebhookDelivery.body).contains('"rsp_9"'))
                    .values(state="pending", next_at=stranded)
                )
            (job_id,) = await jobs.order(database, "acme", kind="webhooks.prune", payload={}, queue="batch")
            job = await jobs.reaches(database, job_id, "succeeded")
            await all_are(database, delivered=5)
    assert job.result == {"removed": 2, "woken": 1}
    assert len(await rows(database, WebhookAttempt)) == 6


async def test_a_receiver_is_told_whose_request_it_was(
    database: Database, webhooks: Webhooks, acme: Principal, egress: Egress
) -> None:
    """O1, O2: the client's own trace context is handed on while nobody traces here; a made-up event has none."""
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    origin = Origin("of-ada-1", "192.0.2.7", "a browser of Ada's", trace)
    async with serving(answer("200 OK")) as server:
        own = [Header(name="X-Correlation-Id", value="of-the-customer")]
        hook = await endpoint(webhooks, acme, server, events=["form.deleted"], headers=own)
        (event,) = await record_facts(database, "acme", "frm_1", origin=origin)
        async with database.write("acme") as unit:
            await deliveries.deliver(unit, [event])
        await webhooks.test(acme, hook.id, SendTestEvent())
        async with serving_jobs(database, egress):
            await all_are(database, delivered=2)
    told = {request.headers["ce-type"]: request.headers for request in server.requests}
    assert told["form.deleted"]["traceparent"] == trace
    assert told["form.deleted"]["x-correlation-id"] == "of-ada-1"
    assert "traceparent" not in told["webhook.test"]
    assert told["webhook.test"]["x-correlation-id"] == "of-the-customer"
    assert not [value for headers in told.values() for value in headers.values() if "192.0.2.7" in value]
