"""The door of analytics: opens the unit of work, calls the rules, returns contracts."""

from db.repositories.lake import LakeRepository
from db.session import Database
from db.types import utc_now
from deployments.analytics.contracts import AnalyticsHealth, LiveLag
from deployments.analytics.forecasting import Forecasting
from deployments.analytics.forecasts.fitting import Fitter
from deployments.analytics.metrics.door import LiveMetrics, lag_of
from deployments.analytics.queries.asking import Asking
from deployments.analytics.queries.warehouse import WarehouseTables
from deployments.analytics.querying import Querying
from deployments.analytics.remembering import RememberedFigures
from deployments.analytics.sql import Sql
from deployments.analytics.warehouse.warehouse import Warehouse
from deployments.kit.cache import Caches
from deployments.kit.principal import Principal


class Analytics(LiveMetrics, Sql, Querying, Forecasting):
    """Figures on responses; satisfies `AnalyticsApi`."""

    def __init__(self, database: Database, warehouse: Warehouse, caches: Caches | None = None) -> None:
        self._database = database
        self._warehouse = warehouse
        self._asking = Asking(database, WarehouseTables(database, warehouse))
        self._remembered = None if caches is None else RememberedFigures(database, caches)
        self._fitter = Fitter()
        self._series = self

    async def health(self, principal: Principal) -> AnalyticsHealth:
        principal.require("analytics:read")
        async with self._database.read(principal.tenant_id) as unit:
            tables, oldest = await LakeRepository(unit.session, unit.tenant).age()
            forms, changes, waits_since = await lag_of(unit)
        seconds = (utc_now() - waits_since).total_seconds() if waits_since is not None else None
        live = LiveLag(forms=forms, changes=changes, seconds=seconds if forms else 0.0)
        return AnalyticsHealth(status="ok", live=live, tables=tables, oldest_table_at=oldest)

    async def close(self) -> None:
        """End the processes that were started for it, and remove local copies."""
        await self._fitter.close()
        await self._warehouse.close()
