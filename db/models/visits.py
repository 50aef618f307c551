"""What is remembered of those who answer, for a while: how often an address did, and which captchas were solved."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index
from sqlmodel import Field, SQLModel

from db.models.columns import belongs_to, key, moment, sealed


class AddressCount(SQLModel, table=True):
    """How many responses of a form came from one network address until `expires_at`. `caller` stands for the address
    without telling it."""

    __tablename__ = "address_count"
    __table_args__ = (belongs_to("form", "form_id"), Index("ix_address_count_expires", "expires_at"))

    tenant_id: str = key()
    form_id: str = key()
    caller: str = key()
    responses: int
    expires_at: datetime = moment()


class CaptchaProvider(SQLModel, table=True):
    """Who tells a tenant people from programs: its site key, and its secret, encrypted."""

    __tablename__ = "captcha_provider"

    tenant_id: str = Field(primary_key=True, sa_column_args=(ForeignKey("tenant.id", ondelete="CASCADE"),))
    provider: str
    site_key: str
    secret: str = sealed()
    verify_url: str
    updated_by: str
    updated_at: datetime = moment()


class CaptchaPass(SQLModel, table=True):
    """A token that was shown to the provider for one call: the call may be repeated, the token is asked about once.

    `verdict` is empty while the provider is asked.
    """

    __tablename__ = "captcha_pass"
    __table_args__ = (Index("ix_captcha_pass_expires", "expires_at"),)

    tenant_id: str = key()
    digest: str = key()
    call: str
    verdict: str = ""
    expires_at: datetime = moment()
