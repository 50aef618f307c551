"""What accounts need beside their row: attempts to get in."""

from datetime import datetime

from sqlalchemy import Index
from sqlmodel import SQLModel

from db.models.columns import key, moment


class LoginAttempts(SQLModel, table=True):
    """How often somebody tried to get in lately: by account, and by address under the platform's tenant.

    There is a row for accounts and tenants that do not exist, too. `started` counts attempts that failed or are under
    way, `failed` those that failed; both end at `expires_at`.
    """

    __tablename__ = "login_attempts"
    __table_args__ = (Index("ix_login_attempts_expires", "expires_at"),)

    tenant_id: str = key()
    subject: str = key()
    started: int
    failed: int
    expires_at: datetime = moment()
