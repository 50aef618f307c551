"""What crosses the door of audit."""

from typing import Protocol


class AuditApi(Protocol):
    """What was done in a tenant, by whom, from where; provably unchanged."""
