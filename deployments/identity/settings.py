"""What identity needs to know."""

from pydantic import BaseModel, ConfigDict, Field

from deployments.kit.secret_keys import RotatingKey


class IdentitySettings(BaseModel):
    """How people and programs prove who they are."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    signing_key: RotatingKey = Field(description="Secret that signs access tokens until another key is added.")
    issuer: str = Field(default="formstream", min_length=1, description="`iss` of the access tokens (RFC 7519).")
    public_url: str = Field(default="http://127.0.0.1:8000", description="Origin that links in mails begin with.")
    require_verified_email: bool = Field(default=False, description="Whether people have to verify their e-mail first.")
    signup_enabled: bool = Field(default=True, description="Whether anybody may create a tenant.")
    tenant_grace_days: int = Field(
        default=30, ge=0, le=3650, description="How long a deleted tenant can be resumed before it may be erased."
    )
    access_token_life_s: int = Field(default=900, ge=60, le=86_400, description="Life of an access token in seconds.")
    refresh_token_life_s: int = Field(
        default=30 * 86_400, ge=3_600, le=365 * 86_400, description="Longest time between two logins in seconds."
    )
    hash_concurrency: int = Field(default=2, ge=1, le=64, description="Password hashes computed at the same time.")
    hash_waiting: int = Field(default=64, ge=0, le=1_024, description="Calls that may wait for a password hash.")
