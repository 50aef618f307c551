"""What models can be told."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class ModelsSettings(BaseModel):
    """Where models are and how they are run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    folder: Path = Field(description="The registry: a folder for each version of each model.")
    precision: Literal["int8", "fp32"] = Field(default="int8", description="Weights of the encoder.")
    threads: int = Field(default=1, ge=1, le=64, description="Threads of one model in one process.")
    generation_model: Path | None = Field(default=None, description="Folder of a model for ONNX Runtime GenAI.")
    generation_deadline_s: float = Field(default=30.0, gt=0, description="Time for one text of that model.")
