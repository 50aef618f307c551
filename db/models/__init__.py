"""Every table. Importing this package fills `SQLModel.metadata`, which migrations and tests read."""

from sqlmodel import SQLModel

from db.models import events, forms, identity, imports, jobs, notifications, responses, webhooks

__all__ = [
    "SQLModel",
    "events",
    "forms",
    "identity",
    "imports",
    "jobs",
    "notifications",
    "responses",
    "webhooks",
]
