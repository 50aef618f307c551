"""What federation needs to know."""

from pydantic import BaseModel, ConfigDict, Field


class FederationSettings(BaseModel):
    """Where browsers find the platform, and how long things take. Times are in seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    public_url: str = Field(default="http://127.0.0.1:8000", description="Origin that browsers come back to.")
    egress_allow: tuple[str, ...] = Field(default=(), description="Networks whose providers may speak plain HTTP.")
    login_life_s: int = Field(default=600, ge=1, description="Time between leaving for the provider and coming back.")
    code_life_s: int = Field(default=60, ge=1, description="Time to exchange a login code for a session.")
    request_timeout_s: float = Field(default=4.0, gt=0, description="Time for one request to a provider.")
    answer_timeout_s: float = Field(default=8.0, gt=0, description="Time for all requests to a provider in one call.")
    max_document_bytes: int = Field(default=256 * 1024, ge=1024, description="Largest answer of a provider.")
    metadata_life_s: float = Field(default=3600.0, gt=0, description="Time for which a provider's metadata are kept.")
    keys_life_s: float = Field(default=600.0, gt=0, description="Time for which a provider's keys are kept.")
    refetch_after_s: float = Field(default=60.0, ge=0, description="Least time between two fetches for an unknown key.")
    failure_life_s: float = Field(default=5.0, ge=0, description="Time for which a failing provider is left alone.")
    max_requests: int = Field(default=16, ge=1, description="Requests to the providers of one tenant at a time.")

    @property
    def redirect_uri(self) -> str:
        """Where every provider sends browsers back to."""
        return f"{self.public_url}/api/v1/auth/oidc/callback"

    @property
    def post_logout_redirect_uri(self) -> str:
        """Where every provider sends browsers back to after a logout."""
        return f"{self.public_url}/api/v1/auth/oidc/logged-out"
