"""What people show beside a password: second factors, recovery codes, and challenges that a code answers."""

from datetime import datetime

from sqlalchemy import Index
from sqlmodel import SQLModel

from db.models.columns import belongs_to, key, moment, sealed


class SecondFactor(SQLModel, table=True):
    """A second factor of a person; it counts from `confirmed_at` on.

    `secret` is encrypted, `last_step` the last time step (RFC 6238) whose code was used: both are for TOTP only.
    """

    __tablename__ = "second_factor"
    __table_args__ = (belongs_to("user_account", "user_id"),)

    tenant_id: str = key()
    user_id: str = key()
    kind: str = key()
    secret: str | None = sealed(default=None)
    last_step: int | None = None
    created_at: datetime = moment()
    confirmed_at: datetime | None = moment(default=None)


class RecoveryCode(SQLModel, table=True):
    """A code that stands in once for a second factor that is lost. Only its hash is kept."""

    __tablename__ = "recovery_code"
    __table_args__ = (belongs_to("user_account", "user_id"),)

    tenant_id: str = key()
    user_id: str = key()
    code_hash: str = key()
    created_at: datetime = moment()
    used_at: datetime | None = moment(default=None)


class Challenge(SQLModel, table=True):
    """A question that whoever holds its token may answer with a code, a few times, until `expires_at`.

    `account` is the fingerprint of the e-mail that was named. There is a challenge for accounts and tenants that do not
    exist, too; their `user_id` stays empty. `proof` is the fingerprint of the password hash that was known to whoever
    got the challenge, `target` the telephone number that is to be verified, `amr` what was shown already.
    """

    __tablename__ = "challenge"
    __table_args__ = (
        belongs_to("user_account", "user_id"),
        Index("uq_challenge_token", "token_hash", unique=True),
        Index("ix_challenge_account", "tenant_id", "account"),
        Index("ix_challenge_expires", "expires_at"),
    )

    tenant_id: str = key()
    id: str = key()
    purpose: str
    account: str
    token_hash: str
    user_id: str | None = None
    channel: str | None = None
    target: str | None = None
    proof: str | None = None
    amr: str = ""
    code_hash: str | None = None
    tries: int = 0
    created_at: datetime = moment()
    expires_at: datetime = moment()
    used_at: datetime | None = moment(default=None)
