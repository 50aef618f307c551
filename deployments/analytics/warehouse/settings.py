"""What the warehouse can be told."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field


class WarehouseSettings(BaseModel):
    """Where local copies are kept, and what a statement may cost."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    folder: Path | None = Field(default=None, description="Folder of local copies; without one, a temporary one.")
    cache_bytes: int = Field(default=4 << 30, description="Room for local copies in one process, in bytes.")
    memory: int = Field(default=512 << 20, description="Memory of the engine for one statement, in bytes.")
    threads: int = Field(default=2, description="Threads of one statement.")
    processes: int = Field(default=4, description="Processes for statements beside one process of the platform.")
    per_tenant: int = Field(default=2, description="Statements of a tenant at once in one process of the platform.")
    seconds: float = Field(default=20.0, description="Time for one statement.")
    rows: int = Field(default=100_000, description="Most rows of an answer.")
    bytes: int = Field(default=32 << 20, description="Most bytes of an answer, as Arrow holds it.")
