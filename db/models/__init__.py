"""Every table. Importing this package fills `SQLModel.metadata`, which migrations and tests read."""

from sqlmodel import SQLModel

from db.models import (
    accounts,
    audit,
    events,
    forms,
    grants,
    identity,
    imports,
    invitations,
    jobs,
    link_tokens,
    notifications,
    responses,
    webhooks,
)

__all__ = [
    "SQLModel",
    "accounts",
    "audit",
    "events",
    "forms",
    "grants",
    "identity",
    "imports",
    "invitations",
    "jobs",
    "link_tokens",
    "notifications",
    "responses",
    "webhooks",
]
