"""Who did what: entries chained by hash, one chain for each tenant."""

from datetime import datetime

from sqlalchemy import BigInteger, Index
from sqlmodel import Field, SQLModel

from db.models.columns import key, moment


class AuditEntry(SQLModel, table=True):
    """One thing somebody did. `hash` covers every other column, `previous_hash` is the entry's before it."""

    __tablename__ = "audit_entry"
    __table_args__ = (
        Index("ix_audit_entry_entity", "tenant_id", "entity_id", "sequence"),
        Index("ix_audit_entry_actor", "tenant_id", "actor", "sequence"),
    )

    tenant_id: str = key()
    sequence: int = key(sa_type=BigInteger)
    at: datetime = moment()
    actor: str
    action: str
    entity_id: str
    form_id: str | None = None
    address: str
    user_agent: str
    request_id: str
    details: str
    previous_hash: str
    hash: str


class AuditHead(SQLModel, table=True):
    """The end of a tenant's chain; whoever appends holds its lock."""

    __tablename__ = "audit_head"

    tenant_id: str = key()
    sequence: int = Field(sa_type=BigInteger)
    hash: str
