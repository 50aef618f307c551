"""Live figures of a form."""

from deployments.analytics.metric_contracts import FormMetrics, Recount, SeriesQuestion, Span, TimeSeries
from serve_app.edge.operations import Exchange, Operation, Reply

_FORM = "/api/v2/analytics/forms/{form_id}"


async def form_metrics(x: Exchange) -> Reply:
    query: Span = x.query
    return Reply(await x.apis.analytics.metrics(x.principal, x.path["form_id"], query.since, query.until))


async def form_timeseries(x: Exchange) -> Reply:
    query: SeriesQuestion = x.query
    series = await x.apis.analytics.timeseries(
        x.principal,
        x.path["form_id"],
        query.measure,
        query.bucket,
        query.timezone,
        query.since,
        query.until,
        query.compare,
    )
    return Reply(series)


async def recount_form(x: Exchange) -> Reply:
    started = await x.apis.analytics.recount(x.principal, x.path["form_id"])
    return Reply(started, headers=(("location", f"/api/v1/jobs/{started.job_id}"),))


OPERATIONS = (
    Operation(
        id="form_metrics",
        method="GET",
        path=_FORM + "/metrics",
        summary="The live figures of a form",
        description="Views, starts, submissions, pages, and what was answered to each field, about a second old. "
        "Figures of personal fields need `responses:read_personal`.",
        tag="analytics",
        scope="analytics:read",
        handler=form_metrics,
        query=Span,
        response=FormMetrics,
    ),
    Operation(
        id="form_timeseries",
        method="GET",
        path=_FORM + "/timeseries",
        summary="A live figure of a form over time",
        description="Whole buckets as the clocks of the zone show them, without gaps: the last 30 days by default, at "
        "most 2,000 buckets.",
        tag="analytics",
        scope="analytics:read",
        handler=form_timeseries,
        query=SeriesQuestion,
        response=TimeSeries,
    ),
    Operation(
        id="recount_form_metrics",
        method="POST",
        path=_FORM + "/recount",
        summary="Count the live figures of a form anew",
        description="The figures of before are shown until the new ones are complete.",
        tag="analytics",
        scope="analytics:write",
        handler=recount_form,
        response=Recount,
        status=202,
    ),
)
