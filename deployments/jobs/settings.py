"""What jobs can be told."""

from datetime import timedelta

from pydantic import BaseModel, ConfigDict, Field


class JobsSettings(BaseModel):
    """How long finished jobs are kept with their results, in days."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kept_days: int = Field(default=30, ge=1, le=3650)
    failed_kept_days: int = Field(default=90, ge=1, le=3650)

    def kept(self, state: str) -> timedelta:
        """How long a job that ended in this state is kept."""
        return timedelta(days=self.failed_kept_days if state == "failed" else self.kept_days)
