"""From an event to a signed request and what its answer changes, on both databases, against real servers."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import orjson
import pytest
import time_machine
from sqlalchemy import delete
from standardwebhooks import Webhook as Verifier

from db.models.events import Event as EventRow
from db.models.jobs import Job
from db.models.webhooks import WebhookDelivery, WebhookLane
from db.session import Database
from db.types import utc_now
from deployments.kit.egress import Egress
from deployments.kit.principal import Principal
from deployments.webhooks import handlers
from deployments.webhooks.contracts import (
    CreatedWebhook,
    CreateWebhook,
    Delivery,
    DeliveryFilter,
    SendTestEvent,
    UpdateWebhook,
)
from deployments.webhooks.deployment import Webhooks
from deployments.webhooks.policy import Policy
from deployments.webhooks.retry import Schedule
from eventing.effects import Effects
from eventing.events.envelope import Event, EventData, Origin
from eventing.events.responses import ResponseDeleted, ResponseSubmitted
from eventing.events.webhooks import WebhookFailed
from eventing.outbox import make_event
from eventing.settings import EventingSettings
from tests.deployments.local_http import LocalHttp, answer, serving
from tests.deployments.webhooks.lanes import VAULT
from tests.eventing.harness import rows
from tests.eventing.jobs import harness as jobs
from tests.factories import make_form, make_tenant

(SUBSCRIPTION,) = handlers.SUBSCRIPTIONS
SUBMITTED = ResponseSubmitted(
    response_id="rsp_1", form_id="frm_1", form_version=1, status="complete", answers={"name": "Ada"}
)


@pytest.fixture
async def egress() -> AsyncIterator[Egress]:
    egress = Egress(("127.0.0.0/8",), timeout_s=2)
    yield egress
    await egress.aclose()


def event_of(fact: EventData, tenant_id: str = "acme") -> Event:
    origin = Origin(request_id="req-1", address="192.0.2.1", user_agent="browser")
    return make_event(fact, tenant_id=tenant_id, actor="anonymous", origin=origin)


async def consume(database: Database, *events: Event) -> Effects:
    """What the consumer does with messages that carry these events."""
    effects = Effects(database, SUBSCRIPTION, EventingSettings(nats_url="nats://127.0.0.1:1"))
    await effects.apply(events)
    return effects


async def deliveries(database: Database) -> list[WebhookDelivery]:
    return sorted(await rows(database, WebhookDelivery), key=lambda row: row.id)


async def types_recorded(database: Database) -> list[str]:
    return [Event.decode(row.envelope).type for row in sorted(await rows(database, EventRow), key=lambda row: row.id)]


class TestWhoGetsWhat:
    async def hook(self, webhooks: Webhooks, acme: Principal, *events: str, form_id: str | None = None) -> str:
        command = CreateWebhook(url="https://example.org/hook", events=list(events), form_id=form_id)
        return (await webhooks.create(acme, command)).id

    async def test_each_webhook_gets_the_events_it_named(
        self, database: Database, webhooks: Webhooks, acme: Principal
    ) -> None:
        """W1: by type, by form, or everything."""
        form = await make_form(database, acme)
        submitted = await self.hook(webhooks, acme, "response.submitted")
        of_form = await self.hook(webhooks, acme, "response.submitted", "response.deleted", form_id=form.id)
        everything = await self.hook(webhooks, acme, "*")
        await self.hook(webhooks, acme, "form.published")
        here = event_of(replace(SUBMITTED, form_id=form.id))
        elsewhere = event_of(replace(SUBMITTED, response_id="rsp_2"))
        deleted = event_of(ResponseDeleted(response_id="rsp_3", form_id=form.id))
        effects = await consume(database, here, elsewhere, deleted)
        assert {(row.endpoint_id, row.event_id) for row in await deliveries(database)} == {
            (submitted, here.id),
            (submitted, elsewhere.id),
            (of_form, here.id),
            (of_form, deleted.id),
            (everything, here.id),
            (everything, elsewhere.id),
            (everything, deleted.id),
        }
        assert effects.counters.handled == 3

    async def test_an_event_that_nobody_wants_costs_no_write(
        self, database: Database, webhooks: Webhooks, acme: Principal
    ) -> None:
        await self.hook(webhooks, acme, "form.published")
        effects = await consume(database, event_of(SUBMITTED))
        assert (effects.counters.unselected, effects.counters.handled) == (1, 0)
        assert await deliveries(database) == []

    async def test_what_was_imported_is_not_news(self, database: Database, webhooks: Webhooks, acme: Principal) -> None:
        await self.hook(webhooks, acme, "*")
        effects = await consume(database, event_of(replace(SUBMITTED, imported=True)))
        assert effects.counters.unselected == 1
        assert await deliveries(database) == []

    async def test_what_was_before_a_webhook_is_no_news_for_it(
        self, database: Database, webhooks: Webhooks, acme: Principal
    ) -> None:
        """W1: a new webhook does not get what waited in the stream before there was one; an earlier one does."""
        earlier = await self.hook(webhooks, acme, "response.submitted")
        before = event_of(SUBMITTED)
        # Clocks may differ by some seconds.
        with time_machine.travel(utc_now() + timedelta(seconds=10)):
            later = await self.hook(webhooks, acme, "response.submitted")
            after = event_of(SUBMITTED)
        await consume(database, before, after)
        found = {(row.endpoint_id, row.event_id) for row in await deliveries(database)}
        assert found == {(earlier, before.id), (earlier, after.id), (later, after.id)}

    async def test_a_disabled_webhook_gets_nothing(
        self, database: Database, webhooks: Webhooks, acme: Principal
    ) -> None:
        hook_id = await self.hook(webhooks, acme, "*")
        await webhooks.update(acme, hook_id, UpdateWebhook(status="disabled"))
        await consume(database, event_of(SUBMITTED))
        assert await deliveries(database) == []

    async def test_another_tenants_event_is_not_delivered(
        self, database: Database, webhooks: Webhooks, acme: Principal
    ) -> None:
        """T5."""
        await self.hook(webhooks, acme, "*")
        await make_tenant(database, "globex")
        await consume(database, event_of(SUBMITTED, "globex"))
        assert await deliveries(database) == []

    async def test_a_redelivered_message_makes_no_second_delivery(
        self, database: Database, webhooks: Webhooks, acme: Principal
    ) -> None:
        """E3: the inbox row is in the transaction of the delivery."""
        await self.hook(webhooks, acme, "*")
        event = event_of(SUBMITTED)
        await consume(database, event)
        again = await consume(database, event)
        assert again.counters.duplicates == 1
        assert len(await deliveries(database)) == 1

    def test_failures_of_webhooks_are_not_delivered(self) -> None:
        """An endpoint that fails would feed itself."""
        assert WebhookFailed.type not in SUBSCRIPTION.types
        assert ResponseSubmitted.type in SUBSCRIPTION.types

    async def test_the_body_leaves_out_who_and_from_where(
        self, database: Database, webhooks: Webhooks, acme: Principal
    ) -> None:
        await self.hook(webhooks, acme, "*")
        event = event_of(SUBMITTED)
        await consume(database, event)
        (row,) = await deliveries(database)
        body = orjson.loads(row.body)
        assert (body["type"], body["id"], body["tenant_id"]) == ("response.submitted", event.id, "acme")
        assert body["data"]["answers"] == {"name": "Ada"}
        assert "192.0.2.1" not in row.body


class TestDelivering:
    """One delivery, from its job to its end."""

    async def ordered(
        self, database: Database, webhooks: Webhooks, acme: Principal, url: str, **wishes: Any
    ) -> CreatedWebhook:
        """A webhook with a delivery under way."""
        hook = await webhooks.create(acme, CreateWebhook(url=url, events=["*"], **wishes))
        await consume(database, event_of(SUBMITTED))
        return hook

    async def ended(
        self, database: Database, egress: Egress, state: str, delays: Sequence[float] = (0.0, 0.01, 0.01)
    ) -> None:
        """Send until every delivery is in that state and every lane has come to rest."""

        async def settled() -> bool:
            lanes = await rows(database, WebhookLane)
            return {row.state for row in await deliveries(database)} == {state} and not any(
                lane.run_at for lane in lanes
            )

        kinds = handlers.job_kinds(database, VAULT, egress, Policy(Schedule(tuple(delays))))
        async with jobs.serving(database, *kinds):
            await jobs.eventually(settled)

    async def only_delivery(self, webhooks: Webhooks, acme: Principal, hook_id: str) -> Delivery:
        (delivery,) = (await webhooks.list_deliveries(acme, hook_id, DeliveryFilter(), None, 10)).data
        return delivery

    def url(self, server: LocalHttp) -> str:
        return f"http://127.0.0.1:{server.port}/hook"

    async def test_a_delivery_arrives_signed(
        self, database: Database, webhooks: Webhooks, acme: Principal, egress: Egress
    ) -> None:
        """W1: Standard Webhooks signature, CloudEvents attributes as headers."""
        async with serving(answer("204 No Content")) as server:
            hook = await self.ordered(database, webhooks, acme, self.url(server))
            await self.ended(database, egress, "delivered")
        (request,) = server.requests
        event = Verifier(hook.secret).verify(request.body, request.headers)
        assert (event["type"], event["data"]["response_id"]) == ("response.submitted", "rsp_1")
        assert request.headers["webhook-id"] == request.headers["ce-id"] == event["id"]
        assert request.headers["ce-type"] == "response.submitted"
        assert request.headers["ce-source"] == "/tenants/acme"
        delivery = await self.only_delivery(webhooks, acme, hook.id)
        assert (delivery.state, delivery.last_status, delivery.event_id) == ("delivered", 204, event["id"])
        assert delivery.finished_at is not None
        assert [(attempt.number, attempt.status, attempt.error) for attempt in delivery.attempts] == [(1, 204, None)]

    async def test_a_failed_attempt_is_repeated_with_the_same_bytes(
        self, database: Database, webhooks: Webhooks, acme: Principal, egress: Egress
    ) -> None:
        """W2, W3: the same id and body each time, every attempt on record."""
        async with serving(answer("500 Oops", b"broken"), answer("200 OK", b"thanks")) as server:
            hook = await self.ordered(database, webhooks, acme, self.url(server))
            await self.ended(database, egress, "delivered")
        first, second = server.requests
        assert (first.body, first.headers["webhook-id"]) == (second.body, second.headers["webhook-id"])
        delivery = await self.only_delivery(webhooks, acme, hook.id)
        assert delivery.state == "delivered"
        assert [(attempt.number, attempt.status, attempt.response_excerpt) for attempt in delivery.attempts] == [
            (1, 500, "broken"),
            (2, 200, "thanks"),
        ]

    @pytest.mark.parametrize(
        ("status", "wish", "seconds"), [("503 Busy", "0", 3600), ("500 Oops", "0", 3600), ("500 Oops", "7200", 7200)]
    )
    async def test_the_schedule_decides_when(
        self,
        database: Database,
        webhooks: Webhooks,
        acme: Principal,
        egress: Egress,
        status: str,
        wish: str,
        seconds: int,
    ) -> None:
        """W2: the wait is the schedule's, not the queue's, unless the receiver wishes for a longer one."""
        async with serving(answer(status, b"", f"retry-after: {wish}")) as server:
            hook = await self.ordered(database, webhooks, acme, self.url(server))
            kinds = handlers.job_kinds(database, VAULT, egress, Policy(Schedule((0.0, 3600.0), jitter=0.0)))
            async with jobs.serving(database, *kinds):
                await jobs.eventually(lambda: self.has_been_tried(database))
        (row,) = await deliveries(database)
        (lane,) = await rows(database, WebhookLane)
        assert seconds - 1 < (row.next_at - row.created_at).total_seconds() < seconds + 30
        assert lane.run_at == row.next_at
        delivery = await self.only_delivery(webhooks, acme, hook.id)
        assert (delivery.state, delivery.last_status, delivery.finished_at) == ("pending", int(status[:3]), None)

    async def has_been_tried(self, database: Database) -> bool:
        return [row.attempts for row in await deliveries(database)] == [1]

    async def test_the_last_attempt_fails_the_delivery(
        self, database: Database, webhooks: Webhooks, acme: Principal, egress: Egress
    ) -> None:
        """W2: given up after the schedule's last attempt, and told as an event; the endpoint stays enabled."""
        async with serving(answer("500 Oops")) as server:
            hook = await self.ordered(database, webhooks, acme, self.url(server))
            await self.ended(database, egress, "failed", (0.0, 0.01))
        assert len(server.requests) == 2
        delivery = await self.only_delivery(webhooks, acme, hook.id)
        assert (delivery.state, delivery.last_status, len(delivery.attempts)) == ("failed", 500, 2)
        assert (await webhooks.get(acme, hook.id)).status == "enabled"
        (failed,) = [
            event
            for row in await rows(database, EventRow)
            if (event := Event.decode(row.envelope)).type == "webhook.failed"
        ]
        assert failed.data == {
            "delivery_id": delivery.id,
            "webhook_id": hook.id,
            "event_id": delivery.event_id,
            "reason": "the receiver answered 500",
        }

    async def test_a_receiver_that_is_gone_is_switched_off(
        self, database: Database, webhooks: Webhooks, acme: Principal, egress: Egress
    ) -> None:
        """W2: 410 needs no further attempt and disables the endpoint, with an event; enabling starts anew."""
        async with serving(answer("410 Gone")) as server:
            hook = await self.ordered(database, webhooks, acme, self.url(server))
            await self.ended(database, egress, "failed")
        assert len(server.requests) == 1
        assert (await self.only_delivery(webhooks, acme, hook.id)).state == "failed"
        assert (await webhooks.get(acme, hook.id)).status == "disabled"
        assert {"webhook.failed", "webhook.disabled"} <= set(await types_recorded(database))
        assert (await webhooks.update(acme, hook.id, UpdateWebhook(status="enabled"))).status == "enabled"

    async def test_an_address_that_must_not_be_called_is_given_up(
        self, database: Database, webhooks: Webhooks, acme: Principal
    ) -> None:
        """W4: a private address is refused where it is dialled, and no later attempt differs."""
        strict = Egress()
        async with serving(answer("200 OK")) as server:
            hook = await self.ordered(database, webhooks, acme, self.url(server))
            await self.ended(database, strict, "failed")
            await strict.aclose()
            assert server.connections == 0
        delivery = await self.only_delivery(webhooks, acme, hook.id)
        assert (delivery.state, delivery.last_status, len(delivery.attempts)) == ("failed", None, 1)
        assert delivery.attempts[0].error
        assert (await webhooks.get(acme, hook.id)).status == "enabled"

    async def test_what_waits_for_a_webhook_that_is_disabled_is_abandoned(
        self, database: Database, webhooks: Webhooks, acme: Principal, egress: Egress
    ) -> None:
        async with serving(answer("200 OK")) as server:
            hook = await self.ordered(database, webhooks, acme, self.url(server))
            await webhooks.update(acme, hook.id, UpdateWebhook(status="disabled"))
            await self.ended(database, egress, "failed")
            assert server.connections == 0
        assert (await self.only_delivery(webhooks, acme, hook.id)).state == "failed"

    async def test_a_disabled_webhook_can_be_tested(
        self, database: Database, webhooks: Webhooks, acme: Principal, egress: Egress
    ) -> None:
        """So that a repair can be checked before it is enabled again."""
        async with serving(answer("200 OK")) as server:
            hook = await webhooks.create(acme, CreateWebhook(url=self.url(server), events=["response.deleted"]))
            await webhooks.update(acme, hook.id, UpdateWebhook(status="disabled"))
            await webhooks.test(acme, hook.id, SendTestEvent())
            await self.ended(database, egress, "delivered")
        (request,) = server.requests
        assert Verifier(hook.secret).verify(request.body, request.headers)["type"] == "webhook.test"
        assert (await self.only_delivery(webhooks, acme, hook.id)).state == "delivered"

    async def test_a_failed_delivery_is_sent_again_by_hand(
        self, database: Database, webhooks: Webhooks, acme: Principal, egress: Egress
    ) -> None:
        """W3: the same body and id once more; attempts go on counting."""
        async with serving(answer("500 Oops"), answer("200 OK")) as server:
            hook = await self.ordered(database, webhooks, acme, self.url(server))
            await self.ended(database, egress, "failed", (0.0,))
            delivery = await self.only_delivery(webhooks, acme, hook.id)
            again = await webhooks.retry(acme, delivery.id)
            assert (again.state, again.finished_at, len(again.attempts)) == ("pending", None, 1)
            # It has its whole schedule once more.
            assert [row.tries for row in await rows(database, WebhookDelivery)] == [0]
            await self.ended(database, egress, "delivered", (0.0,))
        first, repeated = server.requests
        assert (first.body, first.headers["webhook-id"]) == (repeated.body, repeated.headers["webhook-id"])
        delivery = await self.only_delivery(webhooks, acme, hook.id)
        assert (delivery.state, [attempt.number for attempt in delivery.attempts]) == ("delivered", [1, 2])

    async def test_a_delivery_without_its_webhook_is_nothing_to_do(
        self, database: Database, webhooks: Webhooks, acme: Principal, egress: Egress
    ) -> None:
        async with serving(answer("200 OK")) as server:
            hook = await self.ordered(database, webhooks, acme, self.url(server))
            await webhooks.delete(acme, hook.id)
            async with jobs.serving(database, *handlers.job_kinds(database, VAULT, egress)):
                (job,) = await rows(database, Job)
                await jobs.reaches(database, job.id, "succeeded")
            assert server.connections == 0

    async def test_a_job_whose_turn_is_over_sends_nothing(
        self, database: Database, webhooks: Webhooks, acme: Principal, egress: Egress
    ) -> None:
        """A job runs at least once: the second time there is nothing left to send."""
        async with serving(answer("200 OK")) as server:
            hook = await self.ordered(database, webhooks, acme, self.url(server))
            await self.ended(database, egress, "delivered")
            payload = {"webhook_id": hook.id, "turn": 1}
            (again,) = await jobs.order(database, "acme", kind="webhook.send", payload=payload)
            async with jobs.serving(database, *handlers.job_kinds(database, VAULT, egress)):
                await jobs.reaches(database, again, "succeeded")
        assert len(server.requests) == 1
        assert len((await self.only_delivery(webhooks, acme, hook.id)).attempts) == 1

    async def test_a_job_of_an_earlier_release_sends_its_delivery(
        self, database: Database, webhooks: Webhooks, acme: Principal, egress: Egress
    ) -> None:
        """What waited when the platform was renewed had a job for each delivery, and no lane."""
        async with serving(answer("200 OK")) as server:
            await self.ordered(database, webhooks, acme, self.url(server))
            async with database.unscoped_write() as unit:
                for table in (Job, WebhookLane):
                    await unit.session.execute(delete(table))
            (row,) = await deliveries(database)
            await jobs.order(database, "acme", kind="webhook.deliver", payload={"delivery_id": row.id})
            await self.ended(database, egress, "delivered")
        assert len(server.requests) == 1


def test_the_default_schedule_has_ten_attempts() -> None:
    """W2."""
    assert len(Policy().schedule.delays) == 10
