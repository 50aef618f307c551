"""Identity on a real database, and people to use it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace

import pytest
from sqlalchemy import select

from db.models.events import Event
from db.session import Database
from deployments.identity.bootstrap import ensure_administrator
from deployments.identity.contracts import CreateUser, LogIn, NewTenant, NewUser, SignedUp, SignUp
from deployments.identity.deployment import Identity
from deployments.identity.settings import IdentitySettings
from deployments.identity.terms import Role
from deployments.kit.principal import Principal
from deployments.kit.vault import Vault
from eventing.events.envelope import Origin

PASSWORD = "correct horse battery"
VAULT = Vault("s" * 32)
ORIGIN = Origin(request_id="req-1", address="192.0.2.7")

Person = Callable[[Role], Awaitable[Principal]]
RecordedEvents = Callable[[str], Awaitable[list[Event]]]


def signup_of(tenant_id: str, email: str = "olga@example.com") -> SignUp:
    return SignUp(
        tenant=NewTenant(id=tenant_id, name=tenant_id.title()),
        user=NewUser(email=email, password=PASSWORD, name="Olga"),
    )


def login_of(tenant_id: str | None, email: str = "olga@example.com", password: str = PASSWORD) -> LogIn:
    return LogIn(tenant=tenant_id, email=email, password=password)


@pytest.fixture
def settings() -> IdentitySettings:
    return IdentitySettings(signing_key="k" * 32)


@pytest.fixture
async def identity(database: Database, settings: IdentitySettings) -> AsyncIterator[Identity]:
    # The first connection switches a new SQLite file to WAL, and a race for that is not what these tests are about.
    await database.ping()
    identity = Identity(database, settings, VAULT)
    yield identity
    await identity.key_usage.drain()


@pytest.fixture
async def acme(identity: Identity) -> SignedUp:
    """The tenant `acme`, signed up by olga@example.com."""
    return await identity.sign_up(ORIGIN, signup_of("acme"))


@pytest.fixture
async def owner(identity: Identity, acme: SignedUp) -> Principal:
    """The owner of `acme`."""
    return replace(await identity.authenticate(acme.access_token), origin=ORIGIN)


@pytest.fixture
async def stranger(identity: Identity) -> Principal:
    """The owner of another tenant, `other`."""
    session = await identity.sign_up(ORIGIN, signup_of("other"))
    return await identity.authenticate(session.access_token)


@pytest.fixture
async def administrator(identity: Identity, database: Database) -> Principal:
    """A platform administrator."""
    await ensure_administrator(database, "root@example.com", PASSWORD)
    session = await identity.log_in(ORIGIN, login_of(None, "root@example.com"))
    return await identity.authenticate(session.access_token)


@pytest.fixture
def person(identity: Identity, owner: Principal) -> Person:
    """Makes a person of `acme` with a role, and logs in."""

    async def make(role: Role) -> Principal:
        email = f"{role}@example.com"
        await identity.create_user(owner, CreateUser(email=email, password=PASSWORD, name=role, role=role))
        session = await identity.log_in(ORIGIN, login_of("acme", email))
        return await identity.authenticate(session.access_token)

    return make


@pytest.fixture
def events(database: Database) -> RecordedEvents:
    """Reads the events that a tenant has in its outbox, oldest first."""

    async def read(tenant_id: str) -> list[Event]:
        async with database.read(tenant_id) as unit:
            query = select(Event).where(Event.tenant_id == tenant_id).order_by(Event.id)
            return list((await unit.session.execute(query)).scalars())

    return read
