"""R8: erasing one person: found in every form, version and state, gone from every table, and a receipt that says so."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest
from sqlalchemy import insert, update
from sqlmodel import col

from db.models.admission import QuotaCounter, ResponseClaim
from db.models.answers import AnswerEntry
from db.models.events import DeadLetter, FailedEvent
from db.models.events import Event as EventRow
from db.models.files import File
from db.models.forms import FormCounter
from db.models.identity import User
from db.models.jobs import Job
from db.models.notifications import Mail
from db.models.people import PersonErasure as ErasureRow
from db.models.people import PersonTrace
from db.models.responses import Response as ResponseRow
from db.models.tenancy import TenantExport
from db.models.webhooks import WebhookAttempt, WebhookDelivery, WebhookEndpoint
from db.repositories.person_erasures import PersonErasureRepository
from db.session import Database
from db.types import utc_now
from deployments.forms.contracts import UpdateForm
from deployments.forms.deployment import Forms
from deployments.kit.errors import Forbidden, Invalid
from deployments.kit.objects import ObjectStore
from deployments.kit.principal import Principal
from deployments.responses.contracts import ListResponses, SubmitResponse
from deployments.responses.deployment import Responses
from deployments.responses.life_contracts import EditResponse, PutComment
from deployments.tenancy.deployment import Tenancy
from deployments.tenancy.errors import ErasureNotFound, PersonReceiptNotFound
from deployments.tenancy.people.copies import TenantExports
from deployments.tenancy.people.erasing import ErasePerson as ErasePersonJob
from deployments.tenancy.people.orders import Sealing
from deployments.tenancy.people_contracts import ErasePerson, PersonErasure
from deployments.tenancy.receipts import Signer, is_genuine
from eventing.errors import ConnectFailed
from eventing.events.envelope import Event, Origin
from eventing.events.responses import ResponseSubmitted
from eventing.jobs import GiveUp, Retry
from tests.deployments.tenancy.population import attempt, contents
from tests.eventing.harness import rows
from tests.factories import ANSWERS, PARTY, make_form, make_tenant

SECRET = "0123456789abcdef0123456789abcdef"
ADA = "Ada.Lovelace@Example.org"
BOB = {**ANSWERS, "name": "Bob", "email": "bob@example.org"}
HERS = {**ANSWERS, "email": ADA}
VISITOR = Principal.anonymous("acme", Origin(address="203.0.113.7", user_agent="Ada's browser"))
CONTACTS: dict[str, Any] = {
    "pages": [
        {
            "id": "p1",
            "elements": [
                {"id": "who", "type": "short_text", "title": "Who", "personal": True},
                {"id": "phone", "type": "phone", "title": "Phone"},
                {"id": "number", "type": "short_text", "title": "Number"},
                {
                    "id": "guests",
                    "type": "group",
                    "title": "Guests",
                    "elements": [{"id": "mail", "type": "email", "title": "Mail"}],
                },
            ],
        }
    ]
}


class Stream:
    """An event stream with ten messages, which its consumers have read up to a point."""

    def __init__(self) -> None:
        self.away, self.consumed = False, 10
        self.forgotten: list[tuple[str, tuple[str, ...], int]] = []

    async def last(self) -> int:
        if self.away:
            raise ConnectFailed("away")
        return 10

    async def is_consumed(self, number: int) -> bool:
        return number <= self.consumed

    async def forget(self, tenant_id: str, types: Sequence[str], number: int) -> int:
        self.forgotten.append((tenant_id, tuple(types), number))
        return 4 if len(self.forgotten) == 1 else 0


@pytest.fixture
def objects(tmp_path: Path) -> ObjectStore:
    return ObjectStore((tmp_path / "objects").as_uri())


class Scene:
    """A tenant with people in its forms, and somebody who erases them."""

    def __init__(self, database: Database, objects: ObjectStore, owner: Principal) -> None:
        self.database, self.objects, self.owner = database, objects, owner
        self.responses = Responses(database)
        self.tenancy = Tenancy(database, SECRET)
        self.stream = Stream()

    async def submit(self, answers: dict[str, Any], slug: str = "party", **more: Any) -> str:
        body = orjson.dumps({"answers": answers, **more})
        visitor = Principal.anonymous(self.owner.tenant_id, VISITOR.origin)
        return (await self.responses.submit(visitor, SubmitResponse(body=body, slug=slug))).id

    async def publish_events(self) -> None:
        async with self.database.write(self.owner.tenant_id) as unit:
            mine = col(EventRow.tenant_id) == unit.tenant
            await unit.session.execute(update(EventRow).where(mine).values(published_at=utc_now()))

    async def order(self, subject: dict[str, Any], *, dry_run: bool = False, **more: Any) -> PersonErasure:
        command = ErasePerson.model_validate({"subject": subject, "dry_run": dry_run, **more})
        return await self.tenancy.erase_person(self.owner, command)

    def job(self, **bounds: int) -> ErasePersonJob:
        few = {"read": 3, "erased": 2, "told": 3, **bounds}
        copies = (TenantExports(self.database, self.objects),)
        return ErasePersonJob(self.database, copies, Signer(SECRET), Sealing(SECRET), self.stream, **few)

    async def run(self, erasure: PersonErasure, **bounds: int) -> PersonErasure:
        """Run its job until it ends."""
        await self.publish_events()
        await self.job(**bounds).run(attempt(self.owner.tenant_id, {"erasure_id": erasure.id}))
        return await self.tenancy.get_person_erasure(self.owner, erasure.id)

    async def erase(self, subject: dict[str, Any], **more: Any) -> PersonErasure:
        return await self.run(await self.order(subject, **more))

    async def listed(self, form_id: str) -> list[str]:
        found = await self.responses.list_responses(self.owner, ListResponses(form_id=form_id, sort="submitted_at"))
        return [row.id for row in found.data]


@pytest.fixture
async def scene(database: Database, objects: ObjectStore) -> Scene:
    return Scene(database, objects, await make_tenant(database))


async def _furnish(scene: Scene) -> dict[str, str]:
    """Everything there can be of a person; the ids of her responses by what they are."""
    database, owner = scene.database, scene.owner
    quota = {"id": "corn", "field": "side", "options": ["corn"], "limit": 100}
    party = await make_form(database, owner, quotas=[quota], spam={"duplicates": False})
    unique = {**PARTY["pages"][0], "elements": [dict(each) for each in PARTY["pages"][0]["elements"]]}
    unique["elements"][1] |= {"validation": {"unique": True}, "personal": True}
    await Forms(database).update(owner, party.id, UpdateForm(definition={**PARTY, "pages": [unique]}))
    await Forms(database).publish(owner, party.id)
    contacts = await make_form(database, owner, slug="contacts", definition=CONTACTS)
    await scene.submit(BOB)
    ids = {"edited": await scene.submit({**HERS, "email": "ADA.lovelace@example.org "})}
    edit = EditResponse(answers={"email": "changed@example.org"}, reason="She moved.")
    await scene.responses.edit(owner, ids["edited"], edit, None)
    ids["plain"] = await scene.submit(HERS)
    ids["trashed"] = await scene.submit({**ANSWERS, "email": "other@example.org"}, meta={"from": ADA.upper()})
    ids["spam"] = await scene.submit({**BOB, "email": ADA.lower()}, honeypot="x")
    ids["guest"] = await scene.submit(
        {"who": "Bob", "guests": [{"mail": "bob@example.org"}, {"mail": ADA}]}, "contacts"
    )
    ids["named"] = await scene.submit({"who": f" {ADA} "}, "contacts")
    ids["partial"] = await scene.submit({"who": "ada.lovelace@example.org"}, "contacts", status="partial")
    await scene.submit({"who": "Bob", "number": ADA.lower()}, "contacts")  # nobody said that this is personal
    await scene.responses.add_comment(owner, ids["plain"], PutComment(text=f"Asked {ADA}"))
    await scene.responses.delete(owner, ids["trashed"])
    return {**ids, "party": party.id, "contacts": contacts.id}


async def _effects(database: Database, response_id: str) -> None:
    """What is made of an event: deliveries, letters, failures, and a job that names her."""
    (row,) = [
        each
        for each in await rows(database, EventRow)
        if each.entity_id == response_id and each.type == "response.submitted"
    ]
    shared: dict[str, Any] = {"tenant_id": "acme", "created_at": utc_now()}
    hook = {**shared, "id": "whk_1", "url": "https://example.org", "events": ["*"], "secret": "", "status": "enabled"}
    body = orjson.dumps(Event.decode(row.envelope).public()).decode()
    delivery = {**shared, "id": "dlv_1", "endpoint_id": "whk_1", "event_id": row.id, "event_type": row.type}
    tried = {"tenant_id": "acme", "delivery_id": "dlv_1", "number": 1, "started_at": utc_now(), "duration_ms": 1.0}
    event, due = {"tenant_id": "acme", "consumer": "mail", "event_id": row.id}, utc_now()
    mail = {**shared, "template": "autoresponse", "recipient": ADA, "subject": "", "state": "sent"}
    job = {**shared, "kind": "x", "queue": "default", "state": "failed", "created_by": "usr_1", "run_at": utc_now()}
    async with database.write("acme") as unit:
        for table, values in (
            (WebhookEndpoint, {**hook, "created_by": "usr_1", "updated_at": utc_now()}),
            (WebhookDelivery, {**delivery, "body": body, "state": "pending", "attempts": 1}),
            (WebhookAttempt, {**tried, "error": f"{ADA}?", "response_excerpt": body}),
            (
                FailedEvent,
                {**event, "entity_id": row.entity_id, "attempts": 1, "error": ADA, "next_attempt_at": due},
            ),
            (
                DeadLetter,
                {
                    **event,
                    "consumer": "webhooks",
                    "id": "dl_1",
                    "event_type": row.type,
                    "reason": ADA,
                    "attempts": 8,
                    "envelope": row.envelope,
                    "created_at": utc_now(),
                },
            ),
            (Mail, {**mail, "id": "mail_1", "cause": f"{row.id}:autoresponse"}),
            (Mail, {**mail, "id": "mail_2", "cause": "news", "recipient": ADA.lower()}),
            (Mail, {**mail, "id": "mail_3", "cause": "news", "recipient": "bob@example.org"}),
            (
                Job,
                {
                    **job,
                    "id": "job_old",
                    "payload": {},
                    "attempts": [],
                    "attempt": 1,
                    "result": {"errors": [{"line": 1, "detail": f"{ADA} twice"}]},
                    "progress_done": 0,
                    "cancel_requested": False,
                },
            ),
        ):
            await unit.session.execute(insert(table).values(values))


class TestEverywhere:
    async def test_nothing_tells_of_the_person_any_more_and_everything_of_others(self, scene: Scene) -> None:
        """R8: looked for in every row of every table; her neighbours, and another tenant's Ada, are untouched."""
        database = scene.database
        ids = await _furnish(scene)
        hers = {name: id_ for name, id_ in ids.items() if id_.startswith("rsp_")}
        await _effects(database, hers["plain"])
        other = Scene(database, scene.objects, await make_tenant(database, "other"))
        await make_form(database, other.owner)
        await other.submit(HERS)
        await scene.objects.put("acme/exports/exp_1/acme.zip", ADA.encode())
        async with database.write("acme") as unit:
            export = {"id": "exp_1", "job_id": "job_1", "job_tenant_id": "acme", "requested_by": "usr_1"}
            unit.session.add(TenantExport(tenant_id="acme", **export, created_at=utc_now()))
            account = {"id": "usr_ada", "email": ADA.lower(), "name": "A.", "role": "viewer", "password_hash": ""}
            unit.session.add(User(tenant_id="acme", **account, created_at=utc_now()))
        await scene.publish_events()
        before, neighbour = await contents(database, "acme"), await contents(database, "other")
        assert {name for name, text in before.items() if ADA.lower().encode() in text.lower()} >= {
            *("response", "response_version", "response_comment", "event", "dead_letter", "failed_event"),
            *("webhook_delivery", "webhook_attempt", "mail", "job", "user_account"),
        }

        done = await scene.erase({"email": ADA})

        assert done.state == "done"
        assert done.forms == {ids["party"]: 4, ids["contacts"]: 3}
        after = await contents(database, "acme")
        left = {name: text for name, text in after.items() if ADA.lower().encode() in text.lower()}
        # Her account is no answer; what somebody wrote into a field that is not personal cannot be known.
        assert left.keys() == {"user_account", "response", "event"}
        assert left["response"].lower().count(ADA.lower().encode()) == 1
        assert left["event"].lower().count(ADA.lower().encode()) == 1
        assert b"Ada's browser" not in b"".join(
            line for line in after["event"].splitlines() if any(id_.encode() in line for id_ in hers.values())
        )
        assert done.accounts == ["usr_ada"]
        shells = {row.id: row for row in await rows(database, ResponseRow) if row.id in hers.values()}
        assert {row.status for row in shells.values()} == {"purged"}
        assert len({row.change for row in shells.values()}) == len(hers)
        assert {row.submitted_by for row in shells.values()} == {""}
        assert await contents(database, "other") == neighbour
        assert [mail.id for mail in await rows(database, Mail)] == ["mail_3"]
        assert [key async for key, _ in scene.objects.below("acme")] == []
        assert {
            "response": 7,
            "tenant_export": 1,
            "stream_message": 4,
            "mail": 2,
            "job": 1,
        }.items() <= done.places.items()
        assert {"dead_letter": 1, "failed_event": 1, "webhook_delivery": 1}.items() <= done.places.items()

    async def test_what_remains_of_an_event_can_be_replayed(self, scene: Scene) -> None:
        """R8: same id, type and time; deliveries that wait say what the event says."""
        ids = await _furnish(scene)
        await _effects(scene.database, ids["plain"])
        old = {row.id: row for row in await rows(scene.database, EventRow)}
        await scene.erase({"email": ADA})
        (delivery,) = await rows(scene.database, WebhookDelivery)
        assert delivery.state == "pending"
        told = Event.decode(old[delivery.event_id].envelope)
        (row,) = [each for each in await rows(scene.database, EventRow) if each.id == delivery.event_id]
        event = Event.decode(row.envelope)
        assert (event.id, event.type, event.timestamp, event.entity_id) == (
            *(told.id, told.type, told.timestamp, ids["plain"]),
        )
        assert event.read(ResponseSubmitted).answers == {}
        assert event.origin == Origin()
        assert orjson.loads(delivery.body) == orjson.loads(orjson.dumps(event.public()))

    async def test_counts_and_places_stay_right(self, scene: Scene) -> None:
        """R9: the form holds what is left, a unique answer is free again, quotas have their places back."""
        ids = await _furnish(scene)
        await scene.erase({"email": ADA})
        (counter,) = [row for row in await rows(scene.database, FormCounter) if row.form_id == ids["party"]]
        assert counter.responses == 1
        assert len(await scene.listed(ids["party"])) == 1
        # Already now: a digest of an address is personal, too.
        holders = {row.response_id for row in await rows(scene.database, ResponseClaim)}
        assert holders
        assert holders.isdisjoint(ids.values())
        (quota,) = await rows(scene.database, QuotaCounter)
        assert quota.responses == 1
        again = await scene.submit(HERS)
        assert again in await scene.listed(ids["party"])
        (quota,) = await rows(scene.database, QuotaCounter)
        assert quota.responses == 2

    async def test_whoever_follows_the_changes_learns_of_it(self, scene: Scene) -> None:
        """R4: each erased response is a change of its form, without content."""
        ids = await _furnish(scene)
        start = await scene.responses.list_changes(scene.owner, ids["contacts"], None, 100)
        await scene.erase({"email": ADA})
        changes = await scene.responses.list_changes(scene.owner, ids["contacts"], start.next_cursor, 100)
        assert {change.id for change in changes.data} == {ids["guest"], ids["named"], ids["partial"]}
        assert b"ada" not in changes.model_dump_json().lower().encode()


class TestWhom:
    async def test_by_telephone_number(self, scene: Scene) -> None:
        form = await make_form(scene.database, scene.owner, slug="contacts", definition=CONTACTS)
        first = await scene.submit({"phone": "+49 30 901820"}, "contacts")
        second = await scene.submit({"who": "Ada, +49 30 901820"}, "contacts")
        third = await scene.submit({"who": "+49 (30) 90-18-20"}, "contacts")
        done = await scene.erase({"phone": "+4930901820"})
        assert done.forms == {form.id: 2}
        assert {first, third}.isdisjoint(await scene.listed(form.id))
        assert await scene.listed(form.id) == [second]

    async def test_by_the_answer_to_a_field_and_in_some_forms_only(self, scene: Scene) -> None:
        forms = [await make_form(scene.database, scene.owner, slug=slug, definition=CONTACTS) for slug in ("a", "b")]
        for slug in ("a", "b"):
            for number in ("K-17", "k-17 ", "K-178"):
                await scene.submit({"number": number}, slug)
        done = await scene.erase({"field": "number", "value": "K-17"}, form_ids=[forms[0].id])
        assert done.forms == {forms[0].id: 2}
        assert [len(await scene.listed(form.id)) for form in forms] == [1, 3]

    async def test_by_the_ids_of_responses(self, scene: Scene) -> None:
        form = await make_form(scene.database, scene.owner)
        kept, gone = await scene.submit(BOB), await scene.submit(HERS)
        done = await scene.erase({"response_ids": [gone, "rsp_of_nobody"]})
        assert (done.forms, await scene.listed(form.id)) == ({form.id: 1}, [kept])

    async def test_of_nobody(self, scene: Scene) -> None:
        """Nothing is found, nothing is touched, not even the stream; the receipt says so."""
        await _furnish(scene)
        done = await scene.erase({"email": "nobody@example.org"})
        assert (done.forms, done.places, scene.stream.forgotten) == ({}, {}, [])
        assert (await scene.tenancy.get_person_receipt(scene.owner, done.id)).places == {}

    @pytest.mark.parametrize(
        ("subject", "code"), [({"email": "ada"}, "format.email"), ({"phone": "030 901820"}, "format.phone")]
    )
    async def test_what_names_nobody_is_refused(self, scene: Scene, subject: dict[str, str], code: str) -> None:
        with pytest.raises(Invalid) as caught:
            await scene.order(subject)
        assert [fault.code for fault in caught.value.faults] == [code]
        with pytest.raises(Invalid) as caught:
            await scene.order({"email": ADA}, form_ids=["frm_1", "frm_2"])
        assert [fault.pointer for fault in caught.value.faults] == ["/form_ids/0", "/form_ids/1"]


class TestDryRun:
    async def test_counts_what_an_erasure_then_erases(self, scene: Scene) -> None:
        ids = await _furnish(scene)
        await _effects(scene.database, ids["plain"])
        await scene.publish_events()
        before = await contents(scene.database, "acme")
        dry = await scene.erase({"email": ADA}, dry_run=True)
        after = await contents(scene.database, "acme")
        changed = {name for name in before if before[name] != after[name]}
        assert changed == {"person_erasure", "job", "event", "audit_entry", "audit_head"}
        with pytest.raises(PersonReceiptNotFound):
            await scene.tenancy.get_person_receipt(scene.owner, dry.id)
        done = await scene.erase({"email": ADA})
        assert (dry.forms, dry.accounts) == (done.forms, done.accounts)
        # Told of before, and told of since: the erasure's own events.
        untold = {"stream_message", "event", "audit_entries"}
        for name in {*dry.places, *done.places} - untold:
            assert dry.places.get(name) == done.places.get(name), name

    async def test_tells_nobody_whom_it_is_about(self, scene: Scene) -> None:
        """R8: not in the order, the job, the event or the audit trail, not while it runs and not after."""
        await make_form(scene.database, scene.owner)
        erasure = await scene.order({"email": ADA}, dry_run=True)
        during = await contents(scene.database, "acme")
        assert not [name for name, text in during.items() if b"lovelace" in text.lower()]
        (row,) = await rows(scene.database, ErasureRow)
        assert row.sealed
        await scene.run(erasure)
        (row,) = await rows(scene.database, ErasureRow)
        assert row.sealed == ""
        again = await scene.order({"email": ADA.upper()}, dry_run=True)
        other = await scene.order({"email": "bob@example.org"}, dry_run=True)
        assert again.subject_digest == erasure.subject_digest != other.subject_digest
        assert again.id != erasure.id


class TestAgain:
    async def test_goes_on_where_it_was_when_its_worker_died(
        self, scene: Scene, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """R8: killed at every transaction, before and after it, everything is erased and counted once."""
        ids = await _furnish(scene)
        await _effects(scene.database, ids["plain"])
        find = PersonErasureRepository.find_locked
        allowed = 0

        async def mortal(repository: PersonErasureRepository, erasure_id: str) -> ErasureRow | None:
            nonlocal allowed
            allowed -= 1
            if allowed < 0:
                raise ZeroDivisionError
            return await find(repository, erasure_id)

        monkeypatch.setattr(PersonErasureRepository, "find_locked", mortal)
        erasure = await scene.order({"email": ADA})
        deaths = 0
        while deaths < 200:
            allowed = 2  # enough to find out that a step is over, and to go on to the next one
            try:
                done = await scene.run(erasure)
                break
            except ZeroDivisionError:
                deaths += 1
        assert 15 < deaths < 200
        assert done.forms == {ids["party"]: 4, ids["contacts"]: 3}
        assert {"response": 7, "dead_letter": 1, "mail": 2, "job": 1}.items() <= done.places.items()
        assert done.places["response_version"] == 2
        receipt = await scene.tenancy.get_person_receipt(scene.owner, done.id)
        assert is_genuine(receipt, Signer(SECRET).public_key)
        assert receipt.places == done.places
        assert not is_genuine(receipt.model_copy(update={"forms": {}}), Signer(SECRET).public_key)

    async def test_an_order_given_twice_is_one(self, scene: Scene) -> None:
        await _furnish(scene)
        first = await scene.order({"email": ADA})
        assert await scene.order({"email": ADA.lower()}) == first
        assert (await scene.order({"email": ADA}, dry_run=True)).id != first.id
        async with scene.database.unscoped_write() as unit:
            await unit.session.execute(update(Job).values(state="failed"))
        assert (await scene.order({"email": ADA})).id == first.id
        assert "queued" in {job.state for job in await rows(scene.database, Job) if job.id == first.job_id}

    async def test_a_second_erasure_finds_what_came_since(self, scene: Scene) -> None:
        ids = await _furnish(scene)
        first = await scene.erase({"email": ADA})
        again = await scene.run(first)
        assert again == first
        await scene.submit(HERS)
        second = await scene.erase({"email": ADA})
        assert second.forms == {ids["party"]: 1}
        third = await scene.erase({"email": ADA})
        assert (third.forms, third.places) == ({}, {})

    async def test_waits_for_what_would_bring_the_person_back(self, scene: Scene) -> None:
        """R8: unpublished events, consumers that are behind, NATS away, files that are still there."""
        form = await make_form(scene.database, scene.owner)
        response = await scene.submit(HERS)
        shared = {"tenant_id": "acme", "form_id": form.id, "field_id": "cv", "response_id": response}
        async with scene.database.write("acme") as unit:
            sent = {"state": "stored", "name": "cv.pdf", "size": 1, "uploaded_by": "anonymous"}
            unit.session.add(File(**shared, id="fil_1", **sent, created_at=utc_now()))
        erasure = await scene.order({"email": ADA})
        run = attempt("acme", {"erasure_id": erasure.id})
        with pytest.raises(Retry, match="to be published"):
            await scene.job().run(run)
        await scene.publish_events()
        scene.stream.away, scene.stream.consumed = True, 9
        with pytest.raises(Retry, match="NATS"):
            await scene.job().run(run)
        scene.stream.away = False
        with pytest.raises(Retry, match="Consumers"):
            await scene.job().run(run)
        assert scene.stream.forgotten == []
        scene.stream.consumed = 10
        job = {"kind": "x", "queue": "batch", "created_by": "usr_1", "created_at": utc_now(), "run_at": utc_now()}
        async with scene.database.write("acme") as unit:
            unit.session.add(Job(tenant_id="acme", id="job_1", state="running", payload={}, attempts=[], **job))
            export = {"id": "exp_1", "job_id": "job_1", "job_tenant_id": "acme", "requested_by": "usr_1"}
            unit.session.add(TenantExport(tenant_id="acme", **export, created_at=utc_now()))
        with pytest.raises(Retry, match="export"):
            await scene.job().run(run)
        async with scene.database.write("acme") as unit:
            await unit.session.execute(update(TenantExport).values(finished_at=utc_now()))
        with pytest.raises(Retry, match="Files"):
            await scene.job().run(run)
        assert await rows(scene.database, TenantExport) == []
        async with scene.database.write("acme") as unit:
            await unit.session.delete(await unit.session.get(File, ("acme", "fil_1")))
            entry = {"series": 1, "value": ADA, "moment": 1, "response_id": response}
            unit.session.add(AnswerEntry(tenant_id="acme", **entry))  # by an indexer that had read it before
        await scene.job().run(run)
        (forgotten,) = scene.stream.forgotten
        assert (forgotten[0], forgotten[2]) == ("acme", 10)
        assert "response.submitted" in forgotten[1]
        done = await scene.tenancy.get_person_erasure(scene.owner, erasure.id)
        assert (done.state, done.places["file"]) == ("done", 1)
        assert await rows(scene.database, AnswerEntry) == []


class TestWho:
    async def test_needs_the_permission_and_the_tenant(self, scene: Scene) -> None:
        """T2, U5: an editor may not, and another tenant does not know of it."""
        editor = Principal("acme", "usr_2", "user", "editor", frozenset({"responses:write", "responses:read_personal"}))
        stranger = await make_tenant(scene.database, "other")
        erasure = await scene.order({"email": ADA})
        with pytest.raises(Forbidden):
            await scene.tenancy.erase_person(editor, ErasePerson.model_validate({"subject": {"email": ADA}}))
        with pytest.raises(Forbidden):
            await scene.tenancy.list_person_erasures(editor, None, 10)
        with pytest.raises(Forbidden):
            await scene.tenancy.get_person_erasure(editor, erasure.id)
        with pytest.raises(ErasureNotFound):
            await scene.tenancy.get_person_erasure(stranger, erasure.id)
        with pytest.raises(ErasureNotFound):
            await scene.tenancy.get_person_receipt(stranger, erasure.id)
        with pytest.raises(GiveUp):
            await scene.job().run(attempt("other", {"erasure_id": erasure.id}))
        assert (await scene.tenancy.list_person_erasures(stranger, None, 10)).data == []

    async def test_a_page_at_a_time(self, scene: Scene) -> None:
        made = [(await scene.order({"email": f"a{number}@example.org"})).id for number in range(3)]
        first = await scene.tenancy.list_person_erasures(scene.owner, None, 2)
        second = await scene.tenancy.list_person_erasures(scene.owner, first.meta.next_cursor, 2)
        assert [each.id for each in (*first.data, *second.data)] == made[::-1]
        assert second.meta.next_cursor is None


async def test_the_traces_stay_for_whoever_restores_a_backup(scene: Scene) -> None:
    ids = await _furnish(scene)
    await scene.erase({"email": ADA})
    traces = await rows(scene.database, PersonTrace)
    assert {trace.entity_id for trace in traces} == {id_ for id_ in ids.values() if id_.startswith("rsp_")}
