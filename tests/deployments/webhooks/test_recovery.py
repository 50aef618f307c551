"""What a broken endpoint misses: told of, held back, and sent when it is repaired; on both databases."""

from datetime import timedelta

import pytest
from sqlalchemy import delete, update
from sqlmodel import col

from db.models.events import Event as EventRow
from db.models.jobs import Job
from db.models.webhooks import WebhookDelivery, WebhookEndpoint, WebhookLane
from db.session import Database
from db.types import utc_now
from deployments.kit.egress import Egress
from deployments.kit.principal import Principal
from deployments.webhooks import handlers
from deployments.webhooks.contracts import (
    RecoverWebhook,
    SendTestEvent,
    UpdateWebhook,
)
from deployments.webhooks.deployment import Webhooks
from deployments.webhooks.errors import InvalidWebhook, WebhookDisabled
from deployments.webhooks.policy import Policy
from deployments.webhooks.recovery import RecoverWebhooks
from deployments.webhooks.retry import Schedule
from eventing.events.envelope import Event, Origin
from eventing.events.responses import ResponseSubmitted
from eventing.outbox import record
from tests.deployments.local_http import answer, serving
from tests.deployments.tenancy.population import attempt
from tests.deployments.webhooks.lanes import all_are, endpoint, happen, ids_of, reached, rests, serving_jobs, url_of
from tests.eventing.harness import eventually, rows
from tests.eventing.jobs import harness as jobs


async def test_what_waits_for_a_broken_endpoint_burns_no_attempts(
    database: Database, webhooks: Webhooks, acme: Principal, egress: Egress
) -> None:
    """W2: the circuit opens after five failures in a row; then nothing is sent, nor counted, nor does a job run."""
    policy = Policy(Schedule((0.0, 3600.0)), pauses_s=(3600.0,))
    async with serving(answer("500 Oops")) as server:
        hook = await endpoint(webhooks, acme, server, max_concurrency=1)
        await happen(database, 20)
        async with serving_jobs(database, egress, policy):
            await eventually(lambda: rests(database))
    assert len(server.requests) == 5
    assert sorted(row.attempts for row in await rows(database, WebhookDelivery)) == [0] * 15 + [1] * 5
    statistics = await webhooks.statistics(acme, hook.id, 1)
    assert (statistics.circuit, statistics.consecutive_failures, statistics.pending) == ("open", 5, 20)
    assert statistics.resumes_at is not None
    await happen(database, 5, first=20)
    (lane,) = await rows(database, WebhookLane)
    assert [job.state for job in await rows(database, Job)].count("queued") == 1
    assert (lane.run_at - utc_now()).total_seconds() > 3500


async def test_a_repaired_endpoint_is_found_out_and_gets_everything(
    database: Database, webhooks: Webhooks, acme: Principal, egress: Egress
) -> None:
    """W2: half open, one delivery is tried; its success lets the others through."""
    oops = answer("500 Oops")
    async with serving(*[oops] * 6, answer("200 OK")) as server:
        hook = await endpoint(webhooks, acme, server, max_concurrency=1)
        ids = await happen(database, 12)
        async with serving_jobs(database, egress):
            await all_are(database, delivered=12)
    assert set(ids_of(server)) == set(ids)
    statistics = await webhooks.statistics(acme, hook.id, 1)
    assert (statistics.circuit, statistics.consecutive_failures, statistics.failing_since) == ("closed", 0, None)


async def test_a_test_event_does_not_wait_for_the_circuit(
    database: Database, webhooks: Webhooks, acme: Principal, egress: Egress
) -> None:
    """W1: whoever repaired the receiver sees it at once, before what has waited."""
    policy = Policy(Schedule((0.0, 3600.0)), pauses_s=(3600.0,))
    oops = answer("500 Oops")
    async with serving(*[oops] * 5, answer("200 OK")) as server:
        hook = await endpoint(webhooks, acme, server, max_concurrency=1)
        await happen(database, 7)
        async with serving_jobs(database, egress, policy):
            await eventually(lambda: rests(database))
            made = await webhooks.test(acme, hook.id, SendTestEvent())
            await all_are(database, delivered=3, pending=5)
    assert ids_of(server)[5] == made.event_id


async def test_five_days_of_failure_warn_disable_and_are_recovered(
    database: Database, webhooks: Webhooks, acme: Principal, egress: Egress
) -> None:
    """W2, W3: told of at 50, 70 and 90 %, disabled with notice at the end; what failed, and what happened while it was
    disabled, arrives after `recover`. Time is moved by making the failure older."""
    policy = Policy(Schedule((0.0, *[0.01] * 200)), failures_to_open=10_000)
    since = utc_now() - timedelta(minutes=1)
    async with serving(answer("500 Oops")) as server:
        hook = await endpoint(webhooks, acme, server, max_concurrency=1)
        watcher = await endpoint(webhooks, acme, server, events=["webhook.failing", "webhook.disabled"])
        lost = [event.id for event in await recorded(database, 3)]
        async with serving_jobs(database, egress, policy):
            for hours, type_, percent in ((61, "failing", 50), (85, "failing", 70), (109, "failing", 90), (121, "", 0)):
                await eventually(lambda: reached(server.requests, 10))
                server.requests.clear()
                async with database.write("acme") as unit:
                    failing_since = utc_now() - timedelta(hours=hours)
                    await unit.session.execute(update(WebhookLane).values(failing_since=failing_since))
                if type_:
                    await eventually(lambda percent=percent: told(database, percent))
            await eventually(lambda: is_disabled(database, hook.id))
            await all_are(database, failed=3)
    found = await webhooks.get(acme, hook.id)
    assert found.status == "disabled"
    assert (found.disabled_reason or "").startswith("no delivery was heard for 5 days")
    (notice,) = [Event.decode(row.envelope) for row in await rows(database, EventRow) if row.type == "webhook.disabled"]
    async with database.write("acme") as unit:
        await handlers.on_events(unit, [notice])
    assert [row.endpoint_id for row in await rows(database, WebhookDelivery) if row.event_id == notice.id] == [
        watcher.id
    ]
    missed = [event.id for event in await recorded(database, 4)]
    with pytest.raises(WebhookDisabled):
        await webhooks.recover(acme, hook.id, RecoverWebhook(since=since))
    async with serving(answer("200 OK")) as repaired:
        await webhooks.update(acme, hook.id, UpdateWebhook(status="enabled", url=url_of(repaired)))
        ordered = await webhooks.recover(acme, hook.id, RecoverWebhook(since=since))
        assert await webhooks.recover(acme, hook.id, RecoverWebhook(since=since)) == ordered
        async with serving_jobs(database, egress, policy):
            job = await jobs.reaches(database, ordered.job_id, "succeeded")
            await eventually(lambda: reached(repaired.requests, 7))
            await eventually(lambda: is_done(database, hook.id, 7))
    assert job.result == {"restarted": 3, "made": 4}
    assert job.progress_done > 0
    assert sorted(ids_of(repaired)) == sorted(lost + missed)


async def recorded(database: Database, count: int) -> list[Event]:
    """Submissions that are in the log and, where somebody wants them, deliveries."""
    async with database.write("acme") as unit:
        events = [
            record(
                unit,
                ResponseSubmitted(
                    response_id=f"rsp_{number}", form_id="frm_1", form_version=1, status="complete", answers={}
                ),
                actor="anonymous",
                origin=Origin(),
            )
            for number in range(count)
        ]
        await unit.session.flush()
        wanted = await handlers.select_wanted(unit, events)
        await handlers.on_events(unit, wanted)
    return events


async def told(database: Database, percent: int) -> bool:
    facts = [Event.decode(row.envelope) for row in await rows(database, EventRow) if row.type == "webhook.failing"]
    return facts[-1:] != [] and max(fact.data["percent"] for fact in facts) == percent


async def is_disabled(database: Database, webhook_id: str) -> bool:
    return [row.status for row in await rows(database, WebhookEndpoint) if row.id == webhook_id] == ["disabled"]


async def is_done(database: Database, webhook_id: str, count: int) -> bool:
    mine = [row.state for row in await rows(database, WebhookDelivery) if row.endpoint_id == webhook_id]
    return mine == ["delivered"] * count


async def test_all_that_failed_is_sent_again(
    database: Database, webhooks: Webhooks, acme: Principal, egress: Egress
) -> None:
    """W3: whenever it was made; what was delivered is not."""
    policy = Policy(Schedule((0.0,)))
    async with serving(answer("200 OK"), answer("500 Oops"), answer("500 Oops"), answer("200 OK")) as server:
        hook = await endpoint(webhooks, acme, server, max_concurrency=1)
        ids = await happen(database, 3)
        async with serving_jobs(database, egress, policy):
            await all_are(database, delivered=1, failed=2)
            ordered = await webhooks.resend_failed(acme, hook.id)
            await all_are(database, delivered=3)
            job = await jobs.reaches(database, ordered.job_id, "succeeded")
    assert job.result == {"restarted": 2, "made": 0}
    assert ids_of(server) == [*ids, *ids[1:]]


async def test_a_recovery_begins_where_it_was_told_to_and_starts_nothing_twice(
    database: Database, webhooks: Webhooks, acme: Principal, egress: Egress
) -> None:
    """W3: of what failed and of what was never made. Run again, as after a crash, it leaves what failed since then."""
    policy = Policy(Schedule((0.0,)), failures_to_open=100)

    async def missed_and_failed(failed: int) -> None:
        """One event without a delivery, and one whose delivery fails."""
        missed, _ = await recorded(database, 2)
        async with database.write("acme") as unit:
            await unit.session.execute(delete(WebhookDelivery).where(col(WebhookDelivery.event_id) == missed.id))
        async with serving_jobs(database, egress, policy):
            await all_are(database, failed=failed)

    async with serving(answer("500 Oops")) as server:
        hook = await endpoint(webhooks, acme, server, max_concurrency=1)
        await missed_and_failed(1)
        since = utc_now()
        await missed_and_failed(2)
        ordered = await webhooks.recover(acme, hook.id, RecoverWebhook(since=since))
        async with serving_jobs(database, egress, policy):
            job = await jobs.reaches(database, ordered.job_id, "succeeded")
            await all_are(database, failed=3)
        again = await RecoverWebhooks(database).run(attempt("acme", job.payload))
    assert job.result == {"restarted": 1, "made": 1}
    assert again.result == {"restarted": 0, "made": 0}


async def test_recovering_needs_a_time_that_has_passed(webhooks: Webhooks, acme: Principal) -> None:
    async with serving(answer("200 OK")) as server:
        hook = await endpoint(webhooks, acme, server)
    now = utc_now()
    for since, until in ((now + timedelta(hours=1), None), (now - timedelta(hours=1), now - timedelta(hours=2))):
        with pytest.raises(InvalidWebhook):
            await webhooks.recover(acme, hook.id, RecoverWebhook(since=since, until=until))
