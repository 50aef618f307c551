"""The door of webhooks on both databases: endpoints, their secrets, and what another tenant sees of them."""

from collections.abc import Awaitable, Callable

import pytest
from sqlalchemy import text

from db.models.webhooks import WebhookEndpoint
from db.session import Database
from deployments.kit.errors import DomainError, Invalid
from deployments.kit.principal import Principal
from deployments.kit.vault import Vault
from deployments.webhooks.contracts import CreateWebhook, UpdateWebhook, WebhooksApi
from deployments.webhooks.deployment import Webhooks
from deployments.webhooks.errors import DeliveryNotFound, DeliveryPending, InvalidWebhook, WebhookNotFound
from tests.eventing.harness import rows
from tests.factories import make_form, make_tenant, owner

VAULT = Vault("a secret key of the platform, 32+")
URL = "https://example.org/hook"


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
    made = await webhooks.test(acme, hook.id)
    assert (made.event_type, made.state, made.attempts) == ("webhook.test", "pending", [])
    page = await webhooks.list_deliveries(acme, hook.id, None, 10)
    assert page.data == [made]
    with pytest.raises(DeliveryPending) as caught:
        await webhooks.retry(acme, made.id)
    assert caught.value.status == 409


async def test_pages_of_deliveries_belong_to_their_webhook(database: Database, webhooks: WebhooksApi) -> None:
    acme = await make_tenant(database)
    one, other = await webhooks.create(acme, command()), await webhooks.create(acme, command())
    ids = [(await webhooks.test(acme, one.id)).id for _ in range(3)]
    await webhooks.test(acme, other.id)
    first = await webhooks.list_deliveries(acme, one.id, None, 2)
    second = await webhooks.list_deliveries(acme, one.id, first.meta.next_cursor, 2)
    assert [delivery.id for page in (first, second) for delivery in page.data] == ids[::-1]
    assert second.meta.next_cursor is None
    with pytest.raises(Invalid):
        await webhooks.list_deliveries(acme, other.id, first.meta.next_cursor, 2)


async def test_a_deleted_webhook_takes_its_deliveries_along(database: Database, webhooks: WebhooksApi) -> None:
    acme = await make_tenant(database)
    hook = await webhooks.create(acme, command())
    delivery = await webhooks.test(acme, hook.id)
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
        lambda hooks, who, hook_id, _: hooks.test(who, hook_id),
        lambda hooks, who, hook_id, _: hooks.list_deliveries(who, hook_id, None, 10),
        lambda hooks, who, _, delivery_id: hooks.retry(who, delivery_id),
    ],
    ids=["get", "update", "delete", "test", "list_deliveries", "retry"],
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
    delivery = await webhooks.test(acme, hook.id)
    failures: list[DomainError] = []
    for ids in ((hook.id, delivery.id), ("whk_none", "dlv_none")):
        with pytest.raises(DomainError) as caught:
            await act(webhooks, owner("globex"), *ids)
        failures.append(caught.value)
    assert [failure.status for failure in failures] == [404, 404]
    assert failures[0].code == failures[1].code
    assert (await webhooks.list_webhooks(owner("globex"), None, 10)).data == []
    assert (await webhooks.get(acme, hook.id)).status == "enabled"
    assert len((await webhooks.list_deliveries(acme, hook.id, None, 10)).data) == 1
