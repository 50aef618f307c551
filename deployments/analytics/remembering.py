"""What is remembered of figures: dashboards ask the same ones over and over."""

from collections.abc import Awaitable, Callable
from typing import Final

from db.repositories.form_sizes import FormSizeRepository
from db.repositories.published_forms import searched_form
from db.session import Database
from deployments.analytics.errors import FormNotFound
from deployments.analytics.metric_contracts import FormMetrics, SeriesQuestion, Span, TimeSeries
from deployments.analytics.query_contracts import AskCrosstab, Crosstab, Query, QueryAnswer
from deployments.kit.cache import Cache, Caches, Key, Version
from deployments.kit.contract import Contract
from deployments.kit.principal import Principal

READ_PERSONAL: Final = "responses:read_personal"

_ANSWERS: Final = 2_000


class RememberedFigures:
    """Live figures for a moment, since views have no number that tells of a change; what is read from a form's table
    for as long as the form and its responses are the same. Who may see what is told by one right, which every key has;
    whether somebody may ask at all is for the caller to see to."""

    def __init__(self, database: Database, caches: Caches) -> None:
        self._database = database
        self._metrics: Cache[FormMetrics] = Cache("figures", caches, areas=("form",), capacity=_ANSWERS)
        self._series: Cache[TimeSeries] = Cache("figures_over_time", caches, areas=("form",), capacity=_ANSWERS)
        self._answers: Cache[QueryAnswer] = Cache("queries", caches, capacity=_ANSWERS, shape=QueryAnswer)
        self._crosstabs: Cache[Crosstab] = Cache("crosstabs", caches, capacity=_ANSWERS, shape=Crosstab)

    async def metrics(
        self, principal: Principal, form_id: str, asked: Span, read: Callable[[], Awaitable[FormMetrics]]
    ) -> FormMetrics:
        """The live figures of a form."""
        return await self._metrics.get(_key(principal, "metrics", form_id, asked), read)

    async def series(
        self, principal: Principal, form_id: str, asked: SeriesQuestion, read: Callable[[], Awaitable[TimeSeries]]
    ) -> TimeSeries:
        """A live figure over time."""
        return await self._series.get(_key(principal, "series", form_id, asked), read)

    async def answer(
        self, principal: Principal, query: Query, ask: Callable[[], Awaitable[QueryAnswer]]
    ) -> QueryAnswer:
        """The answer to a query."""
        key = _key(principal, "query", query.form_id, query)
        return await self._answers.get(key, ask, self._version(principal.tenant_id, query.form_id))

    async def crosstab(
        self, principal: Principal, asked: AskCrosstab, ask: Callable[[], Awaitable[Crosstab]]
    ) -> Crosstab:
        """Two fields against each other."""
        key = _key(principal, "crosstab", asked.form_id, asked)
        return await self._crosstabs.get(key, ask, self._version(principal.tenant_id, asked.form_id))

    def _version(self, tenant_id: str, form_id: str) -> Callable[[], Awaitable[Version]]:
        async def version() -> Version:
            async with self._database.read(tenant_id) as unit:
                searched = await searched_form(unit.connection, unit.tenant, form_id)
                _, change = await FormSizeRepository(unit.session, unit.tenant).size(form_id)
            if searched is None:
                raise FormNotFound
            return [change, *map(str, searched)]

        return version


def _key(principal: Principal, kind: str, form_id: str, asked: Contract) -> Key:
    sees_personal = principal.may(READ_PERSONAL, form_id)
    return Key(principal.tenant_id, kind, form_id, asked.model_dump_json(), sees_personal)
