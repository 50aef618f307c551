"""Tenants, the people and programs of each, and their credentials."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index
from sqlmodel import Field, SQLModel

from db.models.columns import belongs_to, document, key, moment

PLATFORM_TENANT = "_platform"


class Tenant(SQLModel, table=True):
    """A customer. `_platform` is the tenant of the platform's own administrators."""

    __tablename__ = "tenant"

    id: str = key()
    name: str
    status: str = "active"
    settings: dict[str, Any] = document()
    created_at: datetime = moment()
    updated_at: datetime = moment()
    deleted_at: datetime | None = moment(default=None)
    erase_after: datetime | None = moment(default=None)
    erased_at: datetime | None = moment(default=None)


class TenantHost(SQLModel, table=True):
    """A host name that selects a tenant. Unique over all tenants: a name leads to one place."""

    __tablename__ = "tenant_host"
    __table_args__ = (Index("uq_tenant_host_host", "host", unique=True),)

    tenant_id: str = Field(primary_key=True, sa_column_args=(ForeignKey("tenant.id", ondelete="CASCADE"),))
    host: str = key()


class User(SQLModel, table=True):
    """A person of one tenant; the same e-mail may exist in two tenants (T4)."""

    __tablename__ = "user_account"
    __table_args__ = (Index("uq_user_account_email", "tenant_id", "email", unique=True),)

    tenant_id: str = Field(primary_key=True, sa_column_args=(ForeignKey("tenant.id", ondelete="CASCADE"),))
    id: str = key()
    email: str
    name: str
    role: str
    password_hash: str
    status: str = "active"
    created_at: datetime = moment()
    email_verified_at: datetime | None = moment(default=None)
    phone: str | None = None
    phone_verified_at: datetime | None = moment(default=None)


class RefreshToken(SQLModel, table=True):
    """One link of a refresh chain. Using a link twice revokes its whole family."""

    __tablename__ = "refresh_token"
    __table_args__ = (
        belongs_to("user_account", "user_id"),
        Index("uq_refresh_token_hash", "token_hash", unique=True),
        Index("ix_refresh_token_family", "tenant_id", "family_id"),
        Index("ix_refresh_token_user", "tenant_id", "user_id"),
        Index("ix_refresh_token_expires", "expires_at"),
    )

    tenant_id: str = key()
    id: str = key()
    user_id: str
    family_id: str
    token_hash: str
    created_at: datetime = moment()
    expires_at: datetime = moment()
    used_at: datetime | None = moment(default=None)
    address: str = Field(default="", sa_column_kwargs={"server_default": ""})
    user_agent: str = Field(default="", sa_column_kwargs={"server_default": ""})
    amr: str = Field(default="", sa_column_kwargs={"server_default": ""})
    revoked_at: datetime | None = moment(default=None)


class ApiKey(SQLModel, table=True):
    """A program's credential: only the hash of the key is kept."""

    __tablename__ = "api_key"
    __table_args__ = (Index("uq_api_key_hash", "key_hash", unique=True),)

    tenant_id: str = Field(primary_key=True, sa_column_args=(ForeignKey("tenant.id", ondelete="CASCADE"),))
    id: str = key()
    name: str
    scopes: list[str] = document()
    key_hash: str
    prefix: str
    created_by: str
    created_at: datetime = moment()
    expires_at: datetime | None = moment(default=None)
    last_used_at: datetime | None = moment(default=None)
    revoked_at: datetime | None = moment(default=None)
