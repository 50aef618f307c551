"""Federation before a real identity on a real database, a provider on loopback, and a browser between them."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from sqlalchemy import select

from db.models.events import Event
from db.session import Database
from deployments.federation.contracts import Arrival, Connection, CreateConnection, Departure, ExchangeCode
from deployments.federation.deployment import Federation
from deployments.federation.settings import FederationSettings
from deployments.identity.contracts import NewTenant, NewUser, Session, SignUp
from deployments.identity.deployment import Identity
from deployments.identity.settings import IdentitySettings
from deployments.kit.egress import Egress
from deployments.kit.principal import Principal
from deployments.kit.vault import Vault
from eventing.events.envelope import Origin
from tests.deployments.federation.provider import CLIENT_ID, CLIENT_SECRET, Provider, providing

PASSWORD = "correct horse battery"
ORIGIN = Origin(request_id="req-1", address="192.0.2.7")
VAULT = Vault("s" * 32)
LOOPBACK = ("127.0.0.0/8",)
HOME = "https://forms.example.com"

Connect = Callable[..., Awaitable[Connection]]


def settings_of(**changes: Any) -> FederationSettings:
    return FederationSettings(**{"public_url": HOME, "egress_allow": LOOPBACK, **changes})


def federation_of(database: Database, identity: Identity, **changes: Any) -> Federation:
    settings = settings_of(**changes)
    egress = Egress(settings.egress_allow, max_response_bytes=settings.max_document_bytes)
    return Federation(database, identity, egress, VAULT, settings)


@pytest.fixture
async def identity(database: Database) -> AsyncIterator[Identity]:
    # The first connection switches a new SQLite file to WAL, and a race for that is not what these tests are about.
    await database.ping()
    identity = Identity(database, IdentitySettings(signing_key="k" * 32), VAULT)  # type: ignore[arg-type]
    yield identity
    await identity.close()


@pytest.fixture
async def federation(database: Database, identity: Identity) -> AsyncIterator[Federation]:
    federation = federation_of(database, identity)
    yield federation
    await federation.close()


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    async with providing() as provider:
        yield provider


async def owner_of(identity: Identity, tenant_id: str) -> Principal:
    """The owner of a new tenant, owner@<tenant>.example.com."""
    new = SignUp(
        tenant=NewTenant(id=tenant_id, name=tenant_id.title()),
        user=NewUser(email=f"owner@{tenant_id}.example.com", password=PASSWORD, name="Olga"),
    )
    session = await identity.sign_up(ORIGIN, new)
    return replace(await identity.authenticate(session.access_token), origin=ORIGIN)


@pytest.fixture
async def owner(identity: Identity) -> Principal:
    return await owner_of(identity, "acme")


def connection_to(provider: Provider, **provisioning: Any) -> CreateConnection:
    """A connection of `acme` to the provider."""
    rules = {"mode": "auto", "allowed_domains": ["acme.example.com"], **provisioning}
    return CreateConnection.model_validate(
        {
            "name": "Local",
            "issuer": provider.issuer,
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
            "provisioning": rules,
        }
    )


@pytest.fixture
def connect(federation: Federation, owner: Principal, provider: Provider) -> Connect:
    """Makes a connection of `acme` to the provider with these rules."""

    async def make(**provisioning: Any) -> Connection:
        return await federation.create_connection(owner, connection_to(provider, **provisioning))

    return make


@dataclass
class Browser:
    """A person's browser, with its cookie."""

    federation: Federation
    provider: Provider
    connection: Connection
    tenant_id: str = "acme"
    cookie: str | None = None

    async def leave(self, return_to: str = "/console") -> Departure:
        """Begin a login."""
        visitor = Principal.anonymous(self.tenant_id, ORIGIN)
        departure = await self.federation.depart(visitor, self.connection.id, return_to, self.cookie)
        self.cookie = departure.browser
        return departure

    async def come_back(self, **query: str) -> dict[str, str]:
        """The fragment of where the browser is sent with the provider's answer."""
        landing = await self.federation.arrive(ORIGIN, Arrival(**query), self.cookie)
        address = urlsplit(landing.location)
        assert landing.location.startswith(f"{HOME}/console#")
        return dict(parse_qsl(address.fragment))

    async def sign_in(self) -> dict[str, str]:
        """The fragment after a whole way there and back."""
        departure = await self.leave()
        return await self.come_back(**self.provider.consent(departure.location))

    async def session(self) -> Session:
        """The session after a login. Raises what the exchange does."""
        fragment = await self.sign_in()
        assert fragment.keys() == {"login_code"}, fragment
        return await self.exchange(fragment["login_code"])

    async def exchange(self, code: str) -> Session:
        return await self.federation.exchange(ORIGIN, ExchangeCode(code=code), self.cookie)


@pytest.fixture
async def browser(federation: Federation, provider: Provider, connect: Connect) -> Browser:
    """A browser of somebody who logs in to `acme`, which takes everybody of acme.example.com."""
    return Browser(federation, provider, await connect())


@pytest.fixture
def events(database: Database) -> Callable[[], Awaitable[list[Event]]]:
    """Reads the events of `acme`, oldest first."""

    async def read() -> list[Event]:
        async with database.read("acme") as unit:
            query = select(Event).where(Event.tenant_id == "acme").order_by(Event.id)
            return list((await unit.session.execute(query)).scalars())

    return read
