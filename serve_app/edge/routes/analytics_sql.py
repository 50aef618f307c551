"""Tables of forms, and SQL on them."""

from typing import Final

from deployments.analytics.sql_contracts import RunSql, SqlFormat, SqlResult, TableSchema
from deployments.kit.contract import Page
from serve_app.edge.operations import Exchange, Operation, PageQuery, Reply

_MEDIA: Final[dict[SqlFormat, str]] = {
    "arrow": "application/vnd.apache.arrow.stream",
    "csv": "text/csv",
    "json": "application/json",
}


async def list_tables(x: Exchange) -> Reply:
    query: PageQuery = x.query
    return Reply(await x.apis.analytics.list_tables(x.principal, query.cursor, query.limit))


async def run_sql(x: Exchange) -> Reply:
    form = _wanted(x.header("accept") or "")
    answer = await x.apis.analytics.run_sql(x.principal, x.body, form)
    headers = (("x-truncated", str(answer.truncated).lower()), ("vary", "accept"))
    return Reply(answer.content, headers=headers, media_type=_MEDIA[form])


def _wanted(accept: str) -> SqlFormat:
    """The first of our formats that the client names; JSON when it names none."""
    named = [part.partition(";")[0].strip().lower() for part in accept.split(",")]
    return next((form for name in named for form, media_type in _MEDIA.items() if name == media_type), "json")


OPERATIONS = (
    Operation(
        id="list_analytics_tables",
        method="GET",
        path="/api/v2/analytics/tables",
        summary="Tables that SQL can be asked of",
        tag="analytics",
        scope="analytics:read",
        handler=list_tables,
        query=PageQuery,
        response=Page[TableSchema],
    ),
    Operation(
        id="run_sql",
        method="POST",
        path="/api/v2/analytics/sql",
        summary="Ask in SQL",
        tag="analytics",
        scope="analytics:write",
        handler=run_sql,
        request=RunSql,
        rate="sql",
        response=SqlResult,
        description=(
            "One query in DuckDB's SQL on the tables of forms: SELECT, WITH, FROM, VALUES, DESCRIBE or SUMMARIZE. "
            "It sees what is committed when it is asked. With `Accept: text/csv` or "
            "`application/vnd.apache.arrow.stream` the rows come as CSV or as a stream of Arrow's IPC format, and the "
            "header `X-Truncated` says whether there were more."
        ),
        example={"sql": "SELECT side, count(*) AS people FROM party GROUP BY side", "parameters": []},
    ),
)
