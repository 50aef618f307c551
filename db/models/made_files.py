"""Files that jobs make of a form's responses."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger
from sqlmodel import Field, SQLModel

from db.models.columns import document, key, moment


class MadeFile(SQLModel):
    """What each of them has, whatever it holds: who wanted it and `wanted` what, the job that makes it, and its end.

    `file` is its key in the object store when it is finished. `sees_personal`: who ordered it had the right to see
    personal answers, so they may be in it.
    """

    tenant_id: str = key()
    id: str = key()
    form_id: str
    wanted: dict[str, Any] = document()
    sees_personal: bool
    job_id: str
    requested_by: str
    created_at: datetime = moment()
    finished_at: datetime | None = moment(default=None)
    expires_at: datetime = moment()
    file: str | None = None
    sha256: str = ""
    bytes: int = Field(default=0, sa_type=BigInteger)
