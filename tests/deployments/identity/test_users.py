"""U1, U5: who may add whom to a tenant."""

import asyncio

import pytest

from deployments.identity.contracts import CreateApiKey, CreateUser
from deployments.identity.deployment import Identity
from deployments.identity.errors import EmailTaken, RoleTooHigh
from deployments.identity.permissions import ROLES
from deployments.identity.terms import Role
from deployments.kit.errors import Forbidden, TenantRequired
from deployments.kit.principal import Principal
from tests.deployments.identity.conftest import ORIGIN, PASSWORD, Person, RecordedEvents, login_of


def newcomer(role: Role = "viewer", email: str = "new@example.com") -> CreateUser:
    return CreateUser(email=email, password=PASSWORD, name="New", role=role)


class TestCreate:
    async def test_adds_a_person_who_can_log_in(
        self, identity: Identity, owner: Principal, events: RecordedEvents
    ) -> None:
        user = await identity.create_user(owner, newcomer("editor", "New@Example.com"))
        assert (user.email, user.role, user.status) == ("new@example.com", "editor", "active")
        session = await identity.log_in(ORIGIN, login_of("acme", "new@example.com"))
        assert (await identity.authenticate(session.access_token)).role == "editor"
        registered = (await events("acme"))[-2]
        assert (registered.type, registered.entity_id) == ("user.registered", user.id)
        assert f'"actor":"{owner.subject}"' in registered.envelope

    async def test_an_email_is_taken_in_any_case_and_in_this_tenant_only(
        self, identity: Identity, owner: Principal, stranger: Principal
    ) -> None:
        """T4: unique per tenant."""
        await identity.create_user(owner, newcomer())
        with pytest.raises(EmailTaken) as caught:
            await identity.create_user(owner, newcomer(email="NEW@example.com"))
        assert (caught.value.status, caught.value.code) == (409, "user.email_taken")
        await identity.create_user(stranger, newcomer())

    async def test_of_two_at_the_same_moment_one_wins(self, identity: Identity, owner: Principal) -> None:
        outcomes = await asyncio.gather(
            *(identity.create_user(owner, newcomer()) for _ in range(4)), return_exceptions=True
        )
        assert [type(outcome) for outcome in outcomes].count(EmailTaken) == 3

    @pytest.mark.parametrize(
        ("creator", "role", "allowed"),
        [
            ("owner", "owner", True),
            ("owner", "admin", True),
            ("admin", "owner", False),
            ("admin", "admin", True),
            ("admin", "viewer", True),
            ("editor", "viewer", False),
            ("analyst", "viewer", False),
            ("viewer", "viewer", False),
        ],
    )
    async def test_nobody_gives_more_than_they_have(
        self, identity: Identity, person: Person, creator: Role, role: Role, allowed: bool
    ) -> None:
        """U5: an admin cannot make an owner, an editor nobody at all."""
        principal = await person(creator)
        if allowed:
            assert (await identity.create_user(principal, newcomer(role))).role == role
        else:
            with pytest.raises(Forbidden):
                await identity.create_user(principal, newcomer(role))
            with pytest.raises(Forbidden):
                await identity.create_user(principal, newcomer(role))

    async def test_a_key_gives_the_rights_it_has_and_never_ownership(
        self, identity: Identity, owner: Principal
    ) -> None:
        for scopes, role in ((["users:write"], "viewer"), (sorted(ROLES["admin"]), "owner")):
            created = await identity.create_api_key(owner, CreateApiKey(name="k", scopes=scopes))
            key = await identity.authenticate(created.key)
            with pytest.raises(RoleTooHigh):
                await identity.create_user(
                    key, CreateUser(email="x@example.com", password=PASSWORD, name="X", role=role)
                )
        assert (await identity.create_user(key, newcomer("admin"))).role == "admin"

    async def test_an_administrator_names_the_tenant(self, identity: Identity, administrator: Principal) -> None:
        with pytest.raises(TenantRequired) as caught:
            await identity.create_user(administrator, newcomer())
        assert caught.value.status == 400


class TestList:
    async def test_pages_through_the_people_of_the_own_tenant(
        self, identity: Identity, owner: Principal, stranger: Principal
    ) -> None:
        """T5: and of no other."""
        await identity.create_user(stranger, newcomer())
        for n in range(3):
            await identity.create_user(owner, newcomer(email=f"p{n}@example.com"))
        first = await identity.list_users(owner, None, 3)
        second = await identity.list_users(owner, first.meta.next_cursor, 3)
        emails = [user.email for user in (*first.data, *second.data)]
        assert emails == ["olga@example.com", "p0@example.com", "p1@example.com", "p2@example.com"]
        assert second.meta.next_cursor is None
        assert "argon2" not in first.model_dump_json()

    async def test_needs_the_scope(self, identity: Identity, person: Person) -> None:
        with pytest.raises(Forbidden):
            await identity.list_users(await person("editor"), None, 3)
