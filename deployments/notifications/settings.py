"""What notifications need to know."""

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from deployments.kit.secret_keys import RotatingKey


class NotificationsSettings(BaseModel):
    """How mail leaves, and how people get out of it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    signing_key: RotatingKey = Field(description="Secret that signs links to unsubscribe.")
    public_url: str = Field(default="http://127.0.0.1:8000", description="Origin that links in mails begin with.")
    sender: str = Field(default="Formstream <formstream@localhost>", description="Sender of mail.")
    bounces: str = Field(default="", description="Where undeliverable mail is told of; empty for the sender.")
    sms_token: SecretStr = Field(
        default=SecretStr(""), description="What the provider of text messages signs with; empty without one."
    )
    mailings_per_minute: int = Field(
        default=600, ge=1, description="Mails of mailings that a tenant sends in a minute."
    )
