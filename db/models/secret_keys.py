"""The secret keys that the platform has had."""

from datetime import datetime

from sqlmodel import SQLModel

from db.models.columns import key, moment, sealed


class SecretKey(SQLModel, table=True):
    """A secret key by its public name; the key itself is nowhere in the database.

    `sealed` is what outlives it, encrypted with the key of the day. It made what was made from `noted_at` until
    `retired_at`.
    """

    __tablename__ = "secret_key"

    tenant_id: str = key()
    id: str = key()
    sealed: str = sealed()
    noted_at: datetime = moment()
    retired_at: datetime | None = moment(default=None)
