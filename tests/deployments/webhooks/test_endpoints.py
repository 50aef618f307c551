"""The door of webhooks on both databases: endpoints, their secrets, and what another tenant sees of them."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import text

from db.models.audit import AuditEntry
from db.models.webhooks import WebhookEndpoint
from db.session import Database
from db.types import utc_now
from deployments.kit.errors import DomainError, Forbidden, Invalid
from deployments.kit.principal import Principal
from deployments.kit.vault import Vault
from deployments.webhooks.contracts import (
    CreateWebhook,
    DeliveryFilter,
    Header,
    RecoverWebhook,
    RotateSecret,
    SendTestEvent,
    UpdateWebhook,
    WebhooksApi,
)
from deployments.webhooks.deployment import Webhooks
from deployments.webhooks.errors import DeliveryNotFound, DeliveryPending, InvalidWebhook, WebhookNotFound
from deployments.webhooks.examples import example
from eventing.events.catalogue import CATALOGUE, TYPES
from eventing.events.envelope import Event
from tests.eventing.harness import rows
from tests.factories import make_form, make_tenant, owner

VAULT = Vault("a secret key of the platform, 32+")
URL = "https://example.org/hook"
ALL = DeliveryFilter()


@pytest.fixture
def webhooks(database: Database) -> WebhooksApi:
    return Webhooks(database, VAULT)


def command(url: str = URL, *events: str, form_id: str | None = None) -> CreateWebhook:
    return CreateWebhook(url=url, events=list(events or ("response.submitted",)), form_id=form_id)


async def test_a_webhook_is_created_and_read_without_its_secret(database: Database, webhooks: WebhooksApi) -> None:
    """W1: a secret per endpoint, shown once."""
    acme = await make_tenant(database)
    created = await webhooks.create(acme, command())
    assert created.secret.startswith("whsec_")
    found = await webhooks.get(acme, created.id)
    assert (found.url, found.events, found.form_id, found.status) == (URL, ["response.submitted"], None, "enabled")
    assert "secret" not in found.model_dump()


async def test_the_secret_is_encrypted_at_rest(database: Database, webhooks: WebhooksApi) -> None:
    """W1: whoever reads the database cannot sign, and another platform's key opens nothing."""
    created = await webhooks.create(await make_tenant(database), command())
    (row,) = await rows(database, WebhookEndpoint)
    assert created.secret not in row.secret
    assert created.secret.removeprefix("whsec_") not in row.secret
    assert VAULT.open(row.secret) == created.secret


async def test_two_webhooks_have_two_secrets(database: Database, webhooks: WebhooksApi) -> None:
    acme = await make_tenant(database)
    assert (await webhooks.create(acme, command())).secret != (await webhooks.create(acme, command())).secret


async def test_pages_of_webhooks_hold_each_once_newest_first(database: Database, webhooks: WebhooksApi) -> None:
    acme = await make_tenant(database)
    ids = [(await webhooks.create(acme, command())).id for _ in range(5)]
    first = await webhooks.list_webhooks(acme, None, 2)
    second = await webhooks.list_webhooks(acme, first.meta.next_cursor, 2)
    last = await webhooks.list_webhooks(acme, second.meta.next_cursor, 2)
    assert [hook.id for page in (first, second, last) for hook in page.data] == ids[::-1]
    assert last.meta.next_cursor is None


async def test_a_forged_cursor_is_refused(database: Database, webhooks: WebhooksApi) -> None:
    acme = await make_tenant(database)
    with pytest.raises(Invalid):
        await webhooks.list_webhooks(acme, "bm9uc2Vuc2U", 2)


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("ftp://example.org/hook", "url.scheme"),
        ("http:///hook", "url.host"),
        ("https://user:password@example.org/hook", "url.userinfo"),
        ("https://example.org:99999/hook", "url.port"),
    ],
)
async def test_an_address_that_cannot_be_called_is_refused(
    database: Database, webhooks: WebhooksApi, url: str, code: str
) -> None:
    acme = await make_tenant(database)
    with pytest.raises(Invalid) as caught:
        await webhooks.create(acme, command(url))
    assert [(fault.pointer, fault.code) for fault in caught.value.faults] == [("/url", code)]
    assert (await webhooks.list_webhooks(acme, None, 10)).data == []


async def test_an_event_or_form_that_is_not_there_is_named(database: Database, webhooks: WebhooksApi) -> None:
    acme = await make_tenant(database)
    theirs = await make_form(database, await make_tenant(database, "globex"))
    for wrong, pointer, code in (
        (command(URL, "response.submitted", "response.sung"), "/events/1", "event.unknown"),
        (command(form_id="frm_none"), "/form_id", "form.not_found"),
        (command(form_id=theirs.id), "/form_id", "form.not_found"),
    ):
        with pytest.raises(InvalidWebhook) as caught:
            await webhooks.create(acme, wrong)
        assert [(fault.pointer, fault.code) for fault in caught.value.faults] == [(pointer, code)]


async def test_only_what_is_named_changes(database: Database, webhooks: WebhooksApi) -> None:
    acme = await make_tenant(database)
    form = await make_form(database, acme)
    created = await webhooks.create(acme, command(form_id=form.id))
    changed = await webhooks.update(acme, created.id, UpdateWebhook(events=["*"]))
    assert (changed.events, changed.url, changed.form_id, changed.status) == (["*"], URL, form.id, "enabled")
    assert changed.updated_at > created.updated_at
    disabled = await webhooks.update(acme, created.id, UpdateWebhook(status="disabled", url="https://example.net/"))
    assert (disabled.status, disabled.url, disabled.events) == ("disabled", "https://example.net/", ["*"])
    widened = await webhooks.update(acme, created.id, UpdateWebhook(form_id=None))
    assert (widened.form_id, widened.status) == (None, "disabled")
    assert await webhooks.get(acme, created.id) == widened


async def test_a_change_is_checked_like_a_new_webhook(database: Database, webhooks: WebhooksApi) -> None:
    acme = await make_tenant(database)
    created = await webhooks.create(acme, command())
    for wrong in (
        UpdateWebhook(url="ftp://example.org"),
        UpdateWebhook(events=["response.sung"]),
        UpdateWebhook(form_id="frm_none"),
    ):
        with pytest.raises(Invalid):
            await webhooks.update(acme, created.id, wrong)
    assert (await webhooks.get(acme, created.id)).url == URL


async def test_a_test_event_is_a_delivery_under_way(database: Database, webhooks: WebhooksApi) -> None:
    """W1: it goes the way of every delivery, so it has a row, a job and attempts."""
    acme = await make_tenant(database)
    hook = await webhooks.create(acme, command())
    made = await webhooks.test(acme, hook.id, SendTestEvent())
    assert (made.event_type, made.state, made.attempts) == ("webhook.test", "pending", [])
    page = await webhooks.list_deliveries(acme, hook.id, ALL, None, 10)
    assert page.data == [made]
    with pytest.raises(DeliveryPending) as caught:
        await webhooks.retry(acme, made.id)
    assert caught.value.status == 409


async def test_pages_of_deliveries_belong_to_their_webhook(database: Database, webhooks: WebhooksApi) -> None:
    acme = await make_tenant(database)
    one, other = await webhooks.create(acme, command()), await webhooks.create(acme, command())
    ids = [(await webhooks.test(acme, one.id, SendTestEvent())).id for _ in range(3)]
    await webhooks.test(acme, other.id, SendTestEvent())
    first = await webhooks.list_deliveries(acme, one.id, ALL, None, 2)
    second = await webhooks.list_deliveries(acme, one.id, ALL, first.meta.next_cursor, 2)
    assert [delivery.id for page in (first, second) for delivery in page.data] == ids[::-1]
    assert second.meta.next_cursor is None
    with pytest.raises(Invalid):
        await webhooks.list_deliveries(acme, other.id, ALL, first.meta.next_cursor, 2)


async def test_a_deleted_webhook_takes_its_deliveries_along(database: Database, webhooks: WebhooksApi) -> None:
    acme = await make_tenant(database)
    hook = await webhooks.create(acme, command())
    delivery = await webhooks.test(acme, hook.id, SendTestEvent())
    await webhooks.delete(acme, hook.id)
    with pytest.raises(WebhookNotFound):
        await webhooks.get(acme, hook.id)
    with pytest.raises(DeliveryNotFound):
        await webhooks.retry(acme, delivery.id)
    async with database.unscoped_read() as unit:
        assert await unit.session.scalar(text("SELECT count(*) FROM webhook_delivery")) == 0


@pytest.mark.parametrize(
    "act",
    [
        lambda hooks, who, hook_id, _: hooks.get(who, hook_id),
        lambda hooks, who, hook_id, _: hooks.update(who, hook_id, UpdateWebhook(status="disabled")),
        lambda hooks, who, hook_id, _: hooks.delete(who, hook_id),
        lambda hooks, who, hook_id, _: hooks.test(who, hook_id, SendTestEvent()),
        lambda hooks, who, hook_id, _: hooks.list_deliveries(who, hook_id, ALL, None, 10),
        lambda hooks, who, _, delivery_id: hooks.retry(who, delivery_id),
        lambda hooks, who, _, delivery_id: hooks.get_delivery(who, delivery_id),
        lambda hooks, who, hook_id, _: hooks.rotate_secret(who, hook_id, RotateSecret()),
        lambda hooks, who, hook_id, _: hooks.recover(who, hook_id, RecoverWebhook(since=utc_now())),
        lambda hooks, who, hook_id, _: hooks.resend_failed(who, hook_id),
        lambda hooks, who, hook_id, _: hooks.statistics(who, hook_id, 7),
    ],
    ids=[
        *("get", "update", "delete", "test", "list_deliveries", "retry"),
        *("get_delivery", "rotate_secret", "recover", "resend_failed", "statistics"),
    ],
)
async def test_another_tenants_webhook_does_not_exist(
    database: Database,
    webhooks: WebhooksApi,
    act: Callable[[WebhooksApi, Principal, str, str], Awaitable[object]],
) -> None:
    """T5: 404, as for one that nobody has, and nothing changes."""
    acme = await make_tenant(database)
    await make_tenant(database, "globex")
    hook = await webhooks.create(acme, command())
    delivery = await webhooks.test(acme, hook.id, SendTestEvent())
    failures: list[DomainError] = []
    for ids in ((hook.id, delivery.id), ("whk_none", "dlv_none")):
        with pytest.raises(DomainError) as caught:
            await act(webhooks, owner("globex"), *ids)
        failures.append(caught.value)
    assert [failure.status for failure in failures] == [404, 404]
    assert failures[0].code == failures[1].code
    assert (await webhooks.list_webhooks(owner("globex"), None, 10)).data == []
    assert (await webhooks.get(acme, hook.id)).status == "enabled"
    assert len((await webhooks.list_deliveries(acme, hook.id, ALL, None, 10)).data) == 1


# What an endpoint may ask for.


async def test_wishes_are_kept_and_shown(database: Database, webhooks: WebhooksApi) -> None:
    """W1."""
    acme = await make_tenant(database)
    one, two = await make_form(database, acme), await make_form(database, acme, slug="second")
    wishes = {
        "description": "for the kitchen",
        "events": ["response.*", "form.published", "webhook.disabled"],
        "form_ids": [one.id, two.id],
        "filter": {"data": {"status": "complete"}},
        "max_concurrency": 3,
        "max_per_minute": 90,
    }
    created = await webhooks.create(acme, CreateWebhook(url=URL, **wishes))  # type: ignore[arg-type]
    found = await webhooks.get(acme, created.id)
    assert {name: getattr(found, name) for name in wishes} == wishes
    nothing = UpdateWebhook(filter=None, max_concurrency=None, max_per_minute=None, form_ids=[], description="")
    cleared = await webhooks.update(acme, created.id, nothing)
    assert (cleared.filter, cleared.max_concurrency, cleared.max_per_minute) == (None, None, None)
    assert (cleared.form_ids, cleared.description, cleared.events) == ([], "", wishes["events"])


async def test_everything_wrong_is_said_at_once(database: Database, webhooks: WebhooksApi) -> None:
    acme = await make_tenant(database)
    wrong = CreateWebhook(
        url="ftp://example.org",
        events=["response.*", "respons.*", "webhook.failed", "webhook.*"],
        form_ids=["frm_none"],
        filter={"data": {"$like": "x"}},
        headers=[
            Header(name="Host", value="inner"),
            Header(name="Webhook-Id", value="evt_0"),
            Header(name="X Y", value="1"),
            Header(name="X-One", value="a\r\nb: c"),
            Header(name="x-one", value="1"),
            Header(name="X-Two"),
            Header(name="X-Three", secret=True),
        ],
    )
    with pytest.raises(InvalidWebhook) as caught:
        await webhooks.create(acme, wrong)
    assert [(fault.pointer, fault.code) for fault in caught.value.faults] == [
        ("/url", "url.scheme"),
        ("/events/1", "event.unknown"),
        ("/events/2", "event.not_delivered"),
        ("/events/3", "event.unknown"),
        ("/form_ids/0", "form.not_found"),
        ("/filter/data/$like", "filter.operator"),
        ("/headers/0/name", "header.reserved"),
        ("/headers/1/name", "header.reserved"),
        ("/headers/2/name", "header.name"),
        ("/headers/3/value", "header.value"),
        ("/headers/4/name", "header.duplicate"),
        ("/headers/5/value", "required"),
        ("/headers/6/value", "required"),
    ]


async def test_secret_headers_are_sealed_and_never_shown(database: Database, webhooks: WebhooksApi) -> None:
    """W1: an API key in a header; Authorization is secret whether it says so or not."""
    acme = await make_tenant(database)
    headers = [
        Header(name="X-Team", value="kitchen"),
        Header(name="X-Api-Key", value="very-secret", secret=True),
        Header(name="Authorization", value="Bearer also-secret"),
    ]
    created = await webhooks.create(acme, CreateWebhook(url=URL, events=["*"], headers=headers))
    shown = [
        Header(name="authorization", secret=True),
        Header(name="x-api-key", secret=True),
        Header(name="x-team", value="kitchen"),
    ]
    assert created.headers == shown
    (row,) = await rows(database, WebhookEndpoint)
    assert "secret" not in str(row.secret_headers).replace("secret_headers", "")
    assert {name: VAULT.open(value) for name, value in row.secret_headers.items()} == {
        "x-api-key": "very-secret",
        "authorization": "Bearer also-secret",
    }
    # What was shown can be sent back: the secrets that it leaves out stay.
    kept = await webhooks.update(
        acme, created.id, UpdateWebhook(headers=[shown[1], Header(name="X-Team", value="bar")])
    )
    assert kept.headers == [shown[1], Header(name="x-team", value="bar")]
    (row,) = await rows(database, WebhookEndpoint)
    assert VAULT.open(row.secret_headers["x-api-key"]) == "very-secret"


async def test_a_rotated_secret_leaves_the_earlier_one_time(database: Database, webhooks: WebhooksApi) -> None:
    """W1: a day unless said otherwise; the trail tells of it and holds no secret."""
    acme = await make_tenant(database)
    created = await webhooks.create(acme, command())
    rotated = await webhooks.rotate_secret(acme, created.id, RotateSecret())
    assert rotated.secret not in (None, created.secret)
    assert 86_390 < (rotated.previous_expires_at - utc_now()).total_seconds() <= 86_400
    (row,) = await rows(database, WebhookEndpoint)
    assert VAULT.open(row.secret) == rotated.secret
    assert [VAULT.open(each["secret"]) for each in row.previous_secrets] == [created.secret]
    third = await webhooks.rotate_secret(acme, created.id, RotateSecret(expire_previous_after_s=0))
    (row,) = await rows(database, WebhookEndpoint)
    assert (VAULT.open(row.secret), row.previous_secrets) == (third.secret, [])
    trail = [(entry.action, entry.details) for entry in await rows(database, AuditEntry)]
    assert [action for action, _ in trail].count("webhook.secret_rotated") == 2
    assert [action for action, _ in trail].count("webhook.secret_shown") == 3
    assert "whsec_" not in str(trail)


async def test_an_asymmetric_endpoint_shows_only_its_public_key(database: Database, webhooks: WebhooksApi) -> None:
    """W1: nobody needs the private key, so nobody gets it."""
    acme = await make_tenant(database)
    created = await webhooks.create(acme, CreateWebhook(url=URL, events=["*"], signature="v1a"))
    assert (created.secret, created.signature) == (None, "v1a")
    assert (created.public_key or "").startswith("whpk_")
    assert (await webhooks.get(acme, created.id)).public_key == created.public_key
    rotated = await webhooks.rotate_secret(acme, created.id, RotateSecret())
    assert (rotated.secret, rotated.signature) == (None, "v1a")
    assert rotated.public_key not in (None, created.public_key)
    symmetric = await webhooks.rotate_secret(acme, created.id, RotateSecret(signature="v1"))
    assert ((symmetric.secret or "")[:6], symmetric.public_key) == ("whsec_", None)
    assert "webhook.secret_shown" in [entry.action for entry in await rows(database, AuditEntry)]


@pytest.mark.parametrize("event_type", sorted(TYPES))
def test_every_event_can_be_played(event_type: str) -> None:
    """W1: a test event of each type has the shape of a real one."""
    data = example(event_type)
    assert data is not None
    kind = next(kind for kind in CATALOGUE if kind.type == event_type)
    event = Event("evt_1", event_type, 1, utc_now(), "acme", "x", None, "usr_1", data=data)
    assert event.read(kind)


async def test_a_test_event_can_be_of_any_type(database: Database, webhooks: WebhooksApi) -> None:
    """W1."""
    acme = await make_tenant(database)
    hook = await webhooks.create(acme, command())
    made = await webhooks.test(acme, hook.id, SendTestEvent(event_type="form.published"))
    detail = await webhooks.get_delivery(acme, made.id)
    body = json.loads(detail.body or "")
    assert (made.event_type, made.is_test, body["type"], body["id"]) == (
        "form.published",
        True,
        "form.published",
        made.event_id,
    )
    with pytest.raises(InvalidWebhook):
        await webhooks.test(acme, hook.id, SendTestEvent(event_type="form.sung"))


async def test_deliveries_are_listed_by_state_type_and_time(database: Database, webhooks: WebhooksApi) -> None:
    """W3."""
    acme = await make_tenant(database)
    hook = await webhooks.create(acme, command())
    first = await webhooks.test(acme, hook.id, SendTestEvent())
    between = utc_now()
    second = await webhooks.test(acme, hook.id, SendTestEvent(event_type="form.published"))

    async def listed(**wanted: Any) -> list[str]:
        page = await webhooks.list_deliveries(acme, hook.id, DeliveryFilter(**wanted), None, 10)
        return [delivery.id for delivery in page.data]

    assert await listed(state="pending") == [second.id, first.id]
    assert await listed(state="failed") == []
    assert await listed(event_type="form.published") == [second.id]
    assert await listed(since=between) == [second.id]
    assert await listed(until=between) == [first.id]
    page = await webhooks.list_deliveries(acme, hook.id, DeliveryFilter(state="pending"), None, 1)
    with pytest.raises(Invalid):
        await webhooks.list_deliveries(acme, hook.id, ALL, page.meta.next_cursor, 1)


async def test_what_a_key_may_not_is_refused_below_the_edge_too(database: Database, webhooks: WebhooksApi) -> None:
    """T3: and who may look after webhooks need not see answers."""
    acme = await make_tenant(database)
    hook = await webhooks.create(acme, command())
    made = await webhooks.test(acme, hook.id, SendTestEvent())
    reader = replace(acme, scopes=frozenset({"webhooks:read"}))
    assert (await webhooks.get_delivery(reader, made.id)).body is None
    assert (await webhooks.statistics(reader, hook.id, 7)).circuit == "closed"
    for act in (
        webhooks.delete(reader, hook.id),
        webhooks.rotate_secret(reader, hook.id, RotateSecret()),
        webhooks.resend_failed(reader, hook.id),
        webhooks.get(replace(acme, scopes=frozenset({"forms:read"})), hook.id),
    ):
        with pytest.raises(Forbidden):
            await act
