"""T4, T5: identity's queries see one tenant, and lose races quietly."""

from datetime import datetime, timedelta
from functools import partial

import pytest
from sqlalchemy import select

from db.models.forms import Form
from db.models.grants import FormGrant
from db.models.identity import ApiKey, RefreshToken, Tenant, User
from db.repositories.credentials import ApiKeyRepository, CredentialDirectory, RefreshTokenRepository
from db.repositories.holders import SessionHolder, key_holder_in_any_tenant, session_holder
from db.repositories.tenants import TenantDirectory, TenantRepository
from db.repositories.users import UserRepository
from db.session import Database
from db.types import utc_now

NOW = utc_now()


def make_tenant(tenant_id: str) -> Tenant:
    return Tenant(id=tenant_id, name=tenant_id, settings={}, created_at=NOW, updated_at=NOW)


def make_user(tenant_id: str, user_id: str, email: str = "a@example.com") -> User:
    return User(tenant_id=tenant_id, id=user_id, email=email, name="A", role="owner", password_hash="x", created_at=NOW)


def make_link(tenant_id: str, token_id: str, family_id: str = "fam_1") -> RefreshToken:
    return RefreshToken(
        tenant_id=tenant_id,
        id=token_id,
        user_id="usr_1",
        family_id=family_id,
        token_hash=f"hash of {tenant_id} {token_id}",
        created_at=NOW,
        expires_at=NOW + timedelta(days=1),
    )


def make_key(tenant_id: str, key_id: str, created_by: str = "usr_1") -> ApiKey:
    return ApiKey(
        tenant_id=tenant_id,
        id=key_id,
        name="k",
        scopes=["forms:read"],
        key_hash=f"hash of {tenant_id} {key_id}",
        prefix="fsk_12345678",
        created_by=created_by,
        created_at=NOW,
    )


def make_form(tenant_id: str, form_id: str, deleted_at: datetime | None) -> Form:
    return Form(
        tenant_id=tenant_id,
        id=form_id,
        slug=form_id,
        title="F",
        definition={},
        settings={},
        created_by="usr_1",
        created_at=NOW,
        updated_at=NOW,
        deleted_at=deleted_at,
    )


def make_grant(tenant_id: str, form_id: str, user_id: str) -> FormGrant:
    return FormGrant(
        tenant_id=tenant_id, form_id=form_id, user_id=user_id, role="editor", granted_by="usr_1", created_at=NOW
    )


@pytest.fixture
async def two_tenants(database: Database) -> Database:
    """`acme` and `other` with the same person, link and key ids in both."""
    for tenant_id in ("acme", "other"):
        async with database.write(tenant_id) as unit:
            assert await TenantRepository(unit.session, tenant_id).add(make_tenant(tenant_id))
            assert await UserRepository(unit.session, tenant_id).add(make_user(tenant_id, "usr_1"))
            RefreshTokenRepository(unit.session, tenant_id).add(make_link(tenant_id, "rft_1"))
            ApiKeyRepository(unit.session, tenant_id).add(make_key(tenant_id, "key_1"))
    return database


async def test_adding_what_exists_changes_nothing_and_the_transaction_goes_on(two_tenants: Database) -> None:
    """T4: the unique key decides, not an earlier look."""
    async with two_tenants.write("acme") as unit:
        again = make_tenant("acme").model_copy(update={"name": "stolen"})
        assert not await TenantRepository(unit.session, "acme").add(again)
        users = UserRepository(unit.session, "acme")
        assert not await users.add(make_user("acme", "usr_2"))
        assert await users.add(make_user("acme", "usr_3", "b@example.com"))
    async with two_tenants.read("acme") as unit:
        tenant = await TenantRepository(unit.session, "acme").get()
        assert tenant is not None
        assert tenant.name == "acme"
        assert [user.id for user in await UserRepository(unit.session, "acme").page(None, 10)] == ["usr_1", "usr_3"]


async def test_a_repository_adds_to_its_own_tenant_only(two_tenants: Database) -> None:
    """T5: a row of another tenant is a bug and not a query."""
    async with two_tenants.write("acme") as unit:
        with pytest.raises(ValueError):
            await TenantRepository(unit.session, "acme").add(make_tenant("other"))
        with pytest.raises(ValueError):
            await UserRepository(unit.session, "acme").add(make_user("other", "usr_9"))


async def test_every_query_stays_in_its_tenant(two_tenants: Database) -> None:
    """T5: even in an unscoped unit, where row-level security does not help."""
    async with two_tenants.unscoped_write() as unit:
        users = UserRepository(unit.session, "acme")
        assert [user.tenant_id for user in await users.page(None, 10)] == ["acme"]
        found = await users.find_by_email("a@example.com")
        assert found is not None
        assert found.tenant_id == "acme"
        assert not await UserRepository(unit.session, "nowhere").any_with_role("owner")
        assert [key.tenant_id for key in await ApiKeyRepository(unit.session, "acme").page(None, 10)] == ["acme"]
        links = RefreshTokenRepository(unit.session, "acme")
        assert await links.find_by_hash("hash of other rft_1") is None
        await links.revoke_family("fam_1", NOW)
    async with two_tenants.unscoped_read() as unit:
        revoked = (await unit.session.execute(select(RefreshToken.tenant_id, RefreshToken.revoked_at))).all()
        assert sorted(revoked, key=str) == [("acme", NOW), ("other", None)]


async def test_the_holder_of_a_session_is_found_with_the_forms_that_were_granted(two_tenants: Database) -> None:
    async with two_tenants.write("acme") as unit:
        for form_id, deleted_at in (("frm_1", None), ("frm_2", NOW)):
            unit.session.add(make_form("acme", form_id, deleted_at=deleted_at))
            await unit.session.flush()
            unit.session.add(make_grant("acme", form_id, "usr_1"))
    # Somebody of the same id in another tenant.
    async with two_tenants.write("other") as unit:
        unit.session.add(make_form("other", "frm_3", deleted_at=None))
        await unit.session.flush()
        unit.session.add(make_grant("other", "frm_3", "usr_1"))

    async def holder(user_id: str, family_id: str) -> SessionHolder | None:
        ask = partial(session_holder, tenant_id="acme", user_id=user_id, family_id=family_id)
        return await two_tenants.view(ask, "acme")

    grants = {"frm_1": "editor"}
    assert await holder("usr_1", "fam_1") == SessionHolder("active", "active", "owner", True, grants)
    assert await holder("usr_1", "fam_2") == SessionHolder("active", "active", "owner", False, grants)
    assert await holder("usr_2", "fam_1") is None


async def test_a_revoked_family_is_not_alive(two_tenants: Database) -> None:
    async with two_tenants.write("acme") as unit:
        links = RefreshTokenRepository(unit.session, "acme")
        links.add(make_link("acme", "rft_2"))
        await links.revoke_family("fam_1", NOW)
    ask = partial(session_holder, tenant_id="acme", user_id="usr_1", family_id="fam_1")
    assert await two_tenants.view(ask, "acme") == SessionHolder("active", "active", "owner", False, {})


async def test_a_view_of_a_tenant_shows_nothing_of_another(two_tenants: Database) -> None:
    """T5: where the database enforces it, the question may be as wrong as it likes."""
    ask = partial(session_holder, tenant_id="other", user_id="usr_1", family_id="fam_1")
    found = await two_tenants.view(ask, "acme")
    assert (found is None) is not two_tenants.is_sqlite


async def test_a_person_is_known_in_their_own_tenant_only(two_tenants: Database) -> None:
    """T5: the question itself says so, whatever the database enforces."""
    async with two_tenants.write("acme") as unit:
        await UserRepository(unit.session, "acme").add(make_user("acme", "usr_2", "b@example.com"))
    own, foreign = [
        await two_tenants.view(partial(session_holder, tenant_id=tenant, user_id="usr_2", family_id="fam_1"), tenant)
        for tenant in ("acme", "other")
    ]
    assert own is not None
    assert foreign is None


async def test_a_key_is_found_with_its_creator_of_the_same_tenant(two_tenants: Database) -> None:
    async with two_tenants.write("acme") as unit:
        await UserRepository(unit.session, "acme").add(make_user("acme", "usr_2", "b@example.com"))
    async with two_tenants.write("other") as unit:
        ApiKeyRepository(unit.session, "other").add(make_key("other", "key_2", created_by="usr_2"))
    own, foreign, nothing = [
        await two_tenants.view(partial(key_holder_in_any_tenant, key_hash=key_hash))
        for key_hash in ("hash of acme key_1", "hash of other key_2", "hash of nothing")
    ]
    assert own is not None
    assert foreign is not None
    assert (own.tenant_id, own.creator_role, own.creator_status) == ("acme", "owner", "active")
    assert (foreign.tenant_id, foreign.creator_role, foreign.creator_status) == ("other", None, None)
    assert nothing is None
    async with two_tenants.unscoped_read() as unit:
        link = await CredentialDirectory(unit.session).find_refresh_token_in_any_tenant("hash of other rft_1")
        assert link is not None
        assert link.tenant_id == "other"


async def test_a_use_is_noted_at_most_so_often(two_tenants: Database) -> None:
    minute = timedelta(minutes=1)
    noted = []
    for moment in (NOW, NOW + timedelta(seconds=59), NOW + minute):
        async with two_tenants.unscoped_write() as unit:
            await CredentialDirectory(unit.session).touch_api_keys_in_any_tenant({("acme", "key_1"): moment}, minute)
        async with two_tenants.unscoped_read() as unit:
            uses = (await unit.session.execute(select(ApiKey.tenant_id, ApiKey.last_used_at))).all()
            noted.append(dict(uses))  # type: ignore[arg-type]
    assert noted == [
        {"acme": NOW, "other": None},
        {"acme": NOW, "other": None},
        {"acme": NOW + minute, "other": None},
    ]


async def test_the_directory_of_customers_leaves_the_platform_out(two_tenants: Database) -> None:
    async with two_tenants.write("_platform") as unit:
        assert await TenantRepository(unit.session, "_platform").add(make_tenant("_platform"))
    async with two_tenants.unscoped_read() as unit:
        directory = TenantDirectory(unit.session)
        assert [tenant.id for tenant in await directory.page_over_all_tenants(None, 10)] == ["acme", "other"]
        assert [tenant.id for tenant in await directory.page_over_all_tenants("acme", 10)] == ["other"]
        assert [tenant.id for tenant in await directory.page_over_all_tenants(None, 1)] == ["acme"]
