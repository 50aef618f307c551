"""T1, U1: signing up makes a tenant and its owner, or nothing."""

import asyncio

import pytest
from pydantic import ValidationError
from sqlalchemy import func, select

from db.models.events import Event
from db.models.identity import RefreshToken, Tenant, User
from db.session import Database
from db.settings import DatabaseSettings
from deployments.identity.contracts import NewTenant, NewUser, SignedUp, TenantSettings
from deployments.identity.deployment import Identity
from deployments.identity.errors import SignupDisabled, TenantTaken
from deployments.identity.settings import IdentitySettings
from tests.deployments.identity.conftest import ORIGIN, PASSWORD, VAULT, RecordedEvents, signup_of


async def count(database: Database) -> list[int]:
    async with database.unscoped_read() as unit:
        return [
            (await unit.session.execute(select(func.count()).select_from(table))).scalar_one()
            for table in (Tenant, User, RefreshToken, Event)
        ]


async def test_makes_the_tenant_its_owner_and_a_session(
    identity: Identity, acme: SignedUp, events: RecordedEvents
) -> None:
    assert (acme.tenant.id, acme.tenant.name, acme.tenant.status) == ("acme", "Acme", "active")
    assert acme.tenant.settings == TenantSettings()
    assert (acme.tenant.settings.max_forms, acme.tenant.settings.max_responses_per_form) == (100, 10_000)
    owner = await identity.authenticate(acme.access_token)
    recorded = await events("acme")
    assert [event.type for event in recorded] == ["tenant.created", "user.registered"]
    assert [event.entity_id for event in recorded] == ["acme", owner.subject]
    assert all(f'"actor":"{owner.subject}"' in event.envelope for event in recorded)
    assert all('"request_id":"req-1"' in event.envelope for event in recorded)
    assert PASSWORD not in "".join(event.envelope for event in recorded)


async def test_a_taken_id_is_a_conflict_and_leaves_nothing(
    identity: Identity, acme: SignedUp, database: Database
) -> None:
    before = await count(database)
    with pytest.raises(TenantTaken) as caught:
        await identity.sign_up(ORIGIN, signup_of("acme", "eve@example.com"))
    assert (caught.value.status, caught.value.code) == (409, "tenant.taken")
    assert await count(database) == before


@pytest.mark.parametrize("tenant_id", ["default", "api", "www"])
async def test_some_ids_are_not_for_everybody(identity: Identity, database: Database, tenant_id: str) -> None:
    with pytest.raises(TenantTaken):
        await identity.sign_up(ORIGIN, signup_of(tenant_id))
    assert await count(database) == [0, 0, 0, 0]


@pytest.mark.parametrize(
    "tenant_id", ["_platform", "A", "Acme", "a", "a b", "a/b", "a.b", "a>", "*", "acme\n", "x" * 64]
)
def test_an_id_is_a_slug(tenant_id: str) -> None:
    """T5: nothing in an id can mean something in a path, a subject or a query."""
    with pytest.raises(ValidationError):
        NewTenant(id=tenant_id, name="A")


@pytest.mark.parametrize("name", ["", "   ", "nul\0", "two\r\nlines", "x" * 201])
def test_a_name_is_one_printable_line(name: str) -> None:
    with pytest.raises(ValidationError):
        NewTenant(id="acme", name=name)


@pytest.mark.parametrize(
    ("email", "password"), [("nobody", PASSWORD), ("a\0@example.com", PASSWORD), ("a@b.io", "short")]
)
def test_a_person_has_an_email_and_a_password_of_ten_characters(email: str, password: str) -> None:
    with pytest.raises(ValidationError):
        NewUser(email=email, password=password, name="A")


async def test_can_be_switched_off(database: Database) -> None:
    identity = Identity(database, IdentitySettings(signing_key="k" * 32, signup_enabled=False), VAULT)
    with pytest.raises(SignupDisabled) as caught:
        await identity.sign_up(ORIGIN, signup_of("acme"))
    assert (caught.value.status, caught.value.code) == (403, "signup.disabled")
    assert await count(database) == [0, 0, 0, 0]


async def test_of_many_at_once_one_wins(
    identity: Identity, database: Database, database_settings: DatabaseSettings, settings: IdentitySettings
) -> None:
    """T1: one gets the tenant, the others a conflict, and nothing of theirs remains."""
    other_database = Database(database_settings)
    other = Identity(other_database, settings, VAULT)
    outcomes = await asyncio.gather(
        *((identity, other)[n % 2].sign_up(ORIGIN, signup_of("acme", f"p{n}@example.com")) for n in range(8)),
        return_exceptions=True,
    )
    await other_database.close()
    assert [type(outcome) for outcome in outcomes].count(SignedUp) == 1
    assert [type(outcome) for outcome in outcomes].count(TenantTaken) == 7
    assert await count(database) == [1, 1, 1, 2]
