"""Queries on the warehouse: its tables, with how far they reach."""

from collections.abc import Sequence
from typing import Any

from db.repositories.form_sizes import FormSizeRepository
from db.session import Database
from db.types import utc_now
from deployments.analytics.queries.tables import Limits, TableColumn, TableSchema
from deployments.analytics.warehouse.warehouse import Limits as WarehouseLimits
from deployments.analytics.warehouse.warehouse import Warehouse
from deployments.kit.principal import Principal


class WarehouseTables:
    """Satisfies `Tables`. A statement finds what was stored before it began, so the form's last change before that is
    in it."""

    def __init__(self, database: Database, warehouse: Warehouse) -> None:
        self._database = database
        self._warehouse = warehouse

    async def table(self, principal: Principal, form_id: str) -> TableSchema:
        async with self._database.read(principal.tenant_id) as unit:
            responses, change = await FormSizeRepository(unit.session, unit.tenant).size(form_id)
            as_of = utc_now()
        found = await self._warehouse.table(principal, form_id)
        columns = tuple(
            TableColumn(each.name, each.type, each.field, each.title, each.personal) for each in found.columns
        )
        return TableSchema(found.view, columns, responses, change, as_of)

    async def run(
        self, principal: Principal, form_ids: Sequence[str], sql: str, parameters: Sequence[Any], limits: Limits
    ) -> Any:
        wanted = WarehouseLimits(rows=limits.rows, seconds=limits.seconds)
        return await self._warehouse.run(principal, form_ids, sql, list(parameters), wanted)
