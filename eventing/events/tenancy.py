"""Facts about the life cycle of a tenant."""

from dataclasses import dataclass
from typing import ClassVar

from eventing.events.envelope import EventData


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantSuspended(EventData):
    """A platform administrator closed a tenant for the time being."""

    type: ClassVar[str] = "tenant.suspended"
    entity: ClassVar[str] = "tenant_id"
    tenant_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantResumed(EventData):
    """A suspended or deleted tenant is active again."""

    type: ClassVar[str] = "tenant.resumed"
    entity: ClassVar[str] = "tenant_id"
    tenant_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantDeleted(EventData):
    """A tenant was closed; it can be resumed until `erase_after` (RFC 3339)."""

    type: ClassVar[str] = "tenant.deleted"
    entity: ClassVar[str] = "tenant_id"
    tenant_id: str
    erase_after: str
