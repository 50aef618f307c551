"""U4: API keys."""

from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError
from sqlalchemy import select, update

from db.models.identity import ApiKey, Tenant, User
from db.session import Database
from db.settings import DatabaseSettings
from db.types import utc_now
from deployments.identity.contracts import CreateApiKey, CreatedApiKey, CreateUser, UpdateUser
from deployments.identity.deployment import Identity
from deployments.identity.errors import ApiKeyNeedsPerson, ApiKeyNotFound, RoleTooHigh, ScopeNotHeld
from deployments.identity.keys import KeyUsage
from deployments.identity.permissions import ROLES
from deployments.kit.errors import Forbidden, Invalid, TenantSuspended, Unauthenticated
from deployments.kit.principal import Principal
from tests.deployments.identity.conftest import PASSWORD, Person, RecordedEvents

SCOPES = ["forms:read", "responses:write"]


async def make_key(identity: Identity, principal: Principal, *scopes: str) -> CreatedApiKey:
    return await identity.create_api_key(principal, CreateApiKey(name="ci", scopes=list(scopes or SCOPES)))


async def row(database: Database) -> ApiKey:
    async with database.unscoped_read() as unit:
        return (await unit.session.execute(select(ApiKey))).scalar_one()


async def change(database: Database, model: type[ApiKey | User | Tenant], **values: object) -> None:
    async with database.unscoped_write() as unit:
        await unit.session.execute(update(model).values(**values))


async def refuse(identity: Identity, key: str) -> None:
    with pytest.raises(Unauthenticated) as caught:
        await identity.authenticate(key)
    assert caught.value.detail == Unauthenticated.title


class TestCreate:
    async def test_shows_the_key_once_and_keeps_its_hash(
        self, identity: Identity, owner: Principal, database: Database, events: RecordedEvents
    ) -> None:
        created = await make_key(identity, owner)
        assert created.key.startswith("fsk_")
        assert created.key.startswith(created.prefix)
        assert len(created.prefix) == 12
        stored = await row(database)
        assert created.key[12:] not in repr(stored)
        assert stored.created_by == owner.subject
        listed = await identity.list_api_keys(owner, None, 10)
        assert [key.id for key in listed.data] == [created.id]
        assert created.key not in listed.model_dump_json()
        last = (await events("acme"))[-1]
        assert (last.type, last.entity_id) == ("api_key.created", created.id)
        assert created.key not in last.envelope

    async def test_reports_every_fault(self, identity: Identity, owner: Principal) -> None:
        command = CreateApiKey(
            name="ci", scopes=["forms:read", "forms:eat", "x\0"], expires_at=utc_now() - timedelta(seconds=1)
        )
        with pytest.raises(Invalid) as caught:
            await identity.create_api_key(owner, command)
        assert [(fault.pointer, fault.code) for fault in caught.value.faults] == [
            ("/scopes/1", "scope.unknown"),
            ("/scopes/2", "scope.unknown"),
            ("/expires_at", "datetime.range"),
        ]

    @pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
    async def test_survives_the_ends_of_time(self, identity: Identity, owner: Principal, moment: str) -> None:
        expires_at = datetime.fromisoformat(moment)
        with pytest.raises(Invalid):
            await identity.create_api_key(owner, CreateApiKey(name="ci", scopes=SCOPES, expires_at=expires_at))

    def test_wants_an_end_with_a_time_zone(self) -> None:
        with pytest.raises(ValidationError):
            CreateApiKey(name="ci", scopes=SCOPES, expires_at=datetime(2099, 1, 1))  # noqa: DTZ001 - what is refused

    @pytest.mark.parametrize("scope", ["platform:admin", "*"])
    async def test_never_gives_what_the_creator_has_not(self, identity: Identity, owner: Principal, scope: str) -> None:
        with pytest.raises((ScopeNotHeld, Invalid)):
            await make_key(identity, owner, "forms:read", scope)

    async def test_names_the_scopes_that_the_creator_has_not(self, identity: Identity, owner: Principal) -> None:
        """U5: a key cannot do what its creator may not do."""
        creator = Principal("acme", owner.subject, "user", "admin", frozenset({"api_keys:write", "forms:read"}))
        with pytest.raises(ScopeNotHeld) as caught:
            await make_key(identity, creator, "forms:read", "users:write")
        assert caught.value.status == 403
        assert [fault.pointer for fault in caught.value.faults] == ["/scopes/1"]

    async def test_the_right_over_all_tenants_stays_out_of_tenants(
        self, identity: Identity, administrator: Principal, owner: Principal
    ) -> None:
        selected = Principal("acme", administrator.subject, "user", administrator.role, administrator.scopes)
        with pytest.raises(ScopeNotHeld):
            await make_key(identity, selected, "platform:admin")
        key = await make_key(identity, administrator, "platform:admin")
        principal = await identity.authenticate(key.key)
        assert [tenant.id for tenant in (await identity.list_tenants(principal, None, 10)).data] == ["acme"]
        assert (await identity.me(principal)).tenant_id is None

    @pytest.mark.parametrize("role", ["editor", "analyst", "viewer"])
    async def test_needs_the_scope(self, identity: Identity, person: Person, role: str) -> None:
        principal = await person(role)  # type: ignore[arg-type]
        with pytest.raises(Forbidden):
            await make_key(identity, principal)
        with pytest.raises(Forbidden):
            await identity.list_api_keys(principal, None, 10)

    async def test_keys_do_not_breed(self, identity: Identity, owner: Principal) -> None:
        """A leaked key must not survive its revocation."""
        key = await identity.authenticate((await make_key(identity, owner, "api_keys:write", "forms:read")).key)
        with pytest.raises(ApiKeyNeedsPerson):
            await make_key(identity, key, "forms:read")

    async def test_a_key_makes_no_owners(self, identity: Identity, owner: Principal) -> None:
        """Not even with everything that an owner may do: an owner outlives the revocation of the key."""
        key = await identity.authenticate((await make_key(identity, owner, *sorted(owner.scopes))).key)
        new = CreateUser(email="otto@example.com", password=PASSWORD, name="Otto", role="owner")
        with pytest.raises(RoleTooHigh):
            await identity.create_user(key, new)
        otto = await identity.create_user(key, new.model_copy(update={"role": "admin"}))
        with pytest.raises(RoleTooHigh):
            await identity.update_user(key, otto.id, UpdateUser(role="owner"))


class TestAuthenticate:
    async def test_is_the_tenant_with_the_scopes_of_the_key(self, identity: Identity, owner: Principal) -> None:
        created = await make_key(identity, owner)
        principal = await identity.authenticate(created.key)
        assert (principal.tenant_id, principal.subject, principal.kind) == ("acme", created.id, "api_key")
        assert (principal.role, principal.scopes) == ("", frozenset(SCOPES))
        me = await identity.me(principal)
        assert (me.tenant_id, me.kind, me.user, me.scopes) == ("acme", "api_key", None, sorted(SCOPES))

    async def test_ends_with_its_time(self, identity: Identity, owner: Principal, database: Database) -> None:
        command = CreateApiKey(name="ci", scopes=SCOPES, expires_at=utc_now() + timedelta(hours=1))
        created = await identity.create_api_key(owner, command)
        assert await identity.authenticate(created.key)
        await change(database, ApiKey, expires_at=utc_now() - timedelta(seconds=1))
        await refuse(identity, created.key)

    async def test_tells_of_a_suspension(self, identity: Identity, owner: Principal, database: Database) -> None:
        created = await make_key(identity, owner)
        await change(database, Tenant, status="suspended")
        with pytest.raises(TenantSuspended):
            await identity.authenticate(created.key)

    async def test_a_key_does_no_more_than_its_creator_may_do_now(
        self, identity: Identity, owner: Principal, database: Database
    ) -> None:
        """ASVS 8.3.2: changed rights take effect at once."""
        created = await make_key(identity, owner, *sorted(ROLES["admin"]))
        await change(database, User, role="viewer")
        assert (await identity.authenticate(created.key)).scopes == ROLES["viewer"]
        await change(database, User, status="deactivated")
        await refuse(identity, created.key)

    async def test_notes_the_use_once_a_minute(self, identity: Identity, owner: Principal, database: Database) -> None:
        """U4: last used."""
        created = await make_key(identity, owner)
        for _ in range(3):
            await identity.authenticate(created.key)
        await identity.key_usage.drain()
        first = (await row(database)).last_used_at
        assert first is not None
        await identity.authenticate(created.key)
        await identity.key_usage.drain()
        assert (await row(database)).last_used_at == first
        await change(database, ApiKey, last_used_at=first - timedelta(seconds=61))
        await identity.authenticate(created.key)
        await identity.key_usage.drain()
        last = (await row(database)).last_used_at
        assert last is not None
        assert last > first
        assert last.tzinfo is UTC

    async def test_a_note_that_cannot_be_written_costs_nobody_the_call(
        self, identity: Identity, owner: Principal, database: Database, caplog: pytest.LogCaptureFixture
    ) -> None:
        created = await make_key(identity, owner)

        nowhere = Database(DatabaseSettings(url="postgresql+asyncpg://nobody@127.0.0.1:1/nothing"))
        identity.key_usage = KeyUsage(nowhere)
        for _ in range(2):
            assert await identity.authenticate(created.key)
            await identity.key_usage.drain()
        await nowhere.close()
        assert caplog.text.count("the use of 1 API keys could not be noted") == 2
        assert (await row(database)).last_used_at is None


class TestRevoke:
    async def test_ends_the_key_at_once(self, identity: Identity, owner: Principal, events: RecordedEvents) -> None:
        created = await make_key(identity, owner)
        other = await make_key(identity, owner)
        for _ in range(2):
            await identity.revoke_api_key(owner, created.id)
        await refuse(identity, created.key)
        assert await identity.authenticate(other.key)
        assert [event.type for event in await events("acme")].count("api_key.revoked") == 1
        listed = (await identity.list_api_keys(owner, None, 10)).data
        assert [key.revoked_at is None for key in listed] == [False, True]

    @pytest.mark.parametrize("key_id", ["", "key_1", "key_\0", "key_" + "0" * 32])
    async def test_an_unknown_key_is_not_found(self, identity: Identity, owner: Principal, key_id: str) -> None:
        with pytest.raises(ApiKeyNotFound):
            await identity.revoke_api_key(owner, key_id)

    async def test_another_tenants_key_does_not_exist(
        self, identity: Identity, owner: Principal, stranger: Principal
    ) -> None:
        """T5."""
        created = await make_key(identity, owner)
        with pytest.raises(ApiKeyNotFound) as caught:
            await identity.revoke_api_key(stranger, created.id)
        assert (caught.value.status, caught.value.detail) == (404, ApiKeyNotFound.title)
        assert (await identity.list_api_keys(stranger, None, 10)).data == []
        assert await identity.authenticate(created.key)

    async def test_needs_the_scope(self, identity: Identity, owner: Principal, person: Person) -> None:
        created = await make_key(identity, owner)
        with pytest.raises(Forbidden):
            await identity.revoke_api_key(await person("editor"), created.id)


async def test_lists_page_by_page(identity: Identity, owner: Principal) -> None:
    made = [(await make_key(identity, owner)).id for _ in range(3)]
    first = await identity.list_api_keys(owner, None, 2)
    second = await identity.list_api_keys(owner, first.meta.next_cursor, 2)
    assert [key.id for key in (*first.data, *second.data)] == made
    assert second.meta.next_cursor is None
