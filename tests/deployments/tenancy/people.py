"""People in the forms of a tenant, and everything that tells of them."""

from collections.abc import Sequence
from typing import Any

import orjson
from sqlalchemy import insert, update
from sqlmodel import col

from db.models.events import DeadLetter, FailedEvent
from db.models.events import Event as EventRow
from db.models.jobs import Job
from db.models.notifications import Mail
from db.models.webhooks import WebhookAttempt, WebhookDelivery, WebhookEndpoint
from db.session import Database
from db.types import utc_now
from deployments.forms.contracts import UpdateForm
from deployments.forms.deployment import Forms
from deployments.kit.objects import ObjectStore
from deployments.kit.principal import Principal
from deployments.kit.vault import Vault
from deployments.responses.contracts import ListResponses, SubmitResponse
from deployments.responses.deployment import Responses
from deployments.responses.life_contracts import EditResponse, PutComment
from deployments.tenancy.deployment import Tenancy
from deployments.tenancy.people.copies import TenantExports
from deployments.tenancy.people.erasing import ErasePerson as ErasePersonJob
from deployments.tenancy.people_contracts import ErasePerson, PersonErasure
from deployments.tenancy.receipts import Signer
from eventing.errors import ConnectFailed
from eventing.events.envelope import Event, Origin
from tests.deployments.tenancy.population import attempt
from tests.eventing.harness import rows
from tests.factories import ANSWERS, PARTY, make_form

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
        return ErasePersonJob(self.database, copies, Signer(SECRET), Vault(SECRET), self.stream, **few)

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


async def furnish(scene: Scene) -> dict[str, str]:
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


async def effects(database: Database, response_id: str) -> None:
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
