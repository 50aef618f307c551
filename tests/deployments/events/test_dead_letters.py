"""E4: dead letters are seen by whom they concern, and redriven or discarded, one or many; on both databases."""

from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import col

from db.models.audit import AuditEntry
from db.models.events import DeadLetter, FailedEvent
from db.models.events import Event as EventRow
from db.models.response_life import BulkRun
from db.session import Database
from db.types import new_id, utc_now
from deployments.events.dead_letters import ManyDeadLetters
from deployments.events.deployment import Events
from deployments.events.errors import DeadLetterNotFound, InvalidChoice, NotRedrivable
from deployments.events.recovery_contracts import ChooseDeadLetters, FindDeadLetters, FindWaiting
from deployments.kit.errors import Forbidden
from deployments.kit.principal import Principal
from eventing.events.envelope import Event
from tests.eventing.harness import count, record_facts, rows
from tests.eventing.jobs.harness import reaches, serving

CONSUMERS = {"mail": False, "files": True}
ANYTHING = FindDeadLetters()


def principal(tenant_id: str = "acme", *scopes: str) -> Principal:
    return Principal(tenant_id, "usr_1", "user", "admin", frozenset(scopes or {"*"}))


async def bury(database: Database, event: Event, consumer: str = "mail", **changes: Any) -> str:
    letter = DeadLetter(
        **{
            "tenant_id": event.tenant_id,
            "id": new_id("dlq"),
            "consumer": consumer,
            "event_id": event.id,
            "event_type": event.type,
            "reason": "RuntimeError: no",
            "attempts": 8,
            "envelope": event.encode(),
            "created_at": utc_now(),
            **changes,
        }
    )
    async with database.write(event.tenant_id) as unit:
        unit.session.add(letter)
    return letter.id


@pytest.fixture
def events(database: Database) -> Events:
    return Events(database, CONSUMERS)


class TestSeeing:
    async def test_newest_first_in_pages_by_what_is_asked(self, database: Database, events: Events) -> None:
        facts = await record_facts(database, "acme", *(f"frm_{n}" for n in range(5)))
        old = utc_now() - timedelta(days=2)
        ids = [await bury(database, fact, created_at=old if n < 2 else utc_now()) for n, fact in enumerate(facts)]
        other = await bury(database, facts[0], "files", event_type="form.created")

        async def found(**query: Any) -> list[str]:
            cursor, ids = None, []
            while True:
                page = await events.list_dead_letters(principal(), FindDeadLetters(**query), cursor, 2)
                ids += [letter.id for letter in page.data]
                cursor = page.meta.next_cursor
                if cursor is None:
                    return ids

        assert await found() == [other, *reversed(ids)]
        assert await found(consumer="files") == await found(type="form.created") == [other]
        assert await found(since=utc_now() - timedelta(days=1), consumer="mail") == list(reversed(ids[2:]))
        assert await found(until=utc_now() - timedelta(days=1)) == list(reversed(ids[:2]))

    async def test_the_event_is_shown_to_those_who_may_see_personal_data(
        self, database: Database, events: Events
    ) -> None:
        """And never where it came from: address and agent stay inside."""
        (fact,) = await record_facts(database, "acme", "frm_1")
        letter_id = await bury(database, fact)
        broken = await bury(database, fact, "files", envelope="not an event")
        analyst = principal("acme", "events:read")
        assert (await events.get_dead_letter(analyst, letter_id)).event is None
        assert (await events.get_dead_letter(analyst, broken)).raw is None
        shown = await events.get_dead_letter(principal(), letter_id)
        assert (shown.attempts, shown.reason, shown.raw) == (8, "RuntimeError: no", None)
        assert shown.event is not None
        assert (shown.event["id"], shown.event["data"]) == (fact.id, {"form_id": "frm_1"})
        assert "origin" not in shown.event
        assert (await events.get_dead_letter(principal(), broken)).raw == "not an event"

    async def test_another_tenants_is_not_there(self, database: Database, events: Events) -> None:
        """T5."""
        (fact,) = await record_facts(database, "acme", "frm_1")
        letter_id = await bury(database, fact)
        stranger = principal("globex")
        assert (await events.list_dead_letters(stranger, ANYTHING, None, 20)).data == []
        for use in (events.get_dead_letter, events.redrive, events.discard):
            with pytest.raises(DeadLetterNotFound):
                await use(stranger, letter_id)
        assert await count(database, DeadLetter) == 1

    async def test_seeing_is_not_changing(self, database: Database, events: Events) -> None:
        """U5."""
        (fact,) = await record_facts(database, "acme", "frm_1")
        letter_id = await bury(database, fact)
        reader = principal("acme", "events:read")
        for use in (events.redrive, events.discard):
            with pytest.raises(Forbidden):
                await use(reader, letter_id)
        for order in (events.redrive_many, events.discard_many):
            with pytest.raises(Forbidden):
                await order(reader, ChooseDeadLetters(consumer="mail"))
        with pytest.raises(Forbidden):
            await events.list_dead_letters(principal("acme", "forms:read"), ANYTHING, None, 20)

    async def test_what_waits_is_visible(self, database: Database, events: Events) -> None:
        facts = await record_facts(database, "acme", "frm_1", "frm_2", "frm_3")
        async with database.write("acme") as unit:
            for consumer, fact in (("mail", facts[0]), ("mail", facts[1]), ("files", facts[1])):
                unit.session.add(
                    FailedEvent(
                        tenant_id="acme",
                        consumer=consumer,
                        event_id=fact.id,
                        entity_id=fact.entity_id,
                        attempts=2,
                        error="RuntimeError: not yet",
                        next_attempt_at=utc_now(),
                    )
                )
        first = await events.list_waiting(principal(), FindWaiting(), None, 2)
        rest = await events.list_waiting(principal(), FindWaiting(), first.meta.next_cursor, 2)
        found = [(each.event_id, each.consumer) for each in (*first.data, *rest.data)]
        assert found == [(facts[1].id, "mail"), (facts[1].id, "files"), (facts[0].id, "mail")]
        assert (first.data[0].attempts, first.data[0].type) == (2, "form.deleted")
        assert len((await events.list_waiting(principal(), FindWaiting(consumer="files"), None, 9)).data) == 1
        assert (await events.list_waiting(principal(), FindWaiting(type="form.created"), None, 9)).data == []
        assert (await events.list_waiting(principal(), FindWaiting(since=utc_now()), None, 9)).data == []
        assert (await events.list_waiting(principal("globex"), FindWaiting(), None, 9)).data == []


class TestOne:
    async def test_redriven_it_waits_for_its_consumer(self, database: Database, events: Events) -> None:
        (fact,) = await record_facts(database, "acme", "frm_1")
        letter_id = await bury(database, fact)
        await events.redrive(principal(), letter_id)
        (waiting,) = await rows(database, FailedEvent)
        assert (waiting.event_id, waiting.attempts, waiting.generation) == (fact.id, 0, letter_id)
        assert [entry.action for entry in await rows(database, AuditEntry)][-1] == "dead_letter.redriven"
        with pytest.raises(DeadLetterNotFound):
            await events.redrive(principal(), letter_id)

    async def test_what_could_not_be_published_goes_back_to_the_outbox(
        self, database: Database, events: Events
    ) -> None:
        (fact,) = await record_facts(database, "acme", "frm_1")
        async with database.write("acme") as unit:
            row = await unit.session.get(EventRow, ("acme", fact.id))
            assert row is not None
            row.published_at = utc_now()
        letter_id = await bury(database, fact, "relay")
        heard: list[frozenset[str]] = []
        database.listen(heard.append)
        await events.redrive(principal(), letter_id)
        assert await count(database, EventRow, col(EventRow.published_at).is_(None)) == 1
        assert await count(database, FailedEvent) == 0
        assert heard == [frozenset({"events"})]

    async def test_discarded_it_is_gone(self, database: Database, events: Events) -> None:
        (fact,) = await record_facts(database, "acme", "frm_1")
        await events.discard(principal(), await bury(database, fact))
        assert await count(database, DeadLetter) == await count(database, FailedEvent) == 0
        assert [entry.action for entry in await rows(database, AuditEntry)][-1] == "dead_letter.discarded"

    async def test_nobody_to_give_it_to(self, database: Database, events: Events) -> None:
        (fact,) = await record_facts(database, "acme", "frm_1")
        without_consumer = await bury(database, fact, "left")
        without_event = await bury(database, fact, event_id="seq_7")
        for letter_id in (without_consumer, without_event):
            with pytest.raises(NotRedrivable):
                await events.redrive(principal(), letter_id)
        assert await count(database, DeadLetter) == 2


class TestMany:
    async def test_those_that_were_meant_and_no_others(self, database: Database, events: Events) -> None:
        facts = await record_facts(database, "acme", *(f"frm_{n}" for n in range(230)))
        (foreign,) = await record_facts(database, "globex", "frm_1")
        for fact in facts:
            await bury(database, fact)
        await bury(database, foreign)
        lost = await bury(database, facts[0], event_id="seq_1")
        started = await events.redrive_many(principal(), ChooseDeadLetters(consumer="mail"))
        late = await bury(database, facts[0], "mail", event_id="evt_late")
        async with serving(database, *ManyDeadLetters(database, CONSUMERS).kinds()):
            job = await reaches(database, started.job_id, "succeeded")
        assert job.result is not None
        assert (job.result["done"], job.result["failed"]) == (230, 1)
        assert job.result["errors"][0]["id"] == lost
        assert (job.progress_done, job.progress_total) == (231, 231)
        assert {letter.id for letter in await rows(database, DeadLetter) if letter.tenant_id == "acme"} == {lost, late}
        assert await count(database, FailedEvent, col(FailedEvent.tenant_id) == "acme") == 230
        assert await count(database, FailedEvent, col(FailedEvent.tenant_id) == "globex") == 0
        assert await count(database, BulkRun) == 0

    async def test_discarding_by_ids(self, database: Database, events: Events) -> None:
        facts = await record_facts(database, "acme", "frm_1", "frm_2")
        ids = [await bury(database, fact) for fact in facts]
        started = await events.discard_many(principal(), ChooseDeadLetters(ids=[ids[1]]))
        async with serving(database, *ManyDeadLetters(database, CONSUMERS).kinds()):
            await reaches(database, started.job_id, "succeeded")
        assert [letter.id for letter in await rows(database, DeadLetter)] == [ids[0]]

    async def test_not_everything_by_mistake(self, events: Events) -> None:
        with pytest.raises(InvalidChoice):
            await events.discard_many(principal(), ChooseDeadLetters())
