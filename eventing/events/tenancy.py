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


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantExportRequested(EventData):
    """Somebody asked for a copy of everything the tenant has."""

    type: ClassVar[str] = "tenant.export_requested"
    entity: ClassVar[str] = "export_id"
    export_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantExported(EventData):
    """A copy of everything the tenant has can be fetched until `expires_at` (RFC 3339)."""

    type: ClassVar[str] = "tenant.exported"
    entity: ClassVar[str] = "export_id"
    export_id: str
    rows: int
    bytes: int
    expires_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantErasureRequested(EventData):
    """A deleted tenant is going to be erased; a fact of the platform's own tenant."""

    type: ClassVar[str] = "tenant.erasure_requested"
    entity: ClassVar[str] = "erased_tenant_id"
    erased_tenant_id: str
    force: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantErased(EventData):
    """Nothing is left of a tenant but its id and the receipt; a fact of the platform's own tenant."""

    type: ClassVar[str] = "tenant.erased"
    entity: ClassVar[str] = "erased_tenant_id"
    erased_tenant_id: str
    rows: int
    objects: int
    messages: int


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaExceeded(EventData):
    """Somebody wanted more of something than the tenant may have; told once a day for each quota."""

    type: ClassVar[str] = "quota.exceeded"
    audited: ClassVar[bool] = False
    entity: ClassVar[str] = "quota"
    quota: str
    limit: int


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaApproached(EventData):
    """The tenant uses four fifths of a quota; told once a month for each, and for each form where that counts."""

    type: ClassVar[str] = "quota.approached"
    audited: ClassVar[bool] = False
    entity: ClassVar[str] = "quota"
    quota: str
    used: int
    limit: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonErasureRequested(EventData):
    """Somebody asked for everything that a person answered to be erased, or with `dry_run` only to be found."""

    type: ClassVar[str] = "person.erasure_requested"
    entity: ClassVar[str] = "erasure_id"
    erasure_id: str
    subject_kind: str
    dry_run: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonErased(EventData):
    """Everything that a person answered is erased. Whoever keeps a copy erases the responses whose purging was told."""

    type: ClassVar[str] = "person.erased"
    entity: ClassVar[str] = "erasure_id"
    erasure_id: str
    responses: int
