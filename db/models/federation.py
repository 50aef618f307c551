"""Logging in with a provider of one's own (OpenID Connect)."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index
from sqlmodel import Field, SQLModel

from db.models.columns import belongs_to, document, key, moment, sealed


class SsoConnection(SQLModel, table=True):
    """A provider that a tenant trusts, and what its people become. The client secret is sealed."""

    __tablename__ = "sso_connection"

    tenant_id: str = Field(primary_key=True, sa_column_args=(ForeignKey("tenant.id", ondelete="CASCADE"),))
    id: str = key()
    name: str
    issuer: str
    client_id: str
    client_secret: str = sealed()
    scopes: list[str] = document()
    provisioning: dict[str, Any] = document()
    enabled: bool
    enforced: bool
    created_by: str
    created_at: datetime = moment()
    updated_at: datetime = moment()


class SsoLogin(SQLModel, table=True):
    """A login under way, until `expires_at`. Only hashes of what the browser and the provider hold are kept.

    `sealed` has the secrets of the exchange with the provider while it lasts, then who the provider says it is. The
    provider's answer is taken once (`answered_at`); whoever brings the code of `code_hash` first gets the session.
    """

    __tablename__ = "sso_login"
    __table_args__ = (
        belongs_to("sso_connection", "connection_id"),
        Index("uq_sso_login_code", "tenant_id", "code_hash", unique=True),
        Index("ix_sso_login_connection", "tenant_id", "connection_id"),
        Index("ix_sso_login_expires", "tenant_id", "expires_at"),
    )

    tenant_id: str = key()
    state_hash: str = key()
    connection_id: str
    browser_hash: str
    return_to: str
    sealed: str = sealed()
    created_at: datetime = moment()
    expires_at: datetime = moment()
    answered_at: datetime | None = moment(default=None)
    code_hash: str | None = None


class SsoSession(SQLModel, table=True):
    """A session that began with a provider's login, while it lasts: where it can be ended as well.

    `family_id` is that of its refresh tokens. `sealed` has what the provider wants to see again.
    """

    __tablename__ = "sso_session"
    __table_args__ = (
        belongs_to("user_account", "user_id"),
        belongs_to("sso_connection", "connection_id"),
        Index("ix_sso_session_user", "tenant_id", "user_id"),
        Index("ix_sso_session_connection", "tenant_id", "connection_id"),
        Index("ix_sso_session_expires", "expires_at"),
    )

    tenant_id: str = key()
    family_id: str = key()
    user_id: str
    connection_id: str
    sealed: str = sealed()
    created_at: datetime = moment()
    expires_at: datetime = moment()


class UserIdentity(SQLModel, table=True):
    """Who a person is at a provider. An account has one identity at an issuer; an identity belongs to one account."""

    __tablename__ = "user_identity"
    __table_args__ = (
        belongs_to("user_account", "user_id"),
        belongs_to("sso_connection", "connection_id"),
        Index("uq_user_identity_user", "tenant_id", "user_id", "issuer", unique=True),
        Index("ix_user_identity_connection", "tenant_id", "connection_id"),
    )

    tenant_id: str = key()
    issuer: str = key()
    subject: str = key()
    user_id: str
    connection_id: str
    created_at: datetime = moment()
    last_login_at: datetime = moment()
