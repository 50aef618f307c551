"""Every table. Importing this package fills `SQLModel.metadata`, which migrations and tests read."""

from sqlmodel import SQLModel

from db.models import (
    accounts,
    audit,
    events,
    factors,
    federation,
    files,
    forms,
    grants,
    identity,
    imports,
    invitations,
    jobs,
    link_tokens,
    notifications,
    responses,
    signing_keys,
    tenancy,
    webhooks,
)

__all__ = [
    "SQLModel",
    "accounts",
    "audit",
    "events",
    "factors",
    "federation",
    "files",
    "forms",
    "grants",
    "identity",
    "imports",
    "invitations",
    "jobs",
    "link_tokens",
    "notifications",
    "responses",
    "signing_keys",
    "tenancy",
    "webhooks",
]
