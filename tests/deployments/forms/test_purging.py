"""F5: the end of a form, after 30 days in the trash or at its owner's word, on both dialects."""

from datetime import timedelta
from pathlib import Path

import orjson
import pytest
from sqlalchemy import select, update
from sqlmodel import SQLModel, col

from db.models.events import DeadLetter, Event
from db.models.forms import Form as FormRow
from db.models.forms import FormCounter, FormSlug, FormVersion
from db.models.grants import FormGrant
from db.models.identity import Tenant
from db.models.imports import ImportedRow
from db.models.jobs import Job
from db.models.responses import IdempotencyKey, Response
from db.models.tenancy import StoredObject
from db.models.webhooks import WebhookDelivery, WebhookEndpoint
from db.repositories.form_data import tables_of_forms
from db.session import Database
from db.types import utc_now
from deployments.forms import purging
from deployments.forms.contracts import Form, ListForms, RestoreForm, UpdateForm
from deployments.forms.deployment import Forms
from deployments.forms.errors import FormNotFound
from deployments.forms.purging import PURGE_DUE, PurgeDue, PurgeForm
from deployments.forms.service.library import GRACE, PURGE
from deployments.kit.objects import ObjectStore
from deployments.kit.principal import PLATFORM_TENANT, Principal
from deployments.responses.contracts import SubmitResponse
from deployments.responses.deployment import Responses
from eventing.errors import EventingError
from eventing.events.envelope import Origin
from eventing.jobs import Retry
from tests.deployments.forms.facts import types_of
from tests.deployments.tenancy.population import attempt
from tests.eventing.harness import rows
from tests.eventing.jobs import harness as jobs
from tests.factories import ANSWERS, make_form, make_tenant

OWN: tuple[type[SQLModel], ...] = (Response, FormVersion, FormCounter, ImportedRow, IdempotencyKey, WebhookDelivery)
OWN = (*OWN, DeadLetter, StoredObject, FormSlug)


@pytest.fixture
def objects(tmp_path: Path) -> ObjectStore:
    return ObjectStore((tmp_path / "objects").as_uri())


async def furnished(database: Database, objects: ObjectStore, principal: Principal, slug: str) -> Form:
    """A form with something in every table that has to do with it."""
    form = await make_form(database, principal, slug=f"{slug}-first")
    await Forms(database).update(principal, form.id, UpdateForm(slug=slug))
    responses = Responses(database)
    for number in range(5):
        order = SubmitResponse(
            body=orjson.dumps({"answers": {**ANSWERS, "name": f"canary {slug}"}}),
            slug=slug,
            idempotency_key=f"{slug}-{number}",
        )
        await responses.submit(Principal.anonymous(principal.tenant_id, Origin()), order)
    await responses.close()
    file = f"{principal.tenant_id}/forms/{form.id}/fil_1"
    async with objects.writer(file) as writer:
        await writer.write(b"content")
    async with database.write(principal.tenant_id) as unit:
        event = (
            await unit.session.scalars(
                select(Event).where(col(Event.form_id) == form.id, col(Event.type) == "response.submitted")
            )
        ).first()
        assert event is not None
        mine, now = {"tenant_id": principal.tenant_id}, utc_now()
        endpoint = WebhookEndpoint(
            **mine,
            id=f"whk_{slug}",
            url="https://example.org",
            events=["*"],
            secret="s",
            created_by="usr_1",
            created_at=now,
            updated_at=now,
        )
        unit.session.add(endpoint)
        await unit.session.flush()
        unit.session.add_all(
            [
                ImportedRow(**mine, form_id=form.id, row_key="1", response_id="rsp_1", imported_at=now),
                StoredObject(**mine, file=file, bytes=7, created_at=now),
                WebhookDelivery(
                    **mine,
                    id=f"whd_{slug}",
                    endpoint_id=endpoint.id,
                    event_id=event.id,
                    event_type=event.type,
                    body=event.envelope,
                    created_at=now,
                ),
                DeadLetter(
                    **mine,
                    id=f"dlq_{slug}",
                    consumer="webhooks",
                    event_id=event.id,
                    event_type=event.type,
                    reason="r",
                    attempts=1,
                    envelope=event.envelope,
                    created_at=now,
                ),
            ]
        )
    return form


async def publish_events(database: Database) -> None:
    """What the relay does."""
    async with database.unscoped_write() as unit:
        await unit.session.execute(update(Event).values(published_at=utc_now()))


async def held(database: Database, table: type[SQLModel]) -> list[str]:
    return sorted(row.model_dump_json() for row in await rows(database, table))


async def test_nothing_is_left_of_the_form_and_everything_of_others(database: Database, objects: ObjectStore) -> None:
    """F5, R8: its responses are in no table any more, nor in what repeats them; others' are untouched."""
    acme, other = await make_tenant(database), await make_tenant(database, "other")
    kept = [await furnished(database, objects, acme, "kept"), await furnished(database, objects, other, "party")]
    before = {table: await held(database, table) for table in OWN}
    form = await furnished(database, objects, acme, "party")
    await Forms(database).delete(acme, form.id)
    job_id = (await Forms(database).purge(acme, form.id)).job_id
    await publish_events(database)

    await PurgeForm(database, objects, rows=2).run(attempt("acme", {"form_id": form.id}))

    assert {table: await held(database, table) for table in OWN} == before
    assert {row.id for row in await rows(database, FormRow)} == {each.id for each in kept}
    assert [key async for key, _ in objects.below(f"acme/forms/{form.id}")] == []
    assert len([key async for key, _ in objects.below("acme")]) == 1
    events = [event for event in await rows(database, Event) if event.form_id == form.id]
    assert {event.type.partition(".")[0] for event in events} == {"form"}
    assert not any("canary party" in event.envelope for event in events)
    purged = [orjson.loads(event.envelope)["data"] for event in events if event.type == "form.purged"]
    assert purged == [{"form_id": form.id, "slug": "party", "responses": 5}]
    assert [job.id for job in await rows(database, Job) if job.kind == PURGE] == [job_id]
    # Run again, as after a worker's death: nothing happens.
    await PurgeForm(database, objects).run(attempt("acme", {"form_id": form.id}))
    assert (await types_of(database, "form.purged")) == ["form.purged"]


def test_every_table_that_holds_something_of_a_form_is_known() -> None:
    """A new table with a form's id is purged from the day it exists, or somebody decides that it is not."""
    named = {
        str(table.name)
        for table in SQLModel.metadata.tables.values()
        if "form_id" in table.columns and "tenant_id" in table.columns
    }
    assert named - set(tables_of_forms()) == {"audit_entry", "event", "form_counter", "webhook_endpoint"}
    assert FormGrant.__tablename__ in tables_of_forms()


async def test_nothing_brings_back_what_is_being_purged(database: Database, objects: ObjectStore) -> None:
    acme = await make_tenant(database)
    forms = Forms(database)
    form = await make_form(database, acme)
    await forms.delete(acme, form.id)
    await forms.purge(acme, form.id)
    for call in (forms.restore(acme, form.id, RestoreForm()), forms.purge(acme, form.id)):
        with pytest.raises(FormNotFound):
            await call
    assert (await forms.list_forms(acme, ListForms(status="trashed"))).data == []


async def test_a_form_that_was_never_doomed_is_left_alone(database: Database, objects: ObjectStore) -> None:
    """A job that comes too late, or was forged: only what is marked is deleted."""
    acme = await make_tenant(database)
    form = await make_form(database, acme)
    await PurgeForm(database, objects).run(attempt("acme", {"form_id": form.id}))
    await Forms(database).delete(acme, form.id)
    await PurgeForm(database, objects).run(attempt("acme", {"form_id": form.id}))
    assert (await Forms(database).restore(acme, form.id, RestoreForm())).id == form.id


async def test_events_that_are_still_to_be_published_are_waited_for(database: Database, objects: ObjectStore) -> None:
    """E7: NATS may be away for long; no event about a response reaches it after the purge."""
    acme = await make_tenant(database)
    form = await furnished(database, objects, acme, "party")
    await Forms(database).delete(acme, form.id)
    await Forms(database).purge(acme, form.id)
    with pytest.raises(Retry):
        await PurgeForm(database, objects).run(attempt("acme", {"form_id": form.id}))
    assert [row.id for row in await rows(database, FormRow)] == [form.id]
    await publish_events(database)
    await PurgeForm(database, objects).run(attempt("acme", {"form_id": form.id}))
    assert await rows(database, FormRow) == []


class _Unreachable(ObjectStore):
    async def delete_some(self, prefix: str) -> int:
        raise EventingError("away")


async def test_what_was_interrupted_goes_on(database: Database, objects: ObjectStore) -> None:
    """J1: a purge that broke off half way ends as one that did not, and tells of all responses."""
    acme = await make_tenant(database)
    form = await furnished(database, objects, acme, "party")
    await Forms(database).delete(acme, form.id)
    await Forms(database).purge(acme, form.id)
    await publish_events(database)
    with pytest.raises(EventingError):
        await PurgeForm(database, _Unreachable("memory:///")).run(attempt("acme", {"form_id": form.id}))
    assert await rows(database, Response) == []
    await PurgeForm(database, objects).run(attempt("acme", {"form_id": form.id}))
    (event,) = [event for event in await rows(database, Event) if event.type == "form.purged"]
    assert orjson.loads(event.envelope)["data"]["responses"] == 5


async def deleted(database: Database, principal: Principal, slug: str, *, ago: timedelta) -> Form:
    form = await make_form(database, principal, slug=slug)
    await Forms(database).delete(principal, form.id)
    async with database.unscoped_write() as unit:
        mine = update(FormRow).where(col(FormRow.id) == form.id)
        await unit.session.execute(mine.values(deleted_at=utc_now() - ago))
    return form


class TestDaily:
    async def test_finds_those_whose_time_is_over(
        self, database: Database, objects: ObjectStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """F5: 30 days, in every tenant, a few at a time; and the next day is ordered."""
        monkeypatch.setattr(purging, "_FORMS", 1)
        acme, other = await make_tenant(database), await make_tenant(database, "other")
        await make_tenant(database, PLATFORM_TENANT)
        late, soon = GRACE + timedelta(minutes=1), GRACE - timedelta(minutes=1)
        over = [
            await deleted(database, acme, "one", ago=late),
            await deleted(database, acme, "two", ago=late),
            await deleted(database, other, "one", ago=late),
        ]
        await deleted(database, acme, "young", ago=soon)
        await make_form(database, acme, slug="there")

        done = await PurgeDue(database).run(attempt(PLATFORM_TENANT, {}))

        assert done.result == {"ordered": 3}
        ordered = {(job.tenant_id, job.payload["form_id"]) for job in await rows(database, Job) if job.kind == PURGE}
        assert ordered == {("acme", over[0].id), ("acme", over[1].id), ("other", over[2].id)}
        assert [form.slug for form in (await Forms(database).list_forms(acme, ListForms(status="trashed"))).data] == [
            "young"
        ]
        # The same day again, as after a worker's death: no second job for any.
        await PurgeDue(database).run(attempt(PLATFORM_TENANT, {}))
        assert len(await rows(database, Job)) == 3

    async def test_orders_again_what_failed(self, database: Database) -> None:
        acme = await make_tenant(database)
        await make_tenant(database, PLATFORM_TENANT)
        await deleted(database, acme, "one", ago=GRACE + timedelta(days=1))
        await PurgeDue(database).run(attempt(PLATFORM_TENANT, {}))
        async with database.unscoped_write() as unit:
            await unit.session.execute(update(Job).where(col(Job.kind) == PURGE).values(state="failed"))
        await PurgeDue(database).run(attempt(PLATFORM_TENANT, {}))
        assert [job.state for job in await rows(database, Job) if job.kind == PURGE] == ["queued"]

    async def test_leaves_tenants_alone_that_may_come_back(self, database: Database) -> None:
        """T1: a deleted tenant in its own grace period is resumed with everything it had."""
        acme = await make_tenant(database)
        await make_tenant(database, PLATFORM_TENANT)
        await deleted(database, acme, "one", ago=GRACE + timedelta(days=1))
        async with database.unscoped_write() as unit:
            mine = update(Tenant).where(col(Tenant.id) == "acme")
            await unit.session.execute(mine.values(status="deleted", deleted_at=utc_now()))
        done = await PurgeDue(database).run(attempt(PLATFORM_TENANT, {}))
        assert done.result == {"ordered": 0}

    async def test_works_in_a_runner(self, database: Database, objects: ObjectStore) -> None:
        """From the daily job to the last row, as a worker does it."""
        acme = await make_tenant(database)
        await make_tenant(database, PLATFORM_TENANT)
        await deleted(database, acme, "one", ago=GRACE + timedelta(days=1))
        await publish_events(database)
        (search,) = await jobs.order(database, PLATFORM_TENANT, kind=PURGE_DUE, queue="batch")
        async with jobs.serving(database, *purging.job_kinds(database, objects), queues={"batch": 2}):
            await jobs.reaches(database, search, "succeeded")
            (purge,) = [job for job in await rows(database, Job) if job.kind == PURGE]
            await jobs.reaches(database, purge.id, "succeeded")
        assert await rows(database, FormRow) == []
