"""The door to live figures."""

from datetime import datetime, timedelta
from typing import Final

from db.repositories.metrics import FormMetricsRepository, MetricDirectory
from db.repositories.published_forms import PublishedFormRepository
from db.session import Database, UnitOfWork
from db.types import utc_now
from deployments.analytics.errors import FormNotFound
from deployments.analytics.metric_contracts import (
    Bucket,
    FormMetrics,
    Measure,
    Recount,
    SeriesQuestion,
    Span,
    TimeSeries,
    ViewBatch,
)
from deployments.analytics.metrics.cells import quarter_of
from deployments.analytics.metrics.parts import RULES
from deployments.analytics.metrics.reading import asked_for, checked, metrics_of, series_of
from deployments.analytics.metrics.recounting import QUEUE, RECOUNT
from deployments.analytics.remembering import RememberedFigures
from deployments.kit.errors import Forbidden
from deployments.kit.principal import Principal
from eventing.jobs import LOWEST, JobSpec, enqueue

_FORGOTTEN: Final = timedelta(days=1)


class LiveMetrics:
    """Live figures; the part of `Analytics` that satisfies `MetricsApi`."""

    _remembered: RememberedFigures | None = None

    def __init__(self, database: Database) -> None:
        self._database = database

    async def metrics(
        self, principal: Principal, form_id: str, since: datetime | None, until: datetime | None
    ) -> FormMetrics:
        principal.require("analytics:read", form_id)
        asked = checked(Span, since=since, until=until)

        async def read() -> FormMetrics:
            async with self._database.snapshot(principal.tenant_id) as unit:
                return await metrics_of(unit, principal, form_id, asked)

        kept = self._remembered
        return await (read() if kept is None else kept.metrics(principal, form_id, asked, read))

    async def timeseries(
        self,
        principal: Principal,
        form_id: str,
        measure: Measure,
        bucket: Bucket,
        timezone: str,
        since: datetime | None,
        until: datetime | None,
        compare: bool,
    ) -> TimeSeries:
        principal.require("analytics:read", form_id)
        span = {"since": since, "until": until}
        question = checked(SeriesQuestion, measure=measure, bucket=bucket, timezone=timezone, compare=compare, **span)
        asked = asked_for(question)

        async def read() -> TimeSeries:
            async with self._database.snapshot(principal.tenant_id) as unit:
                return await series_of(unit, form_id, asked)

        kept = self._remembered
        return await (read() if kept is None else kept.series(principal, form_id, question, read))

    async def recount(self, principal: Principal, form_id: str) -> Recount:
        principal.require("analytics:write")
        async with self._database.write(principal.tenant_id) as unit:
            if not await PublishedFormRepository(unit.session, unit.tenant).exists(form_id):
                raise FormNotFound
            key = f"{RECOUNT}:{form_id}"
            order = JobSpec(
                RECOUNT, {"form_id": form_id}, principal.subject, active_key=key, queue=QUEUE, priority=LOWEST
            )
            return Recount(job_id=await enqueue(unit, order))

    async def count_views(self, principal: Principal, batch: ViewBatch) -> None:
        if principal.kind != "system":
            raise Forbidden
        views = [(each.tenant_id, each.form_id, quarter_of(each.since), each.views) for each in batch.views]
        now = utc_now()
        async with self._database.unscoped_write() as unit:
            directory = MetricDirectory(unit.session)
            await directory.hand_over(batch.edge, batch.number, views, now, now - _FORGOTTEN)


async def lag_of(unit: UnitOfWork) -> tuple[int, int, datetime | None]:
    """See `FormMetricsRepository.lag`."""
    return await FormMetricsRepository(unit.session, unit.tenant).lag(RULES)
