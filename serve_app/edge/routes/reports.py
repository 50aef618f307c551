"""Documents made of responses: reports, ordered once or by schedule, and single responses as PDF."""

from pydantic import Field

from deployments.kit.contract import Contract, Page
from deployments.kit.texts import Language
from deployments.reports.contracts import (
    CreateReportLink,
    CreateReportSchedule,
    OrderedReport,
    OrderReport,
    Report,
    ReportLink,
    ReportSchedule,
    ReportScheduleChange,
    StartedRun,
)
from serve_app.edge.downloads import attachment
from serve_app.edge.operations import (
    IDEMPOTENCY_KEY,
    IF_NONE_MATCH,
    Exchange,
    Operation,
    PageQuery,
    Reply,
)
from serve_app.edge.orders import accepted
from serve_app.edge.parsing import idempotency_key
from serve_app.edge.revisions import matches
from serve_app.edge.routes.made_files import MadeFileOperations

PDF = "application/pdf"


class ReportQuery(PageQuery):
    """Which page of the reports."""

    form_id: str | None = Field(default=None, max_length=64, description="Only those on this form.")


class DocumentQuery(Contract):
    """In which language a document is."""

    language: Language = Field(default="en", description="Words and dates: English, German or Arabic.")


async def order_report(x: Exchange) -> Reply:
    return accepted(await x.apis.reports.order(x.principal, x.body, idempotency_key(x.request)))


async def list_reports(x: Exchange) -> Reply:
    query: ReportQuery = x.query
    return Reply(await x.apis.reports.list_reports(x.principal, query.form_id, query.cursor, query.limit))


async def response_document(x: Exchange) -> Reply:
    made = await x.apis.reports.response_document(x.principal, x.path["response_id"], x.query.language)
    tag = f'"{made.etag}"'
    headers = (
        ("etag", tag),
        ("content-disposition", attachment(made.name)),
        ("content-security-policy", "sandbox; default-src 'none'; frame-ancestors 'none'"),
        ("cache-control", "private, no-cache"),
    )
    if matches(x.header("if-none-match"), tag):
        return Reply(status=304, headers=headers)
    return Reply(made.content, headers=headers, media_type=PDF)


async def create_report_schedule(x: Exchange) -> Reply:
    made = await x.apis.reports.create_schedule(x.principal, x.body)
    return Reply(made, headers=(("location", f"/api/v1/report-schedules/{made.id}"),))


async def list_report_schedules(x: Exchange) -> Reply:
    return Reply(await x.apis.reports.list_schedules(x.principal, x.query.cursor, x.query.limit))


async def get_report_schedule(x: Exchange) -> Reply:
    return Reply(await x.apis.reports.get_schedule(x.principal, x.path["report_schedule"]))


async def change_report_schedule(x: Exchange) -> Reply:
    return Reply(await x.apis.reports.change_schedule(x.principal, x.path["report_schedule"], x.body))


async def delete_report_schedule(x: Exchange) -> Reply:
    await x.apis.reports.delete_schedule(x.principal, x.path["report_schedule"])
    return Reply()


async def run_report_schedule(x: Exchange) -> Reply:
    started = await x.apis.reports.run_schedule(x.principal, x.path["report_schedule"])
    return Reply(started, headers=(("location", f"/api/v1/jobs/{started.job_id}"),))


_SCHEDULE = "/api/v1/report-schedules/{report_schedule}"

OPERATIONS = (
    Operation(
        id="order_report",
        method="POST",
        path="/api/v1/reports",
        summary="Have a report on a form's responses made",
        description="A job makes a PDF; its result has `download_url`, `expires_at`, `responses` and `bytes`. See "
        "docs/guides/reports.md.",
        tag="Reports",
        scope="reports:write",
        handler=order_report,
        request=OrderReport,
        response=OrderedReport,
        status=202,
        headers=(IDEMPOTENCY_KEY,),
        example={"form_id": "frm_0190a3f5c1d27c3e8b1f4a6d9e2c7b50", "language": "de"},
    ),
    Operation(
        id="list_reports",
        method="GET",
        path="/api/v1/reports",
        summary="Reports, newest first",
        description="Those that you may fetch: one that may quote personal answers needs the permission to see these.",
        tag="Reports",
        scope="analytics:read",
        per_form=True,
        handler=list_reports,
        query=ReportQuery,
        response=Page[Report],
    ),
    *MadeFileOperations(
        api=lambda apis: apis.reports,
        noun="a report",
        scope="analytics:read",
        media_type=PDF,
        shown=Report,
        link_order=CreateReportLink,
        link=ReportLink,
        who_removes="Your own, or with `reports:write` anybody's.",
    ).operations(),
    Operation(
        id="response_document",
        per_form=True,
        method="GET",
        path="/api/v1/responses/{response_id}.pdf",
        summary="A response as PDF",
        description="With what you may see of it: personal answers that you do not see are named and left out.",
        tag="Reports",
        scope="responses:read",
        rate="export",
        handler=response_document,
        query=DocumentQuery,
        response=bytes,
        response_media_type=PDF,
        headers=(IF_NONE_MATCH,),
        errors=(304, 503),
    ),
    Operation(
        id="create_report_schedule",
        method="POST",
        path="/api/v1/report-schedules",
        summary="Have reports made and mailed by the clock",
        description="Each run makes a report of the last whole day, week or month and mails it to the recipients, with "
        "a link or the file. A span without responses is passed over unless `send_empty`.",
        tag="Reports",
        scope="reports:write",
        handler=create_report_schedule,
        request=CreateReportSchedule,
        response=ReportSchedule,
        status=201,
        errors=(409,),
        example={
            "name": "Every Monday",
            "form_id": "frm_0190a3f5c1d27c3e8b1f4a6d9e2c7b50",
            "cron": "0 7 * * MON",
            "time_zone": "Europe/Berlin",
            "span": "week",
            "recipients": ["team@example.com"],
        },
    ),
    Operation(
        id="list_report_schedules",
        method="GET",
        path="/api/v1/report-schedules",
        summary="Schedules of reports, newest first",
        tag="Reports",
        scope="reports:write",
        handler=list_report_schedules,
        query=PageQuery,
        response=Page[ReportSchedule],
    ),
    Operation(
        id="get_report_schedule",
        method="GET",
        path=_SCHEDULE,
        summary="A schedule of reports",
        tag="Reports",
        scope="reports:write",
        handler=get_report_schedule,
        response=ReportSchedule,
    ),
    Operation(
        id="change_report_schedule",
        method="PATCH",
        path=_SCHEDULE,
        summary="Change a schedule of reports",
        tag="Reports",
        scope="reports:write",
        handler=change_report_schedule,
        request=ReportScheduleChange,
        response=ReportSchedule,
        errors=(409,),
        example={"enabled": False},
    ),
    Operation(
        id="delete_report_schedule",
        method="DELETE",
        path=_SCHEDULE,
        summary="Remove a schedule of reports",
        tag="Reports",
        scope="reports:write",
        handler=delete_report_schedule,
        status=204,
    ),
    Operation(
        id="run_report_schedule",
        method="POST",
        path=f"{_SCHEDULE}/run",
        summary="Make and mail the report of a schedule now",
        tag="Reports",
        scope="reports:write",
        handler=run_report_schedule,
        response=StartedRun,
        status=202,
    ),
)
