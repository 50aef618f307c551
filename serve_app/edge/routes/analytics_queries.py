"""Questions to responses, cross-tabs, and questions that are kept."""

from typing import Any

from pydantic import Field

from deployments.analytics.query_contracts import (
    AskCrosstab,
    ChangeQuery,
    Crosstab,
    Query,
    QueryAnswer,
    SavedQuery,
    SaveQuery,
    TimeSpan,
)
from deployments.kit.contract import Contract, Page
from serve_app.edge.operations import Exchange, Operation, PageQuery, Reply


class CrosstabQuery(Contract):
    """Which two fields of which responses."""

    row: str = Field(min_length=1, max_length=300, description="A field; its values stand below each other.")
    column: str = Field(min_length=1, max_length=300, description="Another one; one of them may be a number.")
    filter: dict[str, str | dict[str, str]] = Field(
        default_factory=dict, description="`filter[field][operator]=value`, as in the list of responses."
    )
    where: str | None = Field(default=None, max_length=2000, description="The text form of a filter.")
    since: str | None = Field(default=None, max_length=40, description="A date, or a time with offset.")
    until: str | None = Field(default=None, max_length=40, description="The end, which is not included.")
    timezone: str = Field(
        default="UTC", max_length=64, description="In which dates begin; a name of the IANA database."
    )
    language: str | None = Field(
        default=None, pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,4}$", description="Of titles and labels."
    )


class QueriesQuery(PageQuery):
    """Which saved queries."""

    form_id: str | None = Field(default=None, max_length=100, description="Only those about this form.")


async def run_analytics_query(x: Exchange) -> Reply:
    return Reply(await x.apis.analytics.query(x.principal, x.body))


async def crosstab(x: Exchange) -> Reply:
    query: CrosstabQuery = x.query
    asked: dict[str, Any] = query.model_dump(include={"row", "column", "where", "language"})
    span = TimeSpan(since=query.since, until=query.until, zone=query.timezone)
    command = AskCrosstab(form_id=x.path["form_id"], filters=query.filter, time=span, **asked)
    return Reply(await x.apis.analytics.crosstab(x.principal, command))


async def save_query(x: Exchange) -> Reply:
    kept = await x.apis.analytics.save_query(x.principal, x.body)
    return Reply(kept, headers=(("location", f"/api/v2/analytics/queries/{kept.id}"),))


async def list_queries(x: Exchange) -> Reply:
    query: QueriesQuery = x.query
    return Reply(await x.apis.analytics.list_queries(x.principal, query.form_id, query.cursor, query.limit))


async def get_query(x: Exchange) -> Reply:
    return Reply(await x.apis.analytics.get_query(x.principal, x.path["query_id"]))


async def change_query(x: Exchange) -> Reply:
    return Reply(await x.apis.analytics.change_query(x.principal, x.path["query_id"], x.body))


async def delete_query(x: Exchange) -> Reply:
    await x.apis.analytics.delete_query(x.principal, x.path["query_id"])
    return Reply()


async def run_query(x: Exchange) -> Reply:
    return Reply(await x.apis.analytics.run_query(x.principal, x.path["query_id"]))


_EXAMPLE = {
    "form_id": "frm_01h455vb4pex5vsknk084sn02q",
    "measures": [{"name": "people", "op": "count"}, {"name": "share", "op": "share"}],
    "dimensions": [{"field": "side"}],
    "filters": {"score": {"gte": 9}},
    "order_by": ["-people"],
}

OPERATIONS = (
    Operation(
        id="analytics_query",
        method="POST",
        path="/api/v2/analytics/query",
        summary="Figures of groups of responses",
        description="Measures by dimensions, of the responses that filters and a time select. Everything wrong is "
        "named at once. `dry_run` gives what it would cost and the shape of its SQL.",
        tag="analytics",
        scope="analytics:read",
        per_form=True,
        handler=run_analytics_query,
        request=Query,
        response=QueryAnswer,
        errors=(503, 504),
        example=_EXAMPLE,
    ),
    Operation(
        id="analytics_crosstab",
        method="GET",
        path="/api/v2/analytics/forms/{form_id}/crosstab",
        summary="Two fields against each other",
        description="Counts, shares, what chance would give, and tests of significance; of a number the means of the "
        "groups.",
        tag="analytics",
        scope="analytics:read",
        handler=crosstab,
        query=CrosstabQuery,
        response=Crosstab,
        errors=(503, 504),
    ),
    Operation(
        id="save_query",
        method="POST",
        path="/api/v2/analytics/queries",
        summary="Keep a query",
        tag="analytics",
        scope="analytics:write",
        per_form=True,
        handler=save_query,
        request=SaveQuery,
        response=SavedQuery,
        status=201,
        errors=(409, 503),
        example={"name": "Sides of promoters", "query": _EXAMPLE},
    ),
    Operation(
        id="list_queries",
        method="GET",
        path="/api/v2/analytics/queries",
        summary="The queries that are kept",
        tag="analytics",
        scope="analytics:read",
        per_form=True,
        handler=list_queries,
        query=QueriesQuery,
        response=Page[SavedQuery],
    ),
    Operation(
        id="get_query",
        method="GET",
        path="/api/v2/analytics/queries/{query_id}",
        summary="A query that is kept",
        tag="analytics",
        scope="analytics:read",
        per_form=True,
        handler=get_query,
        response=SavedQuery,
    ),
    Operation(
        id="change_query",
        method="PATCH",
        path="/api/v2/analytics/queries/{query_id}",
        summary="Change a query that is kept",
        tag="analytics",
        scope="analytics:write",
        per_form=True,
        handler=change_query,
        request=ChangeQuery,
        response=SavedQuery,
        errors=(409, 503),
    ),
    Operation(
        id="delete_query",
        method="DELETE",
        path="/api/v2/analytics/queries/{query_id}",
        summary="Forget a query",
        tag="analytics",
        scope="analytics:write",
        per_form=True,
        handler=delete_query,
        status=204,
    ),
    Operation(
        id="run_query",
        method="POST",
        path="/api/v2/analytics/queries/{query_id}/run",
        summary="The answer to a query that is kept",
        description="As it is now, and with the rights of who asks: a field that the caller may not see is unknown.",
        tag="analytics",
        scope="analytics:read",
        per_form=True,
        handler=run_query,
        response=QueryAnswer,
        errors=(503, 504),
    ),
)
