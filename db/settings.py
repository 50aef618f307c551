"""What the data room needs to know."""

from pydantic import BaseModel, ConfigDict, Field


class DatabaseSettings(BaseModel):
    """Where the data lives and how many connections one process may hold."""

    model_config = ConfigDict(frozen=True)

    url: str = Field(description="SQLAlchemy URL: sqlite+aiosqlite:///file or postgresql+asyncpg://user@host/db.")
    pool_size: int = Field(
        default=8, ge=1, description="Connections one process keeps (PostgreSQL), or readers (SQLite)."
    )
    wait_s: float = Field(default=10.0, gt=0, description="Longest wait in seconds for a connection or a lock.")

    @property
    def is_sqlite(self) -> bool:
        return self.url.startswith("sqlite")
