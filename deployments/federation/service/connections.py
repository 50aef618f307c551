"""The rules of connections: which providers a tenant trusts, and who may say so."""

from typing import Any, Final

from cryptography.fernet import InvalidToken
from pydantic import SecretStr

from db.models.federation import SsoConnection
from db.repositories.federation import SsoConnectionRepository
from db.repositories.tenants import TenantRepository
from db.session import UnitOfWork
from db.types import new_id, utc_now
from deployments.federation.contracts import Connection, CreateConnection, Provisioning, UpdateConnection
from deployments.federation.errors import (
    ConnectionNeedsPerson,
    ConnectionNotFound,
    InvalidConnection,
    ProviderUnavailable,
    RoleTooHigh,
    TooManyConnections,
)
from deployments.federation.settings import FederationSettings
from deployments.identity.contracts import scopes_of
from deployments.kit.contract import Page, PageMeta
from deployments.kit.pagination import decode_cursor, encode_cursor
from deployments.kit.principal import Principal
from deployments.kit.tenants import require_customer
from deployments.kit.vault import Vault
from eventing.events.envelope import EventData
from eventing.events.federation import SsoConnectionCreated, SsoConnectionDeleted, SsoConnectionUpdated
from eventing.outbox import record

MOST_CONNECTIONS: Final = 20
_SORT: Final = "id"


def require_change(principal: Principal, provisioning: Provisioning | None) -> None:
    """Raise Forbidden, ConnectionNeedsPerson, TenantRequired or RoleTooHigh when the principal may not say this."""
    principal.require("sso:write")
    require_customer(principal)
    if principal.kind != "user":
        raise ConnectionNeedsPerson
    if provisioning is not None:
        roles = {provisioning.default_role, *provisioning.role_map.values()}
        if not all(principal.may(scope) for role in roles for scope in scopes_of(role)):
            raise RoleTooHigh


async def create(unit: UnitOfWork, vault: Vault, principal: Principal, command: CreateConnection) -> SsoConnection:
    """The new connection. Raises TooManyConnections."""
    # Locked, so that the number holds when several are added at once.
    await TenantRepository(unit.session, unit.tenant).get_locked()
    connections = SsoConnectionRepository(unit.session, unit.tenant)
    if await connections.count() >= MOST_CONNECTIONS:
        raise TooManyConnections
    now = utc_now()
    row = SsoConnection(
        tenant_id=unit.tenant,
        id=new_id("sso"),
        name=command.name,
        issuer=command.issuer,
        client_id=command.client_id,
        client_secret=vault.seal(command.client_secret.get_secret_value()),
        scopes=list(command.scopes),
        provisioning=command.provisioning.model_dump(mode="json"),
        enabled=command.enabled,
        enforced=command.enforced,
        created_by=principal.subject,
        created_at=now,
        updated_at=now,
    )
    connections.add(row)
    _record(unit, principal, SsoConnectionCreated(connection_id=row.id, name=row.name, issuer=row.issuer))
    return row


async def get(unit: UnitOfWork, principal: Principal, connection_id: str) -> SsoConnection:
    """The connection. Raises ConnectionNotFound."""
    principal.require("sso:read")
    return _existing(await SsoConnectionRepository(unit.session, unit.tenant).find(connection_id))


async def list_all(
    unit: UnitOfWork, principal: Principal, settings: FederationSettings, cursor: str | None, limit: int
) -> Page[Connection]:
    """The tenant's connections, oldest first."""
    principal.require("sso:read")
    after = decode_cursor(cursor, _SORT, 1)[0] if cursor else None
    rows = await SsoConnectionRepository(unit.session, unit.tenant).page(after, limit + 1)
    more = encode_cursor(_SORT, [rows[limit - 1].id]) if len(rows) > limit else None
    data = [shown(row, settings) for row in rows[:limit]]
    return Page[Connection](data=data, meta=PageMeta(limit=limit, next_cursor=more))


async def update(
    unit: UnitOfWork, vault: Vault, principal: Principal, connection_id: str, command: UpdateConnection
) -> SsoConnection:
    """The changed connection. Raises ConnectionNotFound, InvalidConnection."""
    connections = SsoConnectionRepository(unit.session, unit.tenant)
    row = _existing(await connections.find(connection_id, for_update=True))
    if command.issuer not in (None, row.issuer) and command.client_secret is None:
        # Else somebody who was never told the secret could have it sent to a server of theirs.
        raise InvalidConnection.at("/client_secret", "required", "Another issuer needs its own client secret.")
    changed = []
    for name in sorted(command.model_fields_set):
        value = _stored(vault, getattr(command, name))
        if value is not None and value != getattr(row, name):
            setattr(row, name, value)
            changed.append(name)
    if changed:
        row.updated_at = utc_now()
        _record(unit, principal, SsoConnectionUpdated(connection_id=row.id, changed=changed))
    return row


async def delete(unit: UnitOfWork, principal: Principal, connection_id: str) -> None:
    """Delete the connection and what it knows about people. Raises ConnectionNotFound."""
    connections = SsoConnectionRepository(unit.session, unit.tenant)
    await connections.delete(_existing(await connections.find(connection_id, for_update=True)))
    _record(unit, principal, SsoConnectionDeleted(connection_id=connection_id))


def shown(row: SsoConnection, settings: FederationSettings) -> Connection:
    """The connection without its secret."""
    return Connection(
        id=row.id,
        name=row.name,
        issuer=row.issuer,
        client_id=row.client_id,
        scopes=row.scopes,
        provisioning=Provisioning.model_validate(row.provisioning),
        enabled=row.enabled,
        enforced=row.enforced,
        redirect_uri=settings.redirect_uri,
        post_logout_redirect_uri=settings.post_logout_redirect_uri,
        login_url=f"{settings.public_url}/api/v1/auth/oidc/{row.tenant_id}/{row.id}/start",
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def secret_of(vault: Vault, row: SsoConnection) -> str:
    """The client secret. Raises ProviderUnavailable when the platform's key is another one than it was sealed with."""
    try:
        return vault.open(row.client_secret)
    except InvalidToken:
        raise ProviderUnavailable("The client secret has to be entered anew.") from None


def _stored(vault: Vault, value: Any) -> Any:
    if isinstance(value, SecretStr):
        return vault.seal(value.get_secret_value())
    return value.model_dump(mode="json") if isinstance(value, Provisioning) else value


def _existing(row: SsoConnection | None) -> SsoConnection:
    if row is None:
        raise ConnectionNotFound
    return row


def _record(unit: UnitOfWork, principal: Principal, fact: EventData) -> None:
    record(unit, fact, actor=principal.subject, origin=principal.origin)
