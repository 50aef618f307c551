"""What reports can be told."""

from datetime import timedelta
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from deployments.kit.links import Links
from deployments.kit.secret_keys import RotatingKey


class ReportsSettings(BaseModel):
    """How long reports are kept, how they are mailed, and the fonts beside those that come along."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    signing_key: RotatingKey = Field(description="Signs links to reports.")
    public_url: str = Field(default="", description="Origin of the platform, for links.")
    life_days: int = Field(default=30, ge=1, le=365, description="Days that a report is kept.")
    attachment_bytes: int = Field(default=5_000_000, ge=0, description="Largest report that a mail carries.")
    fonts: Path | None = Field(default=None, description="Folder with more fonts.")

    @property
    def font_folders(self) -> tuple[Path, ...]:
        """The folders with more fonts."""
        return () if self.fonts is None else (self.fonts,)

    def links(self) -> Links:
        """What signs links to reports."""
        return Links(self.signing_key, "report", "rpt")

    @property
    def life(self) -> timedelta:
        """How long a report is kept."""
        return timedelta(days=self.life_days)
