"""N3: owners are told when a quota is four fifths used, once a month for each, and when a webhook was switched off."""

from typing import Any

import pytest
from sqlalchemy import update

from db.models.events import Event
from db.models.forms import FormCounter
from db.models.identity import User
from db.models.jobs import Job
from db.models.tenancy import QuotaNotice
from db.session import Database
from db.types import new_id, utc_now
from deployments.forms.contracts import CreateForm
from deployments.forms.deployment import Forms
from deployments.kit.principal import Principal
from deployments.kit.quotas import comes_close
from deployments.kit.vault import Vault
from deployments.notifications.contracts import SEND_LETTER, Letter
from deployments.notifications.message import render
from deployments.tenancy.handlers import TellOwners
from deployments.webhooks.contracts import CreateWebhook
from deployments.webhooks.deployment import Webhooks
from eventing.events.envelope import Event as Envelope
from eventing.events.envelope import EventData, Origin
from eventing.events.exports import ExportCompleted
from eventing.events.responses import ResponseSubmitted
from eventing.events.webhooks import WebhookDisabled
from eventing.outbox import make_event
from tests.eventing.harness import rows
from tests.factories import PARTY, make_form, make_tenant

VAULT = Vault("s" * 32)


async def a_tenant(database: Database, **settings: Any) -> Principal:
    """A tenant with one owner."""
    principal = await make_tenant(database, **settings)
    async with database.write("acme") as unit:
        now = utc_now()
        person = {
            "tenant_id": "acme",
            "id": new_id("usr"),
            "email": "olga@example.com",
            "name": "Olga",
            "role": "owner",
        }
        unit.session.add(User(**person, password_hash="x", created_at=now, updated_at=now))
    return principal


async def close_calls(database: Database) -> list[dict[str, Any]]:
    events = [row for row in await rows(database, Event) if row.type == "quota.approached"]
    return [Envelope.decode(row.envelope).data for row in events]


async def letters(database: Database) -> list[Letter]:
    return [Letter.unsealed(VAULT, job.payload) for job in await rows(database, Job) if job.kind == SEND_LETTER]


async def tell(database: Database, *facts: EventData, actor: str = "system:test") -> int:
    """Let the consumer have these events; how many it selected."""
    (subscription,) = TellOwners(VAULT, "https://forms.example").subscriptions()
    events = [make_event(fact, tenant_id="acme", actor=actor, origin=Origin()) for fact in facts]
    assert subscription.select is not None
    # The stream hands over nothing else.
    assert {event.type for event in events} <= set(subscription.types)
    async with database.read("acme") as reading:
        chosen = await subscription.select(reading, events)
    async with database.write("acme") as unit:
        await subscription.handle(unit, chosen)
    return len(chosen)


@pytest.mark.parametrize(
    ("used", "limit", "close"),
    [(0, 0, False), (3, 5, False), (4, 5, True), (1, 1, True), (79, 100, False), (80, 100, True)],
)
def test_four_fifths(used: int, limit: int, close: bool) -> None:
    assert comes_close(used, limit) is close


async def test_once_for_the_quota_and_the_month(database: Database) -> None:
    acme = await a_tenant(database, max_forms=5, locale="de")
    forms = Forms(database)
    for number in range(5):
        await forms.create(acme, CreateForm(slug=f"f{number}", title="F", definition=PARTY))
        assert await close_calls(database) == ([{"quota": "max_forms", "used": 4, "limit": 5}] if number >= 3 else [])
    (notice,) = await rows(database, QuotaNotice)
    assert (notice.quota, notice.day) == ("max_forms:80", utc_now().date().isoformat()[:7])
    (event,) = [row for row in await rows(database, Event) if row.type == "quota.approached"]
    (subscription,) = TellOwners(VAULT, "https://forms.example").subscriptions()
    async with database.write("acme") as unit:
        await subscription.handle(unit, [Envelope.decode(event.envelope)])
    (letter,) = await letters(database)
    content = render(letter.template, letter.values, letter.locale)
    assert letter.recipient == "olga@example.com"
    assert "Acme hat 4 von 5 belegt (Formulare)." in content.text


async def test_a_refused_change_tells_nothing_of_its_own(database: Database) -> None:
    """What is rolled back was not used."""
    acme = await a_tenant(database, max_forms=1)
    forms = Forms(database)
    await forms.create(acme, CreateForm(slug="one", title="F", definition=PARTY))
    with pytest.raises(Exception, match="limit is 1"):
        await forms.create(acme, CreateForm(slug="two", title="F", definition=PARTY))
    assert len(await close_calls(database)) == 1


async def test_a_form_that_fills_up(database: Database) -> None:
    """T6: told by the count, not by each submission; a form that is far from full costs no write."""
    acme = await a_tenant(database, max_responses_per_form=10)
    form, other = await make_form(database, acme), await make_form(database, acme, slug="other")
    facts = [
        ResponseSubmitted(response_id=f"rsp_{n}", form_id=form_id, form_version=1, status="complete", answers={})
        for n, form_id in enumerate((form.id, other.id))
    ]
    assert await tell(database, *facts) == 0
    async with database.write("acme") as unit:
        full = update(FormCounter).where(FormCounter.form_id == form.id)  # type: ignore[arg-type]
        await unit.session.execute(full.values(responses=8))
    assert await tell(database, *facts) == 1
    assert await close_calls(database) == [{"quota": "max_responses_per_form", "used": 8, "limit": 10}]
    assert await tell(database, *facts) == 0


async def test_a_webhook_that_was_switched_off(database: Database) -> None:
    acme = await a_tenant(database)
    command = CreateWebhook(url="https://example.com/hook?token=s3cret", events=["*"])
    webhook = await Webhooks(database, VAULT).create(acme, command)
    gone = WebhookDisabled(webhook_id="whk_nothing", reason="?")
    await tell(database, WebhookDisabled(webhook_id=webhook.id, reason="the receiver answered 410"), gone)
    (letter,) = await letters(database)
    content = render(letter.template, letter.values)
    assert content.subject == "A webhook of Acme was switched off"
    assert "to https://example.com/hook, because the receiver answered 410." in content.text
    assert "s3cret" not in content.text + content.html


async def test_an_export_that_is_ready_is_told_to_who_ordered_it(database: Database) -> None:
    """N3: to that person alone, whoever owns the tenant; a program has no mailbox."""
    acme = await a_tenant(database)
    form = await make_form(database, acme)
    async with database.write("acme") as unit:
        for user_id, status in (("usr_eva", "active"), ("usr_gone", "deactivated")):
            person = {"tenant_id": "acme", "id": user_id, "email": f"{user_id}@example.com", "name": "Eva"}
            unit.session.add(User(**person, role="editor", status=status, password_hash="x", created_at=utc_now()))
    done = ExportCompleted(
        export_id="exp_1",
        form_id=form.id,
        format="csv",
        rows=1058,
        bytes=10,
        expires_at="2026-03-08T12:00:00+00:00",
    )
    for actor in ("usr_eva", "usr_gone", "key_1", "system:exports"):
        await tell(database, done, actor=actor)
    (letter,) = await letters(database)
    content = render(letter.template, letter.values)
    assert (letter.recipient, content.subject) == ("usr_eva@example.com", "Your export of Party is ready")
    assert "holds 1058 responses. Until 2026-03-08 12:00 UTC" in content.text
    assert "https://forms.example/api/v1/exports/exp_1/download" in content.text
