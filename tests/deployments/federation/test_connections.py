"""U8: which providers a tenant trusts, and who may say so."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError
from sqlalchemy import select

from db.models.events import Event
from db.models.federation import SsoConnection
from db.session import Database
from deployments.federation.contracts import Connection, CreateConnection, Provisioning, UpdateConnection
from deployments.federation.deployment import Federation
from deployments.federation.errors import (
    ConnectionNeedsPerson,
    ConnectionNotFound,
    InvalidConnection,
    RoleTooHigh,
    TooManyConnections,
)
from deployments.federation.service.connections import MOST_CONNECTIONS
from deployments.identity.deployment import Identity
from deployments.identity.permissions import scopes_of
from deployments.kit.errors import Forbidden, Invalid, TenantRequired
from deployments.kit.principal import PLATFORM_TENANT, Principal
from tests.deployments.federation.conftest import VAULT, connection_to, owner_of
from tests.deployments.federation.provider import CLIENT_SECRET, Provider

Events = Callable[[], Awaitable[list[Event]]]


async def stored(database: Database, connection_id: str) -> SsoConnection:
    async with database.read("acme") as unit:
        return (await unit.session.scalars(select(SsoConnection).where(SsoConnection.id == connection_id))).one()


async def test_a_connection_and_its_life(
    federation: Federation, owner: Principal, provider: Provider, database: Database, events: Events
) -> None:
    """U8: the secret is sealed and never shown or told, whatever happens to the connection."""
    made = await federation.create_connection(owner, connection_to(provider))
    assert made.redirect_uri == "https://forms.example.com/api/v1/auth/oidc/callback"
    assert made.login_url == f"https://forms.example.com/api/v1/auth/oidc/acme/{made.id}/start"
    assert await federation.get_connection(owner, made.id) == made
    assert (await federation.list_connections(owner, None, 20)).data == [made]
    row = await stored(database, made.id)
    assert CLIENT_SECRET not in row.client_secret
    assert VAULT.open(row.client_secret) == CLIENT_SECRET

    change = UpdateConnection(name="Renamed", client_secret="another-secret", enabled=False)  # type: ignore[arg-type]
    changed = await federation.update_connection(owner, made.id, change)
    assert (changed.name, changed.enabled, changed.issuer) == ("Renamed", False, made.issuer)
    assert VAULT.open((await stored(database, made.id)).client_secret) == "another-secret"
    assert await federation.update_connection(owner, made.id, UpdateConnection(name="Renamed")) == changed

    await federation.delete_connection(owner, made.id)
    with pytest.raises(ConnectionNotFound):
        await federation.get_connection(owner, made.id)

    told = [event for event in await events() if event.type.startswith("sso_connection.")]
    assert [event.type for event in told] == [f"sso_connection.{what}" for what in ("created", "updated", "deleted")]
    assert '"changed":["client_secret","enabled","name"]' in told[1].envelope
    assert not any(secret in event.envelope for event in told for secret in (CLIENT_SECRET, "another-secret"))
    assert CLIENT_SECRET not in repr(connection_to(provider))


async def test_another_tenants_connection_is_not_there(
    federation: Federation, identity: Identity, owner: Principal, provider: Provider
) -> None:
    """T5: one answer for what is not yours and what is not there."""
    stranger = await owner_of(identity, "other")
    made = await federation.create_connection(owner, connection_to(provider))
    for connection_id in (made.id, "sso_none"):
        calls: list[Awaitable[Any]] = [
            federation.get_connection(stranger, connection_id),
            federation.update_connection(stranger, connection_id, UpdateConnection(name="x")),
            federation.delete_connection(stranger, connection_id),
        ]
        for call in calls:
            with pytest.raises(ConnectionNotFound):
                await call
    assert (await federation.list_connections(stranger, None, 20)).data == []
    assert await federation.get_connection(owner, made.id) == made


async def everything(federation: Federation, principal: Principal, made: Connection, provider: Provider) -> list[Any]:
    calls: list[Awaitable[Any]] = [
        federation.create_connection(principal, connection_to(provider)),
        federation.update_connection(principal, made.id, UpdateConnection(enabled=False)),
        federation.delete_connection(principal, made.id),
    ]
    return await asyncio.gather(*calls, return_exceptions=True)


@pytest.mark.parametrize("role", ["admin", "editor", "analyst", "viewer", "guest"])
async def test_only_owners_say_who_vouches_for_people(
    federation: Federation, owner: Principal, provider: Provider, role: str
) -> None:
    """U5, U8: administrators see connections; the rest see nothing of them."""
    made = await federation.create_connection(owner, connection_to(provider))
    somebody = replace(owner, subject="usr_x", role=role, scopes=scopes_of(role))
    assert {type(result) for result in await everything(federation, somebody, made, provider)} == {Forbidden}
    if role == "admin":
        assert await federation.get_connection(somebody, made.id) == made
        return
    for call in (federation.get_connection(somebody, made.id), federation.list_connections(somebody, None, 20)):
        with pytest.raises(Forbidden):
            await call


async def test_a_key_does_not(federation: Federation, owner: Principal, provider: Provider) -> None:
    """U4, U8: whoever chooses the provider can become anybody, so a key with an owner's scopes must not."""
    made = await federation.create_connection(owner, connection_to(provider))
    for principal, refusal in (
        (replace(owner, kind="api_key"), ConnectionNeedsPerson),
        (replace(owner, tenant_id=PLATFORM_TENANT), TenantRequired),
    ):
        results = await everything(federation, principal, made, provider)
        assert {type(result) for result in results} == {refusal}
    assert await federation.get_connection(owner, made.id) == made


async def test_nobody_gives_a_role_above_their_own(
    federation: Federation, owner: Principal, provider: Provider
) -> None:
    """U8: neither by default nor by the map, neither at first nor later."""
    made = await federation.create_connection(owner, connection_to(provider))
    limited = replace(owner, role="custom", scopes=scopes_of("viewer") | {"sso:write", "sso:read"})
    for rules in ({"default_role": "editor"}, {"role_claim": "groups", "role_map": {"a": "viewer", "b": "admin"}}):
        with pytest.raises(RoleTooHigh):
            await federation.create_connection(limited, connection_to(provider, **rules))
        provisioning = Provisioning.model_validate({"allowed_domains": ["acme.example.com"], **rules})
        with pytest.raises(RoleTooHigh):
            await federation.update_connection(limited, made.id, UpdateConnection(provisioning=provisioning))
    await federation.create_connection(limited, connection_to(provider, default_role="viewer"))


async def test_another_issuer_needs_its_own_secret(
    federation: Federation, owner: Principal, provider: Provider, database: Database
) -> None:
    """U8: the stored secret cannot be had by naming another server."""
    made = await federation.create_connection(owner, connection_to(provider))
    with pytest.raises(InvalidConnection) as caught:
        await federation.update_connection(owner, made.id, UpdateConnection(issuer="https://evil.example"))
    assert [fault.pointer for fault in caught.value.faults] == ["/client_secret"]
    change = UpdateConnection(issuer="https://example.com", client_secret="fresh")  # type: ignore[arg-type]
    assert (await federation.update_connection(owner, made.id, change)).issuer == "https://example.com"
    assert VAULT.open((await stored(database, made.id)).client_secret) == "fresh"


@pytest.mark.parametrize("issuer", ["http://192.0.2.1", "ftp://example.com", "https://example.com?x", "", "x" * 50])
async def test_a_bad_issuer_is_refused(
    federation: Federation, owner: Principal, provider: Provider, issuer: str
) -> None:
    command = connection_to(provider).model_copy(update={"issuer": issuer})
    with pytest.raises(Invalid) as caught:
        await federation.create_connection(owner, command)
    assert {fault.pointer for fault in caught.value.faults} == {"/issuer"}
    made = await federation.create_connection(owner, connection_to(provider))
    change = UpdateConnection(issuer=issuer, client_secret="x")  # type: ignore[arg-type]
    with pytest.raises(Invalid):
        await federation.update_connection(owner, made.id, change)


@pytest.mark.parametrize(
    "change",
    [
        {"provisioning": {"allowed_domains": []}},
        {"provisioning": {"mode": "auto"}},
        {"provisioning": {"allowed_domains": ["*"]}},
        {"provisioning": {"allowed_domains": ["com"]}},
        {"provisioning": {"allowed_domains": ["@example.com"]}},
        {"provisioning": {"allowed_domains": ["bücher.example"]}},
        {"provisioning": {"allowed_domains": ["example.com"], "role_map": {"": "viewer"}}},
        {"provisioning": {"allowed_domains": ["example.com"], "mode": "everybody"}},
        {"scopes": []},
        {"scopes": ["openid email"]},
        {"client_id": ""},
        {"client_id": "a\nb"},
        {"client_secret": ""},
        {"name": ""},
        {"tenant_id": "other"},
        {"created_by": "usr_1"},
    ],
    ids=str,
)
def test_what_is_no_connection(change: dict[str, Any]) -> None:
    """U8: at least one domain, known scopes, nothing else."""
    good = {
        "name": "Local",
        "issuer": "https://example.com",
        "client_id": "formstream",
        "client_secret": "secret",
        "provisioning": {"allowed_domains": ["example.com"]},
    }
    CreateConnection.model_validate(good)
    with pytest.raises(ValidationError):
        CreateConnection.model_validate(good | change)


async def test_a_tenant_has_so_many_and_no_more(federation: Federation, owner: Principal, provider: Provider) -> None:
    """T6: exact when several are added at once; lists come in pages."""
    command = connection_to(provider)
    for _ in range(MOST_CONNECTIONS - 2):
        await federation.create_connection(owner, command)
    results = await asyncio.gather(
        *(federation.create_connection(owner, command) for _ in range(5)), return_exceptions=True
    )
    assert sum(isinstance(result, Connection) for result in results) == 2
    assert sum(isinstance(result, TooManyConnections) for result in results) == 3

    first = await federation.list_connections(owner, None, 15)
    rest = await federation.list_connections(owner, first.meta.next_cursor, 15)
    assert (len(first.data), len(rest.data), rest.meta.next_cursor) == (15, MOST_CONNECTIONS - 15, None)
    assert len({row.id for row in (*first.data, *rest.data)}) == MOST_CONNECTIONS
