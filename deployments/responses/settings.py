"""What responses need to know."""

from datetime import timedelta
from typing import Final

from pydantic import BaseModel, ConfigDict, Field

TRASH_LIFE: Final = timedelta(days=30)
"""How long a response stays in the trash."""


class ResponsesSettings(BaseModel):
    """How responses are kept."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    public_url: str = Field(default="", description="Origin of the platform, for addresses of files.")
    partial_life_days: int = Field(
        default=30, ge=1, le=365, description="Days that a partial response is kept after it was last saved."
    )

    @property
    def partial_life(self) -> timedelta:
        """The same as a time."""
        return timedelta(days=self.partial_life_days)
