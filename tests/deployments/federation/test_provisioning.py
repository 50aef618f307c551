"""U8: which accounts a provider opens, and what they may do."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from pydantic import ValidationError
from sqlalchemy import select

from db.models.events import Event
from db.models.federation import UserIdentity
from db.models.identity import Tenant
from db.models.identity import User as UserRow
from db.session import Database
from deployments.federation.contracts import Provisioning, UpdateConnection
from deployments.federation.deployment import Federation
from deployments.identity.contracts import CreateUser, FederatedLogin, LogIn, UpdateUser, User
from deployments.identity.deployment import Identity
from deployments.identity.errors import AccountRefused, LoginFailed
from deployments.identity.terms import Role
from deployments.kit.errors import TenantSuspended
from deployments.kit.principal import Principal
from tests.architecture.rooms import sources
from tests.deployments.federation.conftest import ORIGIN, PASSWORD, Browser, Connect
from tests.deployments.federation.provider import Provider

Events = Callable[[], Awaitable[list[Event]]]
Rules = Callable[..., Awaitable[Browser]]


@pytest.fixture
def rules(federation: Federation, provider: Provider, connect: Connect) -> Rules:
    """A browser before a connection with these rules."""

    async def make(**provisioning: Any) -> Browser:
        return Browser(federation, provider, await connect(**provisioning))

    return make


async def add(identity: Identity, owner: Principal, email: str = "ada@acme.example.com", role: Role = "viewer") -> User:
    return await identity.create_user(owner, CreateUser(email=email, password=PASSWORD, name="Ada", role=role))


async def signed_in(browser: Browser, identity: Identity) -> Principal:
    return await identity.authenticate((await browser.session()).access_token)


async def linked(database: Database) -> list[str]:
    async with database.read("acme") as unit:
        return [row.user_id for row in (await unit.session.scalars(select(UserIdentity))).all()]


class TestEmail:
    @pytest.mark.parametrize(
        "claims",
        [
            {"email_verified": False},
            {"email_verified": None},
            {"email_verified": "true"},
            {"email_verified": 1},
            {"email_verified": False, "xms_edov": True},
            {"email_verified": None, "xms_edov": False},
            {"email": None},
            {"email": ""},
            {"email": 7},
            {"email": ["ada@acme.example.com"]},
            {"email": "ada"},
            {"email": "ada@acme.example.com, eve@evil.example"},
            {"email": "ada@acme.example.com\r\nbcc: eve@evil.example"},
            {"email": "a" * 400 + "@acme.example.com"},
            {"email": "ada\ud800@acme.example.com"},
            {"email": "ada@acme.example.com\0"},
        ],
        ids=str,
    )
    async def test_has_to_be_vouched_for(self, browser: Browser, claims: dict[str, Any]) -> None:
        """U8: whoever could claim an e-mail would be whoever has it."""
        browser.provider.claims = claims
        assert await browser.sign_in() == {"error": "sso.email_unverified"}

    async def test_may_be_vouched_for_as_entra_does(self, browser: Browser) -> None:
        browser.provider.claims = {"email_verified": None, "xms_edov": True}
        assert (await browser.sign_in()).keys() == {"login_code"}

    @pytest.mark.parametrize(
        "email",
        [
            *("ada@evil.example.com", "ada@acme.example.com.evil.com", "ada@example.com", "ada@sub.acme.example.com"),
            *('"ada@acme.example.com"@evil.com', "ada@xn--acme-example-com.evil.com"),
        ],
    )
    async def test_of_another_domain_opens_nothing(self, browser: Browser, email: str) -> None:
        """U8: the domain is compared as a whole."""
        browser.provider.claims = {"email": email}
        assert await browser.sign_in() in ({"error": "sso.domain_refused"}, {"error": "sso.email_unverified"})

    async def test_has_no_case_and_an_international_domain_is_known(self, rules: Rules, identity: Identity) -> None:
        browser = await rules(allowed_domains=["ACME.example.com", "xn--bcher-kva.example.com"])
        browser.provider.claims = {"email": "Ada@Acme.Example.COM"}
        ada = await signed_in(browser, identity)
        browser.provider.claims = {"email": "zoe@bücher.example.com", "sub": "sub-2"}
        assert (await signed_in(browser, identity)).subject != ada.subject

    async def test_of_somebody_who_left_the_domain_opens_nothing(self, browser: Browser) -> None:
        await browser.session()
        browser.provider.claims = {"email": "ada@evil.example.com"}
        assert await browser.sign_in() == {"error": "sso.domain_refused"}


class TestMode:
    async def test_auto_makes_an_account_without_a_password(
        self, rules: Rules, identity: Identity, database: Database
    ) -> None:
        browser = await rules(mode="auto", default_role="analyst")
        assert (await signed_in(browser, identity)).role == "analyst"
        async with database.read("acme") as unit:
            row = (await unit.session.scalars(select(UserRow).where(UserRow.email == "ada@acme.example.com"))).one()
        assert row.password_hash == ""
        for password in ("", "x", PASSWORD):
            with pytest.raises(LoginFailed):
                await identity.log_in(ORIGIN, LogIn(tenant="acme", email="ada@acme.example.com", password=password))

    @pytest.mark.parametrize("mode", ["invited", "none"])
    async def test_nobody_else_makes_one(self, rules: Rules, mode: str, database: Database) -> None:
        browser = await rules(mode=mode)
        with pytest.raises(AccountRefused):
            await browser.session()
        assert await linked(database) == []

    @pytest.mark.parametrize("mode", ["invited", "auto"])
    async def test_an_account_with_the_email_is_linked(
        self, rules: Rules, identity: Identity, owner: Principal, mode: str, events: Events
    ) -> None:
        """U8: its role stays, and the trail says that it was linked."""
        ada = await add(identity, owner, role="editor")
        browser = await rules(mode=mode, default_role="viewer")
        person = await signed_in(browser, identity)
        assert (person.subject, person.role) == (ada.id, "editor")
        fact = next(event for event in await events() if event.type == "user.federated")
        assert ada.id in fact.envelope
        assert "sub-1" in fact.envelope

    async def test_none_links_nobody_new_and_keeps_who_is_linked(
        self, rules: Rules, identity: Identity, owner: Principal, federation: Federation
    ) -> None:
        await add(identity, owner)
        browser = await rules(mode="invited")
        ada = await signed_in(browser, identity)
        closed = Provisioning(mode="none", allowed_domains=["acme.example.com"])
        await federation.update_connection(owner, browser.connection.id, UpdateConnection(provisioning=closed))
        assert (await signed_in(browser, identity)).subject == ada.subject
        await add(identity, owner, "bob@acme.example.com")
        browser.provider.person = browser.provider.person | {"sub": "sub-2", "email": "bob@acme.example.com"}
        with pytest.raises(AccountRefused):
            await browser.session()

    async def test_another_person_with_the_same_email_does_not_get_the_account(self, browser: Browser) -> None:
        """U8: an address that the provider has given to somebody else."""
        await browser.session()
        browser.provider.person = browser.provider.person | {"sub": "sub-2"}
        with pytest.raises(AccountRefused):
            await browser.session()

    async def test_whoever_is_deactivated_stays_out(
        self, browser: Browser, identity: Identity, owner: Principal
    ) -> None:
        """U1, U8: linked or not."""
        ada = await signed_in(browser, identity)
        bob = await add(identity, owner, "bob@acme.example.com")
        for user_id in (ada.subject, bob.id):
            await identity.update_user(owner, user_id, UpdateUser(status="deactivated"))
        with pytest.raises(AccountRefused):
            await browser.session()
        browser.provider.person = browser.provider.person | {"sub": "sub-2", "email": "bob@acme.example.com"}
        with pytest.raises(AccountRefused):
            await browser.session()

    async def test_two_first_logins_at_once_make_one_account(
        self, browser: Browser, identity: Identity, database: Database
    ) -> None:
        """U8: exact under concurrency."""
        codes = [(await browser.sign_in())["login_code"] for _ in range(4)]
        sessions = await asyncio.gather(*(browser.exchange(code) for code in codes))
        people = [await identity.authenticate(session.access_token) for session in sessions]
        assert len({person.subject for person in people}) == 1
        assert await linked(database) == [people[0].subject]

    async def test_a_deleted_connection_forgets_who_people_are(
        self, browser: Browser, owner: Principal, identity: Identity, database: Database, connect: Connect
    ) -> None:
        """The account stays and is linked again by its e-mail, to another subject if need be."""
        ada = await signed_in(browser, identity)
        await browser.federation.delete_connection(owner, browser.connection.id)
        assert await linked(database) == []
        browser.connection = await connect(mode="invited")
        browser.provider.person = browser.provider.person | {"sub": "sub-2"}
        assert (await signed_in(browser, identity)).subject == ada.subject


ROLE_MAP = {"staff": "viewer", "writers": "editor", "bosses": "admin"}


class TestRole:
    @pytest.mark.parametrize(
        ("claim", "role"),
        [
            (["staff", "writers"], "editor"),
            (["bosses", "staff", "unknown"], "admin"),
            ("writers", "editor"),
            (["owner", "administrator", "OWNER"], "guest"),
            (None, "guest"),
            ([], "guest"),
            ([["bosses"], 7, None, {"bosses": 1}], "guest"),
            ({"bosses": True}, "guest"),
            (7, "guest"),
        ],
        ids=str,
    )
    async def test_is_the_highest_that_the_map_gives(
        self, rules: Rules, identity: Identity, claim: Any, role: str
    ) -> None:
        browser = await rules(default_role="guest", role_claim="groups", role_map=ROLE_MAP)
        browser.provider.claims = {"groups": claim}
        assert (await signed_in(browser, identity)).role == role

    async def test_follows_the_provider_at_each_login(self, rules: Rules, identity: Identity, events: Events) -> None:
        """U8: who lost a group loses its rights, open sessions included, and the trail says so."""
        browser = await rules(default_role="viewer", role_claim="groups", role_map=ROLE_MAP)
        browser.provider.claims = {"groups": ["bosses"]}
        first = await browser.session()
        browser.provider.claims = {"groups": ["staff"]}
        await browser.session()
        assert (await identity.authenticate(first.access_token)).role == "viewer"
        changed = [event for event in await events() if event.type == "user.updated"]
        assert len(changed) == 1
        assert '"role":"viewer"' in changed[0].envelope

    async def test_of_an_owner_is_never_changed(self, rules: Rules, identity: Identity, owner: Principal) -> None:
        """U8: a tenant does not lose its owners to a provider's groups."""
        browser = await rules(default_role="guest", role_claim="groups", role_map=ROLE_MAP)
        browser.provider.claims = {"email": "owner@acme.example.com", "groups": ["staff"]}
        person = await signed_in(browser, identity)
        assert (person.subject, person.role) == (owner.subject, "owner")

    async def test_is_left_to_administrators_without_a_claim(
        self, browser: Browser, identity: Identity, owner: Principal
    ) -> None:
        ada = await signed_in(browser, identity)
        await identity.update_user(owner, ada.subject, UpdateUser(role="editor"))
        assert (await signed_in(browser, identity)).role == "editor"

    @pytest.mark.parametrize("role", ["owner", "administrator", "emperor", ""])
    def test_can_never_be_an_owners(self, role: str) -> None:
        """U8: not as the default, not by the map, and not for identity either."""
        with pytest.raises(ValidationError):
            Provisioning(default_role=role, allowed_domains=["a.example"])  # type: ignore[arg-type]
        with pytest.raises(ValidationError):
            Provisioning(role_map={"x": role}, allowed_domains=["a.example"])  # type: ignore[dict-item]
        with pytest.raises(ValidationError):
            login(role=role)


def test_no_operation_leads_to_identitys_word() -> None:
    """U8: only federation says that a provider vouched for somebody."""
    callers = {
        path.parent.name for path in sources("serve_app", "deployments") if "log_in_federated" in path.read_text()
    }
    assert callers == {"identity", "federation"}


def login(**changes: Any) -> FederatedLogin:
    values = {
        "tenant_id": "acme",
        "connection_id": "sso_1",
        "issuer": "https://example.com",
        "subject": "sub-1",
        "email": "ada@acme.example.com",
        "name": "Ada",
        "link": True,
        "create": True,
        "role": "viewer",
        "keep_role": True,
    }
    return FederatedLogin.model_validate(values | changes)


async def test_a_suspended_tenant_has_no_sessions(browser: Browser, identity: Identity, database: Database) -> None:
    """T1: identity looks again at the last step."""
    code = (await browser.sign_in())["login_code"]
    async with database.write("acme") as unit:
        tenant = await unit.session.get(Tenant, "acme")
        assert tenant is not None
        tenant.status = "suspended"
    with pytest.raises(TenantSuspended):
        await browser.exchange(code)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("Ada", "Ada"),
        (None, "ada"),
        ("", "ada"),
        (" \r\n\0 ", "ada"),
        ("Ada\r\nBcc: eve@evil.example", "Ada  Bcc: eve@evil.example"),
        ("\u202eadA", "adA"),
        ("x" * 500, "x" * 200),
        ("A\ud800da", "A da"),
        (["Ada"], "ada"),
    ],
    ids=repr,
)
async def test_a_name_is_made_fit(browser: Browser, identity: Identity, given: Any, kept: str) -> None:
    """A name ends up in mail headers and log lines."""
    browser.provider.claims = {"name": given}
    me = await identity.me(await signed_in(browser, identity))
    assert me.user is not None
    assert me.user.name == kept
