"""T1, T5: who may see, make and change tenants."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from pydantic import ValidationError

from db.session import Database
from deployments.identity.contracts import (
    CreateTenant,
    NewUser,
    RateLimit,
    SignedUp,
    TenantSettings,
    UpdateTenant,
)
from deployments.identity.deployment import Identity
from deployments.identity.errors import HostTaken, SettingProtected, TenantNotFound, TenantTaken
from deployments.identity.settings import IdentitySettings
from deployments.kit.errors import Forbidden, Invalid, TenantSuspended, Unauthenticated
from deployments.kit.features import FEATURES
from deployments.kit.principal import Principal
from tests.deployments.identity.conftest import ORIGIN, PASSWORD, VAULT, Person, RecordedEvents, login_of

Operation = Callable[[Identity, Principal, str], Awaitable[object]]

OPERATIONS: dict[str, Operation] = {
    "get": lambda identity, principal, tenant_id: identity.get_tenant(principal, tenant_id),
    "update": lambda identity, principal, tenant_id: identity.update_tenant(
        principal, tenant_id, UpdateTenant(name="Mine")
    ),
    "suspend": lambda identity, principal, tenant_id: identity.suspend_tenant(principal, tenant_id),
    "resume": lambda identity, principal, tenant_id: identity.resume_tenant(principal, tenant_id),
    "delete": lambda identity, principal, tenant_id: identity.delete_tenant(principal, tenant_id),
}


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
async def test_another_tenant_does_not_exist(
    identity: Identity, owner: Principal, stranger: Principal, operation: Operation
) -> None:
    """T5: the answer is the same whether there is such a tenant or not."""
    for tenant_id in ("other", "nowhere", "_platform", "a\0b", "other\n", "", "*"):
        with pytest.raises(TenantNotFound) as caught:
            await operation(identity, owner, tenant_id)
        assert (caught.value.status, caught.value.detail) == (404, TenantNotFound.title)
    assert (await identity.get_tenant(stranger, "other")).name == "Other"


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
async def test_an_administrator_finds_customers_only(
    identity: Identity, administrator: Principal, operation: Operation
) -> None:
    for tenant_id in ("nowhere", "_platform", "a\0b"):
        with pytest.raises(TenantNotFound):
            await operation(identity, administrator, tenant_id)


class TestCreate:
    async def test_an_administrator_makes_a_tenant_with_an_owner(
        self, identity: Identity, administrator: Principal, events: RecordedEvents
    ) -> None:
        tenant = await identity.create_tenant(
            administrator,
            CreateTenant(
                id="beta",
                name="Beta",
                settings=TenantSettings(max_forms=None, rate_limits={"submit": RateLimit(per_minute=600)}),
                owner=NewUser(email="bea@example.com", password=PASSWORD, name="Bea"),
            ),
        )
        assert (tenant.settings.max_forms, tenant.settings.max_responses_per_form) == (None, 10_000)
        assert await identity.get_tenant(administrator, "beta") == tenant
        session = await identity.log_in(ORIGIN, login_of("beta", "bea@example.com"))
        assert (await identity.authenticate(session.access_token)).role == "owner"
        recorded = await events("beta")
        assert [event.type for event in recorded] == ["tenant.created", "user.registered", "user.logged_in"]
        assert f'"actor":"{administrator.subject}"' in recorded[0].envelope

    async def test_a_reserved_id_is_an_administrators_to_give(
        self, identity: Identity, administrator: Principal
    ) -> None:
        assert (await identity.create_tenant(administrator, CreateTenant(id="default", name="All"))).id == "default"

    async def test_a_taken_id_is_a_conflict(self, identity: Identity, administrator: Principal, acme: SignedUp) -> None:
        with pytest.raises(TenantTaken):
            await identity.create_tenant(administrator, CreateTenant(id="acme", name="Again"))
        assert (await identity.get_tenant(administrator, "acme")).name == "Acme"

    async def test_an_owner_may_not(self, identity: Identity, owner: Principal) -> None:
        with pytest.raises(Forbidden):
            await identity.create_tenant(owner, CreateTenant(id="beta", name="Beta"))


class TestList:
    async def test_pages_through_all_customers(
        self, identity: Identity, administrator: Principal, acme: SignedUp, stranger: Principal
    ) -> None:
        await identity.create_tenant(administrator, CreateTenant(id="beta", name="Beta"))
        first = await identity.list_tenants(administrator, None, 2)
        assert [tenant.id for tenant in first.data] == ["acme", "beta"]
        second = await identity.list_tenants(administrator, first.meta.next_cursor, 2)
        assert [tenant.id for tenant in second.data] == ["other"]
        assert second.meta.next_cursor is None

    async def test_an_owner_may_not(self, identity: Identity, owner: Principal) -> None:
        with pytest.raises(Forbidden):
            await identity.list_tenants(owner, None, 2)

    async def test_a_forged_cursor_is_invalid(self, identity: Identity, administrator: Principal) -> None:
        with pytest.raises(Invalid):
            await identity.list_tenants(administrator, "forged", 2)


class TestUpdate:
    async def test_an_owner_changes_name_locale_and_origins(
        self, identity: Identity, owner: Principal, events: RecordedEvents
    ) -> None:
        settings = TenantSettings(locale="de-AT", allowed_origins=["https://acme.example"])
        tenant = await identity.update_tenant(owner, "acme", UpdateTenant(name="ACME", settings=settings))
        assert (tenant.name, tenant.settings) == ("ACME", settings)
        assert tenant.updated_at > tenant.created_at
        assert await identity.get_tenant(owner, "acme") == tenant
        last = (await events("acme"))[-1]
        assert last.type == "tenant.updated"
        assert '"changed":["name","settings.allowed_origins","settings.locale"]' in last.envelope

    async def test_nobody_raises_the_own_quotas_or_features(self, identity: Identity, owner: Principal) -> None:
        """API3, ASVS 15.3.3: no mass assignment."""
        settings = TenantSettings(max_forms=None, features={"webhooks": True}, locale="fr")
        with pytest.raises(SettingProtected) as caught:
            await identity.update_tenant(owner, "acme", UpdateTenant(name="ACME", settings=settings))
        assert [fault.pointer for fault in caught.value.faults] == [
            "/settings/max_forms",
            "/settings/features/webhooks",
        ]
        assert (await identity.get_tenant(owner, "acme")).settings == TenantSettings()

    async def test_settings_that_are_not_given_stay(
        self, identity: Identity, administrator: Principal, owner: Principal
    ) -> None:
        first = TenantSettings(features={"imports": True, "exports": True}, max_forms=5)
        await identity.update_tenant(administrator, "acme", UpdateTenant(settings=first))
        await identity.update_tenant(owner, "acme", UpdateTenant(settings=TenantSettings(locale="fr")))
        second = TenantSettings(features={"exports": False}, rate_limits={"submit": None})
        tenant = await identity.update_tenant(administrator, "acme", UpdateTenant(settings=second))
        assert tenant.settings == TenantSettings(
            features={"imports": True, "exports": False}, max_forms=5, locale="fr", rate_limits={"submit": None}
        )

    def test_a_class_of_routes_has_a_known_name(self) -> None:
        """A typing error would limit nothing."""
        with pytest.raises(ValidationError):
            TenantSettings.model_validate({"rate_limits": {"unknown": None}})

    async def test_no_change_is_no_event(self, identity: Identity, owner: Principal, events: RecordedEvents) -> None:
        before = await identity.get_tenant(owner, "acme")
        update = UpdateTenant(name="Acme", settings=TenantSettings(locale="en"))
        assert await identity.update_tenant(owner, "acme", update) == before
        assert [event.type for event in await events("acme")] == ["tenant.created", "user.registered"]

    async def test_changes_at_the_same_moment_both_stay(
        self, identity: Identity, administrator: Principal, acme: SignedUp
    ) -> None:
        await asyncio.gather(
            *(
                identity.update_tenant(
                    administrator, "acme", UpdateTenant(settings=TenantSettings(features={name: False}))
                )
                for name in FEATURES
            )
        )
        tenant = await identity.get_tenant(administrator, "acme")
        assert tenant.settings.features == dict.fromkeys(FEATURES, False)

    async def test_an_editor_may_look_only(self, identity: Identity, person: Person) -> None:
        editor = await person("editor")
        assert (await identity.get_tenant(editor, "acme")).id == "acme"
        with pytest.raises(Forbidden):
            await identity.update_tenant(editor, "acme", UpdateTenant(name="Mine"))

    @pytest.mark.parametrize(
        "settings",
        [
            {"max_formz": 1},
            {"max_forms": -1},
            {"max_forms": 10**30},
            {"features": {"nul\0": True}},
            {"rate_limits": {"submit": {"per_minute": 0}}},
            {"allowed_origins": ["javascript:alert(1)"]},
            {"allowed_origins": ["https://a.example/path"]},
            {"locale": "e\0"},
        ],
    )
    def test_settings_are_known_and_sensible(self, settings: dict[str, object]) -> None:
        with pytest.raises(ValidationError):
            UpdateTenant.model_validate({"settings": settings})


class TestSuspend:
    async def test_stops_everybody_of_the_tenant_until_it_is_resumed(
        self, identity: Identity, administrator: Principal, acme: SignedUp, stranger: Principal, events: RecordedEvents
    ) -> None:
        """T1: suspended."""
        for _ in range(2):
            assert (await identity.suspend_tenant(administrator, "acme")).status == "suspended"
        with pytest.raises(TenantSuspended):
            await identity.authenticate(acme.access_token)
        assert (await identity.get_tenant(stranger, "other")).status == "active"
        for _ in range(2):
            assert (await identity.resume_tenant(administrator, "acme")).status == "active"
        assert await identity.authenticate(acme.access_token)
        assert [event.type for event in await events("acme")][2:] == [
            "tenant.suspended",
            "tenant.updated",
            "tenant.resumed",
            "tenant.updated",
        ]

    async def test_an_owner_may_not(self, identity: Identity, owner: Principal) -> None:
        with pytest.raises(Forbidden):
            await identity.suspend_tenant(owner, "acme")
        with pytest.raises(Forbidden):
            await identity.resume_tenant(owner, "acme")


class TestDelete:
    async def test_closes_the_tenant_until_it_is_resumed(
        self, identity: Identity, administrator: Principal, acme: SignedUp, owner: Principal, events: RecordedEvents
    ) -> None:
        """T1: deleted, with a grace period in which an administrator takes it back."""
        deleted = await identity.delete_tenant(owner, "acme")
        assert deleted.status == "deleted"
        assert deleted.deleted_at is not None
        assert deleted.erase_after == deleted.deleted_at + timedelta(days=30)
        with pytest.raises(Unauthenticated):
            await identity.authenticate(acme.access_token)
        with pytest.raises(Unauthenticated):
            await identity.log_in(ORIGIN, login_of("acme"))
        for refused in (identity.get_tenant, identity.suspend_tenant, identity.delete_tenant):
            with pytest.raises(TenantNotFound):
                await refused(administrator, "acme")
        resumed = await identity.resume_tenant(administrator, "acme")
        assert (resumed.status, resumed.deleted_at, resumed.erase_after) == ("active", None, None)
        assert await identity.authenticate(acme.access_token)
        assert [event.type for event in await events("acme")][2:] == [
            "tenant.deleted",
            "tenant.updated",
            "tenant.resumed",
            "tenant.updated",
        ]

    async def test_the_id_stays_taken(self, identity: Identity, administrator: Principal, owner: Principal) -> None:
        await identity.delete_tenant(owner, "acme")
        with pytest.raises(TenantTaken):
            await identity.create_tenant(administrator, CreateTenant(id="acme", name="Again"))

    async def test_nobody_resumes_after_the_grace_period(
        self, database: Database, settings: IdentitySettings, administrator: Principal, acme: SignedUp
    ) -> None:
        identity = Identity(database, settings.model_copy(update={"tenant_grace_days": 0}), VAULT)
        await identity.delete_tenant(administrator, "acme")
        with pytest.raises(TenantNotFound):
            await identity.resume_tenant(administrator, "acme")

    async def test_is_the_owners_right(self, identity: Identity, person: Person) -> None:
        for role in ("admin", "editor"):
            with pytest.raises(Forbidden):
                await identity.delete_tenant(await person(role), "acme")


async def test_a_host_name_leads_to_one_tenant(
    identity: Identity, acme: SignedUp, stranger: Principal, administrator: Principal
) -> None:
    """T2: two tenants cannot have the same, and a tenant does not give itself any."""
    hosts = UpdateTenant(settings=TenantSettings(hosts=["b.example", "a.example"]))
    await identity.update_tenant(administrator, "acme", hosts)
    found = await identity.find_tenant_by_host("a.example")
    assert found is not None
    assert (found.id, found.hosts) == ("acme", ["b.example", "a.example"])
    with pytest.raises(HostTaken) as caught:
        await identity.update_tenant(
            administrator, "other", UpdateTenant(settings=TenantSettings(hosts=["c.example", "a.example"]))
        )
    assert [fault.pointer for fault in caught.value.faults] == ["/settings/hosts/1"]
    assert await identity.find_tenant_by_host("c.example") is None
    with pytest.raises(SettingProtected):
        await identity.update_tenant(stranger, "other", UpdateTenant(settings=TenantSettings(hosts=["d.example"])))
    await identity.update_tenant(administrator, "acme", UpdateTenant(settings=TenantSettings(hosts=["b.example"])))
    taken = UpdateTenant(settings=TenantSettings(hosts=["a.example"]))
    assert (await identity.update_tenant(administrator, "other", taken)).settings.hosts == ["a.example"]


async def test_a_profile_is_what_the_edge_needs(identity: Identity, acme: SignedUp, administrator: Principal) -> None:
    settings = TenantSettings(allowed_origins=["https://acme.example"], rate_limits={"submit": RateLimit(per_minute=5)})
    await identity.update_tenant(administrator, "acme", UpdateTenant(settings=settings))
    await identity.suspend_tenant(administrator, "acme")
    profile = await identity.find_tenant("acme")
    assert profile is not None
    assert (profile.status, profile.allowed_origins) == ("suspended", ["https://acme.example"])
    assert profile.rate_limits == {"submit": RateLimit(per_minute=5)}
    assert await identity.find_tenant("nobody") is None


@pytest.mark.parametrize("host", ["A.example", "localhost", "a_b.example", "a..example", "-a.example", "a.example:80"])
def test_a_host_name_has_a_form(host: str) -> None:
    with pytest.raises(ValueError, match="hosts"):
        TenantSettings(hosts=[host])


async def test_a_tenant_switches_what_is_its_own(identity: Identity, owner: Principal) -> None:
    """T6, U3: how its people log in is for the tenant to say; what it may use is for the platform."""
    own = UpdateTenant(settings=TenantSettings(features={"require_second_factor": True, "login_codes": True}))
    assert (await identity.update_tenant(owner, "acme", own)).settings.features["require_second_factor"]
    both = UpdateTenant(settings=TenantSettings(features={"login_codes": False, "exports": True}))
    with pytest.raises(SettingProtected) as caught:
        await identity.update_tenant(owner, "acme", both)
    assert [fault.pointer for fault in caught.value.faults] == ["/settings/features/exports"]
