"""What the data room needs to know."""

from pydantic import BaseModel, ConfigDict, Field


class DatabaseSettings(BaseModel):
    """Where the data lives and how many connections one process may hold."""

    model_config = ConfigDict(frozen=True)

    url: str = Field(description="SQLAlchemy URL: sqlite:///file or postgresql+asyncpg://user@host/db.")
    pool_size: int = Field(
        default=8, ge=1, description="Connections one process keeps (PostgreSQL), or readers (SQLite)."
    )
    replica_urls: tuple[str, ...] = Field(
        default=(),
        description="The same for read replicas of PostgreSQL, which answer reads that may be a little late.",
    )
    replica_lag_s: float = Field(default=0.4, gt=0, description="A replica further behind than this is left alone.")
    wait_s: float = Field(default=10.0, gt=0, description="Longest wait in seconds for a connection or a lock.")

    yields: bool = Field(
        default=False, description="Whether what this process writes can wait for those who wait for an answer."
    )

    @property
    def is_sqlite(self) -> bool:
        return self.url.startswith("sqlite")
