"""Keys that sign access tokens."""

from datetime import datetime

from sqlmodel import SQLModel

from db.models.columns import key, moment, sealed


class SigningKey(SQLModel, table=True):
    """A key of the platform, by its `kid`.

    `sealed` is the private key, encrypted; empty for the one that is derived from the secret key. It signs from
    `active_at` until `retired_at`, and what it signed is accepted while it lives, unless `revoked_at` is set.
    """

    __tablename__ = "signing_key"

    tenant_id: str = key()
    id: str = key()
    algorithm: str
    sealed: str = sealed(default="")
    created_at: datetime = moment()
    active_at: datetime = moment()
    retired_at: datetime | None = moment(default=None)
    revoked_at: datetime | None = moment(default=None)
