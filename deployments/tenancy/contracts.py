"""What crosses the door of tenancy."""

from datetime import datetime
from typing import Literal, Protocol

from pydantic import Field

from deployments.kit.contract import Contract, Page
from deployments.kit.principal import Principal
from deployments.tenancy.people_contracts import ErasePerson, PersonErasure, PersonErasureReceipt


class Meter(Contract):
    """How much there is of something and how much there may be; `limit` is null for no limit."""

    used: int
    limit: int | None


class TenantUsage(Contract):
    """What a tenant holds at this moment, exactly, and how each of its switches stands."""

    meters: dict[str, Meter]
    features: dict[str, bool]


class OrderedJob(Contract):
    """The job that does the work; its state is at the address in `Location`."""

    job_id: str


class TenantExport(Contract):
    """A copy of everything a tenant has, as a ZIP file that can be fetched until `expires_at`."""

    id: str
    job_id: str
    state: Literal["queued", "running", "ready", "failed", "cancelled"]
    requested_by: str
    created_at: datetime
    finished_at: datetime | None
    expires_at: datetime | None
    rows: int
    bytes: int


class ExportFile(Contract):
    """Where an export lies in the object store."""

    file: str
    bytes: int


class EraseTenant(Contract):
    """`confirm` repeats the tenant's id. `force` does not wait for the end of the grace period."""

    confirm: str = Field(max_length=63, description="The tenant's id, once more.")
    force: bool = Field(default=False, description="Erase although the grace period is not over.")


class ErasureReceipt(Contract):
    """Proof that a tenant was erased: what was deleted, signed by the platform (Ed25519, RFC 8032).

    The signature, in base64, is over the JSON of all the rest with sorted keys and without spaces.
    """

    tenant_id: str
    requested_by: str
    started_at: datetime
    ended_at: datetime
    rows: dict[str, int] = Field(description="Rows deleted, by table.")
    objects: int = Field(description="Files deleted.")
    messages: int = Field(description="Messages removed from the event stream.")
    audit_sequence: int = Field(description="Entries that the tenant's audit trail had.")
    audit_hash: str = Field(description="Hash of its last entry: it stands for the whole trail.")
    public_key: str = Field(description="Key that verifies the signature, in base64.")
    signature: str


class PlatformMeasures(Contract):
    """How much there is on the platform: tenants and forms by status, responses, and people who may log in."""

    tenants: dict[str, int]
    forms: dict[str, int]
    responses: int
    people: int


class TenancyApi(Protocol):
    """A tenant as a whole: what it uses, a copy of everything it has, its erasure, and that of single persons."""

    async def usage(self, principal: Principal, tenant_id: str) -> TenantUsage: ...

    async def start_export(self, principal: Principal, tenant_id: str) -> OrderedJob: ...

    async def list_exports(
        self, principal: Principal, tenant_id: str, cursor: str | None, limit: int
    ) -> Page[TenantExport]: ...

    async def open_export(self, principal: Principal, tenant_id: str, export_id: str) -> ExportFile: ...

    async def start_erasure(self, principal: Principal, tenant_id: str, command: EraseTenant) -> OrderedJob: ...

    async def list_receipts(self, principal: Principal, cursor: str | None, limit: int) -> Page[ErasureReceipt]: ...

    async def get_receipt(self, principal: Principal, tenant_id: str) -> ErasureReceipt: ...

    async def measure(self) -> PlatformMeasures:
        """The numbers of the whole platform. Raises DatabaseUnavailable."""
        ...

    async def erase_person(self, principal: Principal, command: ErasePerson) -> PersonErasure: ...

    async def list_person_erasures(
        self, principal: Principal, cursor: str | None, limit: int
    ) -> Page[PersonErasure]: ...

    async def get_person_erasure(self, principal: Principal, erasure_id: str) -> PersonErasure: ...

    async def get_person_receipt(self, principal: Principal, erasure_id: str) -> PersonErasureReceipt: ...
