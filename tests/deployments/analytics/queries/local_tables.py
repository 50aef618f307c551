"""The tables of forms in this process: files as the lake has them, read by DuckDB."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq  # type: ignore[import-untyped]

from db.types import utc_now
from deployments.analytics.queries.tables import Limits, TableColumn, TableSchema
from deployments.kit.principal import Principal
from deployments.responses.deployment import Responses
from tests.deployments.exports.reading import file_of


class LocalTables:
    """Satisfies `Tables`. `asked` are the statements that were run, with their parameters."""

    def __init__(self, responses: Responses, owner: Principal, folder: Path) -> None:
        self._responses = responses
        self._owner = owner
        self._folder = folder
        self._known: dict[str, TableSchema] = {}
        self._duckdb = duckdb.connect(config={"threads": 1})
        self.asked: list[tuple[str, list[Any]]] = []

    def close(self) -> None:
        self._duckdb.close()

    async def table(self, principal: Principal, form_id: str) -> TableSchema:
        if form_id not in self._known:
            content = await file_of(
                self._responses,
                self._owner,
                form_id,
                "parquet",
                labels=False,
                lists=True,
                details=True,
                status="complete",
            )
            path = self._folder / f"{form_id}.parquet"
            await asyncio.to_thread(path.write_bytes, content)
            file = pq.ParquetFile(path)
            view = f"form_{len(self._known)}"
            self._duckdb.execute(f"CREATE TABLE {view} AS FROM read_parquet('{path}')")
            types = [row[1] for row in self._duckdb.execute(f"DESCRIBE {view}").fetchall()]
            months = await self._responses.changed_months(self._owner, form_id, 0)
            columns = []
            for field, kind in zip(file.schema_arrow, types, strict=True):
                metadata = field.metadata or {}
                name = metadata.get(b"field", b"").decode() or None
                title = metadata.get(b"title", b"").decode()
                columns.append(TableColumn(field.name, kind, name, title, name in months.personal))
            self._known[form_id] = TableSchema(view, tuple(columns), file.metadata.num_rows, months.change, utc_now())
        return self._known[form_id]

    async def run(
        self, principal: Principal, form_ids: Sequence[str], sql: str, parameters: Sequence[Any], limits: Limits
    ) -> Any:
        self.asked.append((sql, list(parameters)))
        found = self._duckdb.sql(sql, params=list(parameters)).to_arrow_table()
        return found.slice(0, limits.rows)
