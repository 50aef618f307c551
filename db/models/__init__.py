"""Every table. Importing this package fills `SQLModel.metadata`, which migrations and tests read."""

from sqlmodel import SQLModel

from db.models import (
    accounts,
    audit,
    events,
    factors,
    forms,
    grants,
    identity,
    imports,
    jobs,
    notifications,
    responses,
    webhooks,
)

__all__ = [
    "SQLModel",
    "accounts",
    "audit",
    "events",
    "factors",
    "forms",
    "grants",
    "identity",
    "imports",
    "jobs",
    "notifications",
    "responses",
    "webhooks",
]
