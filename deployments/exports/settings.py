"""What exports can be told."""

from datetime import timedelta

from pydantic import BaseModel, ConfigDict, Field

from deployments.kit.secret_keys import RotatingKey


class ExportsSettings(BaseModel):
    """How long exports are kept, and whether there is a lake."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    signing_key: RotatingKey = Field(description="Signs links to exports.")
    public_url: str = Field(default="", description="Origin of the platform, for links.")
    life_days: int = Field(default=7, ge=1, le=365, description="Days that an export is kept.")
    lake: bool = Field(default=True, description="Whether responses are written to the lake each day.")

    @property
    def life(self) -> timedelta:
        """How long an export is kept."""
        return timedelta(days=self.life_days)
