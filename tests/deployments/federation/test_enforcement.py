"""U8: tenants whose people log in with a provider and with nothing else."""

from typing import Any

import pytest

from deployments.federation.contracts import Connection, UpdateConnection
from deployments.federation.deployment import Federation
from deployments.identity.contracts import CreateUser, LogIn, Refresh, Session
from deployments.identity.deployment import Identity
from deployments.identity.errors import FederatedOnly, LoginFailed
from deployments.kit.principal import Principal
from tests.deployments.federation.conftest import ORIGIN, PASSWORD, Browser, owner_of


@pytest.fixture
async def ada(identity: Identity, owner: Principal) -> str:
    """The e-mail of somebody of `acme` who has a password."""
    new = CreateUser(email="ada@acme.example.com", password=PASSWORD, name="Ada", role="admin")
    return (await identity.create_user(owner, new)).email


async def log_in(identity: Identity, email: str, tenant: str = "acme", password: str = PASSWORD) -> Session:
    return await identity.log_in(ORIGIN, LogIn(tenant=tenant, email=email, password=password))


async def change(federation: Federation, owner: Principal, connection: Connection, **values: Any) -> Connection:
    return await federation.update_connection(owner, connection.id, UpdateConnection(**values))


async def test_passwords_open_owners_accounts_only(
    federation: Federation, identity: Identity, owner: Principal, browser: Browser, ada: str
) -> None:
    """U8: from the next login on; the provider's way in stays open, and so do sessions."""
    before = await log_in(identity, ada)
    assert (await change(federation, owner, browser.connection, enforced=True)).enforced
    with pytest.raises(FederatedOnly):
        await log_in(identity, ada)
    await log_in(identity, "owner@acme.example.com")
    await browser.session()
    await identity.refresh(ORIGIN, Refresh(refresh_token=before.refresh_token))


async def test_it_holds_while_the_connection_lets_people_in(
    federation: Federation, identity: Identity, owner: Principal, browser: Browser, ada: str
) -> None:
    """U8: nobody is locked out by a connection that is off or gone."""
    await change(federation, owner, browser.connection, enforced=True, enabled=False)
    await log_in(identity, ada)
    await change(federation, owner, browser.connection, enabled=True)
    with pytest.raises(FederatedOnly):
        await log_in(identity, ada)
    await federation.delete_connection(owner, browser.connection.id)
    await log_in(identity, ada)


async def test_it_tells_nothing_to_whoever_does_not_know_the_password(
    federation: Federation, identity: Identity, owner: Principal, browser: Browser, ada: str
) -> None:
    """U6: the answers for wrong passwords and unknown accounts stay the same."""
    await change(federation, owner, browser.connection, enforced=True)
    for email in (ada, "nobody@acme.example.com"):
        with pytest.raises(LoginFailed):
            await log_in(identity, email, password="wrong password")


async def test_it_is_no_business_of_other_tenants(
    federation: Federation, identity: Identity, owner: Principal, browser: Browser
) -> None:
    """T5."""
    stranger = await owner_of(identity, "other")
    bob = CreateUser(email="bob@other.example.com", password=PASSWORD, name="Bob", role="viewer")
    await identity.create_user(stranger, bob)
    await change(federation, owner, browser.connection, enforced=True)
    await log_in(identity, "bob@other.example.com", "other")
