"""What happens to a tenant as a whole: exports of its data, its erasure, its files, quotas that were reached."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey
from sqlmodel import Field, SQLModel

from db.models.columns import belongs_to, document, key, moment


class TenantExport(SQLModel, table=True):
    """A copy of everything a tenant has, made by a job of `job_tenant_id`. `file` is its key in the object store."""

    __tablename__ = "tenant_export"

    tenant_id: str = Field(primary_key=True, sa_column_args=(ForeignKey("tenant.id", ondelete="CASCADE"),))
    id: str = key()
    job_tenant_id: str
    job_id: str
    requested_by: str
    created_at: datetime = moment()
    finished_at: datetime | None = moment(default=None)
    expires_at: datetime | None = moment(default=None)
    file: str | None = None
    rows: int = Field(default=0, sa_type=BigInteger)
    bytes: int = Field(default=0, sa_type=BigInteger)


class TenantExportPart(SQLModel, table=True):
    """A finished piece of one table of an export: it stays when the worker dies. The next begins after `last_key`."""

    __tablename__ = "tenant_export_part"
    __table_args__ = (belongs_to("tenant_export", "export_id"),)

    tenant_id: str = key()
    export_id: str = key()
    source: str = key()
    number: int = key()
    file: str
    rows: int = Field(sa_type=BigInteger)
    last_key: list[Any] = document()
    is_last: bool


class ErasureReceipt(SQLModel, table=True):
    """How far the erasure of a tenant is, and in the end the signed proof of it. Kept by the platform's own tenant.

    `rows` counts what was deleted, by table. `signature` is empty until the erasure has ended.
    """

    __tablename__ = "erasure_receipt"

    tenant_id: str = key()
    erased_tenant_id: str = key()
    requested_by: str
    started_at: datetime = moment()
    ended_at: datetime | None = moment(default=None)
    rows: dict[str, int] = document()
    objects: int = Field(default=0, sa_type=BigInteger)
    messages: int = Field(default=0, sa_type=BigInteger)
    audit_sequence: int = Field(sa_type=BigInteger)
    audit_hash: str
    signature: str = ""
    public_key: str = ""


class StoredObject(SQLModel, table=True):
    """A file that counts against the tenant's quota, by its key in the object store."""

    __tablename__ = "stored_object"

    tenant_id: str = key()
    file: str = key()
    bytes: int = Field(sa_type=BigInteger)
    created_at: datetime = moment()


class QuotaNotice(SQLModel, table=True):
    """A quota was reached on this day (`2026-03-01`, in UTC), and the tenant's owners were told."""

    __tablename__ = "quota_notice"

    tenant_id: str = key()
    quota: str = key()
    day: str = key()
