"""Where queries are run: what they need of it, and no more."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from deployments.kit.principal import Principal


@dataclass(frozen=True, slots=True)
class TableColumn:
    """A column: its name and type as DuckDB has them, and the field that it is of, None for metadata."""

    name: str
    type: str
    field: str | None
    title: str
    personal: bool


@dataclass(frozen=True, slots=True)
class TableSchema:
    """The table of a form: what SQL calls it, its columns in their order, and what is in it."""

    view: str
    columns: tuple[TableColumn, ...]
    rows: int
    change: int
    as_of: datetime


@dataclass(frozen=True, slots=True)
class Limits:
    """The most rows that an answer may have, and how long it may take in seconds."""

    rows: int
    seconds: float


class Tables(Protocol):
    """The tables of forms, and read-only SQL on them in DuckDB's dialect."""

    async def table(self, principal: Principal, form_id: str) -> TableSchema:
        """The table as a query would find it now."""
        ...

    async def run(
        self, principal: Principal, form_ids: Sequence[str], sql: str, parameters: Sequence[Any], limits: Limits
    ) -> Any:
        """The rows as a `pyarrow.Table`. Parameters are texts, numbers and truths, `$1` the first. Raises a
        DomainError when it takes too long or too much."""
        ...
