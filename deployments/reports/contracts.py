"""What crosses the door of reports: documents made of responses, ordered once or by schedule."""

from datetime import datetime
from typing import Annotated, Final, Literal, Protocol, Self, TypeAlias

from pydantic import AwareDatetime, EmailStr, Field, model_validator

from deployments.jobs.contracts import KnownZone, LastRun, Missed, ScheduleName, StartedRun, WorkingCron
from deployments.kit.contract import Contract, Page
from deployments.kit.downloads import OpenedFile
from deployments.kit.principal import Principal
from deployments.kit.texts import Language

__all__ = [
    "CreateReportLink",
    "CreateReportSchedule",
    "OrderReport",
    "OrderedReport",
    "Report",
    "ReportLink",
    "ReportPlan",
    "ReportSchedule",
    "ReportScheduleChange",
    "ReportsApi",
    "ResponseDocument",
    "StartedRun",
]


FORGET: Final = "reports.forget"
"""The job that removes the reports of a form, since they may quote what is gone. Its payload is `{"form_id"}`, its
queue `default`."""

Section: TypeAlias = Literal["overview", "series", "pages", "summaries", "fields"]
ReportStateName: TypeAlias = Literal["queued", "running", "ready", "failed", "cancelled"]
Span: TypeAlias = Literal["day", "week", "month", "all"]
Recipients: TypeAlias = Annotated[list[EmailStr], Field(min_length=1, max_length=20)]

_ALL: Final[tuple[Section, ...]] = ("overview", "series", "pages", "summaries", "fields")


class ReportContent(Contract):
    """What a report is about, and in which words."""

    form_id: str = Field(max_length=64)
    language: Language = Field(
        default="en", description="Words, numbers and dates: English, German or Arabic; English for any other."
    )
    sections: list[Section] = Field(default=list(_ALL), min_length=1, max_length=5)


class OrderReport(ReportContent):
    """A report to be made of a form's responses. Times and counts are of the span, answers of all responses."""

    time_zone: KnownZone = "UTC"
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None

    @model_validator(mode="after")
    def _runs_forward(self) -> Self:
        if self.since is not None and self.until is not None and self.since >= self.until:
            raise ValueError("`since` is before `until`")
        return self


class OrderedReport(Contract):
    """The job that makes the report."""

    report_id: str
    job_id: str
    replayed: bool = Field(default=False, exclude=True)


class Report(Contract):
    """A report on a form's responses."""

    id: str
    form_id: str
    job_id: str
    schedule_id: str | None = Field(description="The schedule that ordered it.")
    title: str
    language: str
    since: datetime | None
    until: datetime | None
    state: ReportStateName
    has_personal: bool = Field(description="Whether it may quote personal answers; then not everybody gets to see it.")
    requested_by: str
    created_at: datetime
    finished_at: datetime | None
    expires_at: datetime = Field(description="When it is removed.")
    responses: int = Field(description="Complete responses of the span.")
    bytes: int
    download_url: str | None = Field(description="Where the file is, when it is ready.")


class CreateReportLink(Contract):
    """How long the link is to work."""

    expires_in: int | None = Field(
        default=None, ge=1, le=2_678_400, description="Seconds; by default as long as the file is kept, never longer."
    )


class ReportLink(Contract):
    """Opens the file for whoever has it."""

    url: str
    expires_at: datetime


class ResponseDocument(Contract):
    """One response as a document."""

    content: bytes
    name: str
    etag: str


class ReportPlan(ReportContent):
    """What a schedule makes and mails; the payload of its job."""

    time_zone: KnownZone = Field(default="UTC", description="In which days, weeks and months begin.")
    span: Span = Field(default="week", description="The last whole day, week from Monday, or month; or everything.")
    recipients: Recipients
    attach: bool = Field(default=False, description="The file in the mail, where it is not too large; else a link.")
    keep_days: int | None = Field(default=None, ge=1, le=365, description="How long the report is kept.")
    send_empty: bool = Field(default=False, description="Also for a span without responses.")


class CreateReportSchedule(ReportPlan):
    """Make a report by the clock and mail it."""

    name: ScheduleName
    cron: WorkingCron
    missed: Missed = "run_once"
    enabled: bool = True


class ReportScheduleChange(Contract):
    """What is given is changed."""

    name: ScheduleName | None = None
    cron: WorkingCron | None = None
    time_zone: KnownZone | None = None
    missed: Missed | None = None
    enabled: bool | None = None
    language: Language | None = None
    sections: list[Section] | None = Field(default=None, min_length=1, max_length=5)
    span: Span | None = None
    recipients: Recipients | None = None
    attach: bool | None = None
    keep_days: int | None = Field(default=None, ge=1, le=365)
    send_empty: bool | None = None


class ReportSchedule(ReportPlan):
    """What makes reports by the clock and mails them. It never quotes personal answers."""

    id: str
    name: str
    cron: str
    missed: Missed
    enabled: bool
    next_run_at: datetime | None = Field(description="Null while it is not enabled.")
    last_run: LastRun | None
    created_by: str
    created_at: datetime
    updated_at: datetime


class ReportsApi(Protocol):
    """Ordering reports, fetching them, and having them mailed by schedule."""

    async def order(self, principal: Principal, command: OrderReport, idempotency_key: str | None) -> OrderedReport:
        """Order a report. Raises FormNotFound, FeatureDisabled, KeyMismatch."""
        ...

    async def list_reports(
        self, principal: Principal, form_id: str | None, cursor: str | None, limit: int
    ) -> Page[Report]:
        """The reports that the reader may fetch, newest first."""
        ...

    async def get(self, principal: Principal, report_id: str) -> Report:
        """A report. Raises ReportNotFound."""
        ...

    async def open(self, principal: Principal, report_id: str) -> OpenedFile:
        """Where the file lies. Raises ReportNotFound, ReportNotReady."""
        ...

    async def create_link(self, principal: Principal, report_id: str, command: CreateReportLink) -> ReportLink:
        """A link to the file that needs no credential. Raises ReportNotFound, ReportNotReady."""
        ...

    async def open_link(self, principal: Principal, link: str) -> OpenedFile:
        """Where the file of a link lies. Raises ReportNotFound, also for a link that is over."""
        ...

    async def delete(self, principal: Principal, report_id: str) -> None:
        """Remove a report; its job is ended. Raises ReportNotFound, Forbidden."""
        ...

    async def response_document(self, principal: Principal, response_id: str, language: str) -> ResponseDocument:
        """One response as PDF, with what the reader may see of it. Raises ResponseNotFound, TypesettingFailed."""
        ...

    async def create_schedule(self, principal: Principal, command: CreateReportSchedule) -> ReportSchedule:
        """Raises FormNotFound, ScheduleNameTaken, TooManySchedules, FeatureDisabled."""
        ...

    async def list_schedules(self, principal: Principal, cursor: str | None, limit: int) -> Page[ReportSchedule]:
        """The tenant's schedules of reports, newest first."""
        ...

    async def get_schedule(self, principal: Principal, schedule_id: str) -> ReportSchedule:
        """Raises ReportScheduleNotFound."""
        ...

    async def change_schedule(
        self, principal: Principal, schedule_id: str, change: ReportScheduleChange
    ) -> ReportSchedule:
        """Raises ReportScheduleNotFound, ScheduleNameTaken."""
        ...

    async def delete_schedule(self, principal: Principal, schedule_id: str) -> None:
        """Raises ReportScheduleNotFound."""
        ...

    async def run_schedule(self, principal: Principal, schedule_id: str) -> StartedRun:
        """Make and mail a report at once, also while the schedule is not enabled. Raises ReportScheduleNotFound."""
        ...
