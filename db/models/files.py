"""Files that people sent for the answers of forms, and the pieces of those that are still on their way."""

from datetime import datetime

from sqlalchemy import BigInteger, Index
from sqlmodel import Field, SQLModel

from db.models.columns import belongs_to, key, moment


class File(SQLModel, table=True):
    """A file of a form's field. It refers to no other row, because it has to outlive them: the row is how the platform
    knows that there is an object to remove.

    `state`: `receiving` (`received` of `size` bytes are there), `stored`, `refused` (nothing is left of it, it only
    counts against its sender's limit). `response_id` is set when a response has it as an answer; until then, and after
    `expires_at`, it may be swept away. `caller` stands for a visitor's network address without telling it.
    """

    __tablename__ = "file"
    __table_args__ = (
        Index("ix_file_response", "tenant_id", "response_id"),
        Index("ix_file_form", "tenant_id", "form_id"),
        Index("ix_file_caller", "tenant_id", "caller", "created_at"),
        Index("ix_file_expires", "expires_at"),
    )

    tenant_id: str = key()
    id: str = key()
    form_id: str
    field_id: str
    response_id: str | None = None
    state: str
    name: str
    type: str = ""
    size: int = Field(sa_type=BigInteger)
    received: int = Field(default=0, sa_type=BigInteger)
    sha256: str = ""
    scanned: bool = False
    uploaded_by: str
    caller: str = ""
    created_at: datetime = moment()
    expires_at: datetime | None = moment(default=None)
    attached_at: datetime | None = moment(default=None)


class FilePart(SQLModel, table=True):
    """A piece of a file that is on its way: where it starts, and its key in the object store."""

    __tablename__ = "file_part"
    __table_args__ = (belongs_to("file", "file_id"),)

    tenant_id: str = key()
    file_id: str = key()
    start: int = Field(primary_key=True, sa_type=BigInteger)
    size: int = Field(sa_type=BigInteger)
    object: str
