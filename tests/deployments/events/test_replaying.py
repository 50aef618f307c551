"""E5: events are told again to one webhook or one consumer, what was asked for and once; on both databases."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import col

from db.models.events import FailedEvent
from db.models.jobs import Job
from db.models.response_life import BulkRun
from db.models.webhooks import WebhookDelivery
from db.session import Database, UnitOfWork
from db.types import utc_now
from deployments.events import replaying
from deployments.events.deployment import Events
from deployments.events.errors import InvalidReplay, ReplayKeyReused
from deployments.events.recovery_contracts import StartReplay
from deployments.events.replaying import ReplayJob
from deployments.kit.errors import Forbidden
from deployments.kit.principal import Principal
from deployments.kit.vault import Vault
from deployments.webhooks.contracts import CreateWebhook, DeliveryFilter, UpdateWebhook
from deployments.webhooks.deployment import Webhooks
from deployments.webhooks.errors import WebhookNotFound
from deployments.webhooks.replaying import WebhookReplay
from eventing.events.envelope import Event, Origin
from eventing.events.forms import FormDeleted
from eventing.events.responses import ResponseSubmitted
from eventing.jobs import JobRun
from eventing.outbox import record
from eventing.subscription import Subscription
from tests.eventing.harness import count, eventually, record_facts, rows
from tests.eventing.jobs.harness import fetch, reaches, serving
from tests.eventing.test_turns import consumer
from tests.factories import make_tenant, owner

CONSUMERS = {"effects": True, "mail": False}
VAULT = Vault("a secret key of the platform, 32+")
DELETED = FormDeleted.type


async def ignore(_unit: UnitOfWork, _events: Sequence[Event]) -> None:
    """The consumer itself is not at work here."""


EFFECTS = Subscription("effects", (DELETED,), ignore, replayable=True)
MAIL = Subscription("mail", (DELETED,), ignore)


@pytest.fixture
async def acme(database: Database) -> Principal:
    return await make_tenant(database)


@pytest.fixture
def webhooks(database: Database) -> Webhooks:
    return Webhooks(database, VAULT)


@pytest.fixture
def events(database: Database, webhooks: Webhooks) -> Events:
    return Events(database, CONSUMERS, webhooks)


def job_of(database: Database, *subscriptions: Subscription) -> ReplayJob:
    return ReplayJob(database, subscriptions or (EFFECTS, MAIL), WebhookReplay)


async def finished(database: Database, job_id: str, state: str = "succeeded") -> Job:
    async with serving(database, *job_of(database).kinds()):
        return await reaches(database, job_id, state)


async def replayed(database: Database, events: Events, acme: Principal, **asked: Any) -> dict[str, Any]:
    """The result of a replay that runs to its end."""
    started = await events.replay(acme, StartReplay(**{"per_second": 1000, **asked}), None)
    return (await finished(database, started.job_id)).result or {}


async def submitted(database: Database, *response_ids: str, imported: bool = False) -> list[Event]:
    fact = ResponseSubmitted(response_id="", form_id="frm_1", form_version=1, status="complete", answers={})
    async with database.write("acme") as unit:
        return [
            record(unit, replace(fact, response_id=id_, imported=imported), actor="anonymous", origin=Origin())
            for id_ in response_ids
        ]


class TestIntoAConsumer:
    async def test_what_is_asked_for_and_nothing_else(
        self, database: Database, events: Events, acme: Principal
    ) -> None:
        """By type, form, time and place in the log; of this tenant only."""
        await record_facts(database, "globex", "frm_1")
        first, second = await record_facts(database, "acme", "frm_1", "frm_2")
        await submitted(database, "rsp_1")
        (third,) = await record_facts(database, "acme", "frm_1")

        async def waiting(**asked: Any) -> list[str]:
            await replayed(database, events, acme, consumer="effects", **asked)
            found = {row.event_id for row in await rows(database, FailedEvent)}
            async with database.unscoped_write() as unit:
                for row in await rows(database, FailedEvent):
                    await unit.session.delete(row)
            return sorted(found)

        assert await waiting() == [first.id, second.id, third.id]
        assert await waiting(form_id="frm_1") == [first.id, third.id]
        assert await waiting(types=[DELETED, "form.created"]) == [first.id, second.id, third.id]
        assert await waiting(types=["response.submitted"]) == []
        assert await waiting(after_id=first.id) == [second.id, third.id]
        assert await waiting(since=third.timestamp) == [third.id]
        assert await waiting(until=third.timestamp, since=second.timestamp) == [second.id]

    async def test_each_effect_happens_once_more(self, database: Database, events: Events, acme: Principal) -> None:
        facts = await record_facts(database, "acme", *(f"frm_{n}" for n in range(5)))
        effects = consumer(database)
        await effects.apply(facts)
        result = await replayed(database, events, acme, consumer="effects")
        assert (result["matched"], result["replayed"], result["skipped"]) == (5, 5, 0)
        await effects.retry_due()
        await effects.apply(facts)
        assert await count(database, Job, col(Job.kind) == "effect") == 10

    async def test_what_happens_after_the_order_is_not_told_again(
        self, database: Database, events: Events, acme: Principal
    ) -> None:
        """It is told by itself; an end in the future does not change that."""
        (earlier,) = await record_facts(database, "acme", "frm_1")
        started = await events.replay(acme, StartReplay(consumer="effects", until=utc_now() + timedelta(days=1)), None)
        await record_facts(database, "acme", "frm_2")
        await finished(database, started.job_id)
        assert [row.event_id for row in await rows(database, FailedEvent)] == [earlier.id]

    async def test_what_the_consumer_does_not_want_is_skipped(
        self, database: Database, events: Events, acme: Principal
    ) -> None:
        facts = await record_facts(database, "acme", "frm_1", "frm_2", "frm_3")

        async def select(_unit: UnitOfWork, found: Sequence[Event]) -> Sequence[Event]:
            return [event for event in found if event.entity_id != "frm_2"]

        started = await events.replay(acme, StartReplay(consumer="effects"), None)
        async with serving(database, *job_of(database, replace(EFFECTS, select=select)).kinds()):
            result = (await reaches(database, started.job_id, "succeeded")).result
        assert result == {"matched": 3, "replayed": 2, "skipped": 1}
        assert {row.event_id for row in await rows(database, FailedEvent)} == {facts[0].id, facts[2].id}

    async def test_a_dry_run_counts_shows_and_does_nothing(
        self, database: Database, events: Events, acme: Principal
    ) -> None:
        facts = await record_facts(database, "acme", *(f"frm_{n}" for n in range(12)))
        result = await replayed(database, events, acme, consumer="effects", dry_run=True)
        assert (result["dry_run"], result["matched"], result["replayed"]) == (True, 12, 12)
        assert [shown["id"] for shown in result["sample"]] == [fact.id for fact in facts[:10]]
        assert set(result["sample"][0]) == {"id", "type", "timestamp", "entity_id", "form_id"}
        assert await count(database, FailedEvent) == await count(database, BulkRun) == 0


class TestIntoAWebhook:
    async def test_new_deliveries_under_the_ids_of_the_events(
        self, database: Database, events: Events, webhooks: Webhooks, acme: Principal
    ) -> None:
        """Marked with the replay, of what the webhook subscribed to, what was imported left out as always."""
        command = CreateWebhook(url="https://example.org/hook", events=["response.submitted"])
        hook = await webhooks.create(acme, command)
        other = await webhooks.create(acme, command)
        told = await submitted(database, "rsp_1", "rsp_2")
        await submitted(database, "rsp_3", imported=True)
        await record_facts(database, "acme", "frm_1")
        dry = await replayed(database, events, acme, webhook_id=hook.id, dry_run=True)
        assert dry["replayed"] == 2
        for _ in range(2):
            result = await replayed(database, events, acme, webhook_id=hook.id, types=["response.submitted"])
            assert (result["matched"], result["replayed"]) == (3, 2)
        made = await rows(database, WebhookDelivery)
        assert {delivery.endpoint_id for delivery in made} == {hook.id} != {other.id}
        assert sorted(delivery.event_id for delivery in made) == sorted([event.id for event in told] * 2)
        assert len({delivery.replay_id for delivery in made}) == 2
        assert all(f'"id":"{delivery.event_id}"' in delivery.body for delivery in made)
        of_one = await webhooks.list_deliveries(acme, hook.id, DeliveryFilter(replay_id=made[0].replay_id), None, 10)
        assert [each.replay_id for each in of_one.data] == [made[0].replay_id] * 2
        of_none = await webhooks.list_deliveries(acme, hook.id, DeliveryFilter(replay_id=""), None, 10)
        assert of_none.data == []
        assert await count(database, Job, col(Job.kind) == "webhook.send") == 1, "one job for the lane of the endpoint"

    async def test_a_webhook_that_goes_away_ends_it(
        self, database: Database, events: Events, webhooks: Webhooks, acme: Principal
    ) -> None:
        hook = await webhooks.create(acme, CreateWebhook(url="https://example.org/hook", events=["*"]))
        await submitted(database, "rsp_1")
        started = await events.replay(acme, StartReplay(webhook_id=hook.id), None)
        await webhooks.update(acme, hook.id, UpdateWebhook(status="disabled"))
        job = await finished(database, started.job_id, "failed")
        assert (job.error, job.attempt) == ("the webhook is gone or disabled", 1)
        assert await count(database, WebhookDelivery) == 0

    async def test_another_tenants_webhook_is_not_there(
        self, database: Database, events: Events, webhooks: Webhooks, acme: Principal
    ) -> None:
        """T5."""
        hook = await webhooks.create(acme, CreateWebhook(url="https://example.org/hook", events=["*"]))
        await make_tenant(database, "other")
        with pytest.raises(WebhookNotFound):
            await events.replay(owner("other"), StartReplay(webhook_id=hook.id), None)


class TestTheJob:
    async def test_a_killed_worker_costs_nothing_and_repeats_nothing(
        self, database: Database, events: Events, acme: Principal
    ) -> None:
        """It goes on behind the last event that was told, in the transaction that told it."""
        facts = await record_facts(database, "acme", *(f"frm_{n}" for n in range(25)))
        started = await events.replay(acme, StartReplay(consumer="effects", per_second=10), None)
        job = await fetch(database, started.job_id)

        async def silent(_done: int, _total: int | None) -> bool:
            return False

        def run() -> JobRun:
            return JobRun(
                tenant_id="acme",
                id=job.id,
                payload=job.payload,
                attempt=1,
                created_by=job.created_by,
                soft_limit_s=60,
                report=silent,
            )

        worker = asyncio.create_task(job_of(database).run(run()))
        await eventually(lambda: _has(database, 10))
        worker.cancel()
        await asyncio.wait({worker})
        before = {row.event_id for row in await rows(database, FailedEvent)}
        async with database.unscoped_write() as unit:
            for row in await rows(database, FailedEvent):
                await unit.session.delete(row)
        results = await asyncio.gather(*(job_of(database).run(run()) for _ in range(2)))
        after = {row.event_id for row in await rows(database, FailedEvent)}
        assert (before | after, before & after) == ({fact.id for fact in facts}, set())
        assert [(result.result or {})["replayed"] for result in results] == [25, 25]

    async def test_no_faster_than_asked(self, database: Database, events: Events, acme: Principal) -> None:
        await record_facts(database, "acme", *(f"frm_{n}" for n in range(30)))
        began = time.monotonic()
        await replayed(database, events, acme, consumer="effects", per_second=20)
        assert 1.0 <= time.monotonic() - began < 10

    async def test_it_can_be_cancelled_and_taken_up_again(
        self, database: Database, events: Events, acme: Principal
    ) -> None:
        await record_facts(database, "acme", *(f"frm_{n}" for n in range(60)))
        # Ten seconds for all of them: somebody who cancels after two is heard long before.
        started = await events.replay(acme, StartReplay(consumer="effects", per_second=6), None)
        async with serving(database, *job_of(database).kinds()):
            await eventually(lambda: _has(database, 2))
            async with database.write("acme") as unit:
                job = await unit.session.get(Job, ("acme", started.job_id))
                assert job is not None
                job.cancel_requested = True
            await reaches(database, started.job_id, "cancelled")
            told = await count(database, FailedEvent)
            assert 2 <= told < 60
            async with database.write("acme") as unit:
                job = await unit.session.get(Job, ("acme", started.job_id))
                assert job is not None
                job.state, job.cancel_requested, job.attempt = "queued", False, 0
                job.payload = {**job.payload, "order": {**job.payload["order"], "per_second": 1_000}}
            job = await reaches(database, started.job_id, "succeeded")
        assert (job.result or {})["replayed"] == await count(database, FailedEvent) == 60
        assert (job.progress_done, job.progress_total) == (60, 60)

    async def test_what_takes_longer_than_a_job_may_is_not_begun(
        self, database: Database, events: Events, acme: Principal, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(replaying, "_LIMIT_S", 2.0)
        await record_facts(database, "acme", "frm_1", "frm_2", "frm_3")
        started = await events.replay(acme, StartReplay(consumer="effects", per_second=1), None)
        job = await finished(database, started.job_id, "failed")
        assert "choose a higher rate" in (job.error or "")
        assert await count(database, FailedEvent) == 0

    async def test_a_key_orders_it_once(self, events: Events, acme: Principal) -> None:
        order = StartReplay(consumer="effects")
        one, two = [await events.replay(acme, order, "k-1") for _ in range(2)]
        assert (one.job_id, one.replayed, two.replayed) == (two.job_id, False, True)
        with pytest.raises(ReplayKeyReused):
            await events.replay(acme, StartReplay(consumer="effects", form_id="frm_1"), "k-1")


async def _has(database: Database, at_least: int) -> bool:
    return await count(database, FailedEvent) >= at_least


@pytest.mark.parametrize(
    ("asked", "pointer", "code"),
    [
        ({}, "", "target.one"),
        ({"webhook_id": "whk_1", "consumer": "effects"}, "", "target.one"),
        ({"consumer": "mail"}, "/consumer", "consumer.not_replayable"),
        ({"consumer": "nobody"}, "/consumer", "consumer.not_replayable"),
        ({"consumer": "effects", "types": [DELETED, "no.such"]}, "/types/1", "event.unknown"),
        (
            {"consumer": "effects", "since": "2026-01-02T00:00:00Z", "until": "2026-01-01T00:00:00Z"},
            "/until",
            "time.order",
        ),
    ],
)
async def test_what_cannot_be_replayed(
    events: Events, acme: Principal, asked: dict[str, Any], pointer: str, code: str
) -> None:
    """A consumer that tells people is not made to tell them twice."""
    with pytest.raises(InvalidReplay) as refused:
        await events.replay(acme, StartReplay.model_validate(asked), None)
    assert [(fault.pointer, fault.code) for fault in refused.value.faults] == [(pointer, code)]


async def test_who_may_order_one(events: Events) -> None:
    """U5."""
    reader = Principal("acme", "usr_1", "user", "analyst", frozenset({"events:read"}))
    with pytest.raises(Forbidden):
        await events.replay(reader, StartReplay(consumer="effects"), None)
