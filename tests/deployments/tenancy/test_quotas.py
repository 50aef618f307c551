"""T6: quotas hold exactly, whoever asks at the same moment, and owners are told once a day."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from sqlalchemy import delete, update

from db.models.events import Event
from db.models.identity import Tenant, User
from db.models.jobs import Job
from db.models.tenancy import QuotaNotice, StoredObject
from db.session import Database
from deployments.forms.contracts import CreateForm
from deployments.forms.deployment import Forms
from deployments.identity.contracts import CreateUser, UpdateUser
from deployments.identity.deployment import Identity
from deployments.identity.settings import IdentitySettings
from deployments.imports.contracts import StartImport
from deployments.imports.deployment import Imports
from deployments.imports.handlers import DiscardFile
from deployments.kit.objects import ObjectStore
from deployments.kit.principal import Principal
from deployments.kit.quotas import QuotaReached
from deployments.notifications.contracts import SEND_LETTER, Letter
from deployments.notifications.message import render
from deployments.responses.contracts import SubmitResponse
from deployments.responses.deployment import Responses
from deployments.responses.errors import FormFull
from deployments.tenancy.contracts import Meter
from deployments.tenancy.deployment import Tenancy
from deployments.tenancy.handlers import TellOwners
from deployments.webhooks.contracts import CreateWebhook
from deployments.webhooks.deployment import Webhooks
from eventing.events.envelope import Event as Envelope
from tests.deployments.identity.conftest import PASSWORD, VAULT
from tests.deployments.tenancy.population import attempt
from tests.eventing.harness import rows
from tests.factories import PARTY, make_form, make_tenant

ROOM = 7
CALLERS = 30

Create = Callable[[Principal, int], Awaitable[object]]


def _upload(number: int, size: int = 100) -> StartImport:
    return StartImport(
        file=f"acme/imports/{number}",
        file_name="survey.csv",
        size=size,
        sha256="0" * 64,
        format="surveymonkey_csv",
        slug=f"survey-{number}",
        title="Survey",
        idempotency_key=str(number),
    )


def _creators(database: Database) -> dict[str, tuple[Create, str, int, str]]:
    """By setting: what makes one more, the code of its refusal, the limit, and the meter."""
    forms, webhooks = Forms(database), Webhooks(database, VAULT)
    identity = Identity(database, IdentitySettings(signing_key="k" * 32, hash_waiting=CALLERS), VAULT)  # type: ignore[arg-type]
    imports = Imports(database, ObjectStore("memory:///"))

    async def person(principal: Principal, number: int) -> object:
        command = CreateUser(email=f"p{number}@example.com", password=PASSWORD, name="P")
        return await identity.create_user(principal, command)

    return {
        "max_forms": (
            lambda principal, n: forms.create(principal, CreateForm(slug=f"f{n}", title="F", definition=PARTY)),
            "quota.forms",
            ROOM,
            "forms",
        ),
        "max_users": (person, "quota.users", ROOM, "users"),
        "max_webhooks": (
            lambda principal, n: webhooks.create(
                principal, CreateWebhook(url=f"https://example.com/{n}", events=["form.created"])
            ),
            "quota.webhooks",
            ROOM,
            "webhooks",
        ),
        "max_storage_bytes": (
            lambda principal, n: imports.start(principal, _upload(n)),
            "quota.storage",
            ROOM * 100 + 99,
            "storage_bytes",
        ),
    }


@pytest.mark.parametrize("setting", ["max_forms", "max_users", "max_webhooks", "max_storage_bytes"])
async def test_hold_exactly_with_thirty_callers_at_once(
    database: Database, setting: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T6: as many as there is room for, and one event for all who were refused."""

    async def quick(_passwords: object, _password: str) -> str:
        return "hash"

    monkeypatch.setattr("deployments.identity.passwords.Passwords.hash", quick)
    create, code, limit, meter = _creators(database)[setting]
    owner = await make_tenant(database, **{setting: limit})
    other = await make_tenant(database, "other")

    outcomes = await asyncio.gather(*(create(owner, n) for n in range(CALLERS)), return_exceptions=True)

    refused = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    assert all(isinstance(each, QuotaReached) and each.status == 403 and each.code == code for each in refused), refused
    assert len(refused) == CALLERS - ROOM
    used = ROOM * 100 if setting == "max_storage_bytes" else ROOM
    usage = await Tenancy(database).usage(owner, "acme")
    assert usage.meters[meter] == Meter(used=used, limit=limit)
    assert (await Tenancy(database).usage(other, "other")).meters[meter].used == 0
    told = [Envelope.decode(row.envelope).data for row in await rows(database, Event) if row.type == "quota.exceeded"]
    assert told == [{"quota": setting, "limit": limit}]
    noted = sorted((row.tenant_id, row.quota) for row in await rows(database, QuotaNotice))
    assert noted == [("acme", setting), ("acme", f"{setting}:80")]


async def test_a_place_that_is_free_again_can_be_taken(database: Database) -> None:
    """T6: deactivating frees a place; coming back needs one."""
    identity = Identity(database, IdentitySettings(signing_key="k" * 32), VAULT)  # type: ignore[arg-type]
    owner = await make_tenant(database, max_users=1)

    async def add(name: str) -> str:
        return (await identity.create_user(owner, CreateUser(email=f"{name}@x.org", password=PASSWORD, name=name))).id

    first = await add("ada")
    with pytest.raises(QuotaReached):
        await add("bob")
    await identity.update_user(owner, first, UpdateUser(status="deactivated"))
    await add("bob")
    with pytest.raises(QuotaReached):
        await identity.update_user(owner, first, UpdateUser(status="active"))


async def test_a_file_counts_until_it_is_discarded(database: Database) -> None:
    """T6: once, however often its import is ordered."""
    owner = await make_tenant(database, max_storage_bytes=100)
    objects = ObjectStore("memory:///")
    imports = Imports(database, objects)
    for _ in range(3):
        await imports.start(owner, _upload(1))
    with pytest.raises(QuotaReached):
        await imports.start(owner, _upload(2, size=1))
    assert [(row.file, row.bytes) for row in await rows(database, StoredObject)] == [("acme/imports/1", 100)]
    for _ in range(2):
        done = await DiscardFile(objects).run(attempt("acme", {"file": "acme/imports/1"}))
        assert done.effect is not None
        async with database.write("acme") as unit:
            await done.effect(unit)
    await imports.start(owner, _upload(2))


async def test_a_full_form_is_told_of_when_the_limit_is_the_tenants(database: Database) -> None:
    """T6, R9: a form's own limit is its owner's wish and no news."""
    owner = await make_tenant(database, max_responses_per_form=2)
    body = b'{"answers": {"name": "Ada", "email": "ada@example.org"}}'
    responses = Responses(database)
    for slug, settings in (("own", {"max_responses": 1}), ("full", {})):
        form = await make_form(database, owner, slug=slug, **settings)
        outcomes = await asyncio.gather(
            *(responses.submit(owner, SubmitResponse(body=body, form_id=form.id)) for _ in range(6)),
            return_exceptions=True,
        )
        assert sum(isinstance(outcome, FormFull) for outcome in outcomes) == (5 if slug == "own" else 4)
    told = [Envelope.decode(row.envelope).data for row in await rows(database, Event) if row.type == "quota.exceeded"]
    assert told == [{"quota": "max_responses_per_form", "limit": 2}]


async def test_is_told_again_the_next_day(database: Database) -> None:
    """T6: once for each quota and day, by however many processes."""
    owner = await make_tenant(database, max_forms=0)

    async def refused() -> None:
        with pytest.raises(QuotaReached):
            await Forms(database).create(owner, CreateForm(slug="f", title="F", definition=PARTY))

    for _ in range(3):
        await refused()
    async with database.unscoped_write() as unit:
        await unit.session.execute(update(QuotaNotice).values(day="2026-01-01"))
    for _ in range(3):
        await refused()
    assert Counter(row.type for row in await rows(database, Event))["quota.exceeded"] == 2
    async with database.unscoped_write() as unit:
        await unit.session.execute(delete(QuotaNotice))
        await unit.session.execute(update(Tenant).values(settings={"max_forms": None}))
    await Forms(database).create(owner, CreateForm(slug="f", title="F", definition=PARTY))
    assert await rows(database, QuotaNotice) == []


async def test_owners_get_a_letter(database: Database) -> None:
    """N3: each active owner, and nobody else."""
    identity = Identity(database, IdentitySettings(signing_key="k" * 32), VAULT)  # type: ignore[arg-type]
    owner = await make_tenant(database)
    people: dict[str, Any] = {"olga": "owner", "otto": "owner", "adam": "admin", "gone": "owner"}
    for name, role in people.items():
        await identity.create_user(
            owner, CreateUser(email=f"{name}@example.com", password=PASSWORD, name=name, role=role)
        )
    async with database.unscoped_write() as unit:
        await unit.session.execute(update(User).where(User.name == "gone").values(status="deactivated"))  # type: ignore[arg-type]
        await unit.session.execute(update(Tenant).values(settings={"max_users": 3}))
    with pytest.raises(QuotaReached):
        await identity.create_user(owner, CreateUser(email="late@example.com", password=PASSWORD, name="Late"))
    (event,) = [row for row in await rows(database, Event) if row.type == "quota.exceeded"]
    (subscription,) = TellOwners(VAULT, "https://forms.example").subscriptions()
    before = {job.id for job in await rows(database, Job)}
    async with database.write("acme") as unit:
        await subscription.handle(unit, [Envelope.decode(event.envelope)])
    orders = [job for job in await rows(database, Job) if job.id not in before]
    letters = [Letter.unsealed(VAULT, order.payload) for order in orders]
    assert {(order.kind, order.queue) for order in orders} == {(SEND_LETTER, "high")}
    assert sorted(letter.recipient for letter in letters) == ["olga@example.com", "otto@example.com"]
    content = render(letters[0].template, letters[0].values)
    assert content.subject == "Acme has reached a limit"
    assert "Acme may hold 3 people" in content.text
