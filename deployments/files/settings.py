"""What files can be told."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from deployments.kit.secret_keys import RotatingKey

MEBIBYTE = 1024 * 1024


class FilesSettings(BaseModel):
    """Limits of files and how they are checked. Sizes are in bytes, times in seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    signing_key: RotatingKey = Field(description="Signs links to files and addresses of uploads.")
    public_url: str = Field(default="", description="Origin of the platform, for links.")
    max_file_bytes: int = Field(
        default=25 * MEBIBYTE, ge=1, description="Largest file, where a field does not say less."
    )
    max_image_pixels: int = Field(default=50_000_000, ge=1, description="Most pixels of an image, all frames together.")
    uploads_per_hour: int = Field(default=200, ge=1, description="Most files a visitor's address may begin in an hour.")
    upload_life_s: float = Field(default=86_400.0, gt=0, description="How long an upload may take, with interruptions.")
    unattached_life_s: float = Field(default=86_400.0, gt=0, description="How long a file waits for its response.")
    link_life_s: int = Field(default=900, ge=1, description="Life of a signed link, where nothing else is asked for.")
    clamav_url: str = Field(default="", description="clamd, tcp://host:3310 or unix:///path; empty for no scan.")
    clamav_down: Literal["refuse", "accept"] = Field(default="refuse", description="What to do when clamd is away.")
    clamav_timeout_s: float = Field(default=30.0, gt=0, description="Time for clamd to judge a file.")
    examined_at_once: int = Field(default=2, ge=1, description="Files that one process looks into at a time.")
