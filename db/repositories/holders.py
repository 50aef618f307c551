"""Who is behind a credential and whose a request is, asked on the way of every request: whole in one round, without ORM
objects. For `Database.view`."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, and_, bindparam, exists, select
from sqlmodel import col

from db.models.forms import Form
from db.models.grants import FormGrant
from db.models.identity import ApiKey, RefreshToken, Tenant, TenantHost, User


@dataclass(frozen=True, slots=True)
class SessionHolder:
    """What decides over a session: `session_alive` is False when its refresh family is revoked.

    `grants` are the roles for single forms, by form id, without forms in the trash.
    """

    tenant_status: str
    user_status: str
    role: str
    session_alive: bool
    grants: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class KeyHolder:
    """What decides over an API key. The creator is None when it is not a person of the key's tenant."""

    tenant_id: str
    key_id: str
    scopes: list[str]
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    tenant_status: str
    creator_status: str | None
    creator_role: str | None


@dataclass(frozen=True, slots=True)
class TenantFacts:
    """What is to be known of a tenant before a request is its own."""

    id: str
    status: str
    settings: dict[str, Any]


_ALIVE = exists().where(
    col(RefreshToken.tenant_id) == bindparam("tenant"),
    col(RefreshToken.family_id) == bindparam("family"),
    col(RefreshToken.user_id) == bindparam("user"),
    col(RefreshToken.revoked_at).is_(None),
)
# A row for each grant, one without where there is none.
_SESSION = (
    select(
        col(Tenant.status),
        col(User.status),
        col(User.role),
        _ALIVE.label("alive"),
        col(FormGrant.form_id),
        col(FormGrant.role),
        col(Form.id),
    )
    .select_from(User)
    .join(Tenant, col(Tenant.id) == col(User.tenant_id))
    .outerjoin(FormGrant, and_(col(FormGrant.tenant_id) == col(User.tenant_id), col(FormGrant.user_id) == col(User.id)))
    .outerjoin(
        Form,
        and_(
            col(Form.tenant_id) == col(FormGrant.tenant_id),
            col(Form.id) == col(FormGrant.form_id),
            col(Form.deleted_at).is_(None),
        ),
    )
    .where(col(User.tenant_id) == bindparam("tenant"), col(User.id) == bindparam("user"))
)
_KEY = (
    select(
        col(ApiKey.tenant_id),
        col(ApiKey.id),
        col(ApiKey.scopes),
        col(ApiKey.expires_at),
        col(ApiKey.revoked_at),
        col(ApiKey.last_used_at),
        col(Tenant.status),
        col(User.status),
        col(User.role),
    )
    .select_from(ApiKey)
    .join(Tenant, col(Tenant.id) == col(ApiKey.tenant_id))
    .outerjoin(User, and_(col(User.tenant_id) == col(ApiKey.tenant_id), col(User.id) == col(ApiKey.created_by)))
    .where(col(ApiKey.key_hash) == bindparam("hash"))
)
_FACTS = select(col(Tenant.id), col(Tenant.status), col(Tenant.settings))
_TENANT = _FACTS.where(col(Tenant.id) == bindparam("tenant"))
_HOST = _FACTS.join(TenantHost, col(TenantHost.tenant_id) == col(Tenant.id)).where(
    col(TenantHost.host) == bindparam("host")
)


def session_holder(connection: Connection, tenant_id: str, user_id: str, family_id: str) -> SessionHolder | None:
    """The state of a person, of the tenant and of the session; None when the tenant has no such person."""
    parameters = {"tenant": tenant_id, "user": user_id, "family": family_id}
    rows = connection.execute(_SESSION, parameters).all()
    if not rows:
        return None
    tenant_status, user_status, role, alive = rows[0][:4]
    grants = {form_id: granted for *_, form_id, granted, present in rows if present is not None}
    return SessionHolder(tenant_status, user_status, role, bool(alive), grants)


def key_holder_in_any_tenant(connection: Connection, key_hash: str) -> KeyHolder | None:
    """The key with this hash and what decides over it."""
    row = connection.execute(_KEY, {"hash": key_hash}).first()
    return None if row is None else KeyHolder(*row)


def tenant_facts(connection: Connection, tenant_id: str) -> TenantFacts | None:
    """The tenant of this id, whatever its status."""
    return _facts(connection, _TENANT, tenant=tenant_id)


def tenant_facts_of_host(connection: Connection, host: str) -> TenantFacts | None:
    """The tenant to which the host name was given; needs an unscoped view."""
    return _facts(connection, _HOST, host=host)


def _facts(connection: Connection, statement: Select[Any], **parameters: str) -> TenantFacts | None:
    row = connection.execute(statement, parameters).first()
    return None if row is None else TenantFacts(row[0], row[1], row[2])
