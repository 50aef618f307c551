"""What crosses the door of tenancy."""

from typing import Protocol


class TenancyApi(Protocol):
    """The life cycle of tenants: usage, export, deletion and erasure."""
