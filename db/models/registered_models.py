"""Models that tenants brought."""

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey
from sqlmodel import Field, SQLModel

from db.models.columns import document, key, moment


class RegisteredModel(SQLModel, table=True):
    """An archive in the object store. `state` is checking, ready or refused: `problem` is a code then, and `reason` a
    sentence. `kind` and `labels` are what the check found."""

    __tablename__ = "registered_model"

    tenant_id: str = Field(primary_key=True, sa_column_args=(ForeignKey("tenant.id", ondelete="CASCADE"),))
    id: str = key()
    name: str
    file: str
    size: int = Field(sa_type=BigInteger)
    sha256: str
    state: str
    kind: str | None = None
    labels: list[str] = document()
    problem: str | None = None
    reason: str | None = None
    created_by: str
    created_at: datetime = moment()
