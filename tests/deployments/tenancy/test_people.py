"""R8: erasing one person: found in every form, version and state, gone from every table, and a receipt that says so."""

import orjson
import pytest

from db.models.admission import QuotaCounter, ResponseClaim
from db.models.events import Event as EventRow
from db.models.forms import FormCounter
from db.models.identity import User
from db.models.notifications import Mail
from db.models.people import PersonErasure as ErasureRow
from db.models.people import PersonTrace
from db.models.responses import Response as ResponseRow
from db.models.tenancy import TenantExport
from db.models.webhooks import WebhookDelivery
from db.types import utc_now
from deployments.kit.errors import Forbidden, Invalid
from deployments.kit.principal import Principal
from deployments.tenancy.errors import ErasureNotFound, PersonReceiptNotFound
from deployments.tenancy.people_contracts import ErasePerson
from eventing.events.envelope import Event, Origin
from eventing.events.responses import ResponseSubmitted
from eventing.jobs import GiveUp
from tests.deployments.tenancy.people import ADA, BOB, CONTACTS, HERS, Scene, effects, furnish
from tests.deployments.tenancy.population import attempt, contents
from tests.eventing.harness import rows
from tests.factories import make_form, make_tenant


class TestEverywhere:
    async def test_nothing_tells_of_the_person_any_more_and_everything_of_others(self, scene: Scene) -> None:
        """R8: looked for in every row of every table; her neighbours, and another tenant's Ada, are untouched."""
        database = scene.database
        ids = await furnish(scene)
        hers = {name: id_ for name, id_ in ids.items() if id_.startswith("rsp_")}
        await effects(database, hers["plain"])
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
        ids = await furnish(scene)
        await effects(scene.database, ids["plain"])
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
        ids = await furnish(scene)
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
        ids = await furnish(scene)
        start = await scene.responses.list_changes(scene.owner, ids["contacts"], None, 100)
        await scene.erase({"email": ADA})
        changes = await scene.responses.list_changes(scene.owner, ids["contacts"], start.next_cursor, 100)
        assert {change.id for change in changes.data} == {ids["guest"], ids["named"], ids["partial"]}
        assert all(change.response is None for change in changes.data)


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
        await furnish(scene)
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
        ids = await furnish(scene)
        await effects(scene.database, ids["plain"])
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
    ids = await furnish(scene)
    await scene.erase({"email": ADA})
    traces = await rows(scene.database, PersonTrace)
    assert {trace.entity_id for trace in traces} == {id_ for id_ in ids.values() if id_.startswith("rsp_")}
