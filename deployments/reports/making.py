"""The jobs of reports: one makes a file, one is started by schedules, and the others remove."""

import hashlib
from datetime import datetime, timedelta
from typing import Final

from db.models.reports import Report as ReportRow
from db.session import Database, UnitOfWork
from db.types import utc_now
from deployments.analytics.contracts import FormMetrics, MetricsApi
from deployments.forms.contracts import Form, FormsApi
from deployments.inference.contracts import SummariesApi
from deployments.jobs.contracts import DAILY, Schedulable
from deployments.kit.egress import Egress
from deployments.kit.errors import DeadlineExceeded, NotFound, Unavailable
from deployments.kit.features import is_enabled, settings_of
from deployments.kit.made_files import QUEUE
from deployments.kit.making import AGAIN_S, ForgetFiles, Making, PruneFiles, RemoveFile
from deployments.kit.objects import ObjectStore
from deployments.kit.principal import Principal
from deployments.kit.vault import Vault
from deployments.notifications.contracts import SEND_REPORT, ReportMail
from deployments.reports import service
from deployments.reports.brand import brand_of, logo_from
from deployments.reports.contracts import FORGET, OrderReport, ReportPlan
from deployments.reports.document import Look, Quote, Told, results
from deployments.reports.settings import ReportsSettings
from deployments.reports.spans import bucket_of, last_whole
from deployments.reports.typesetting import NotTypeset, typeset
from deployments.reports.wording import Wording
from eventing.jobs import LOWEST, Done, GiveUp, JobKind, JobRun, JobSpec, Retry, enqueue_all

PRUNE: Final = "reports.prune"
SCHEDULABLE: Final = (
    Schedulable(service.PLANNED, "Make a report and mail it.", service.WRITE, QUEUE, ReportPlan),
    Schedulable(PRUNE, "Forget reports whose time is over.", "platform:admin", priority=LOWEST, standing=DAILY),
)

_ACTOR: Final = "system:reports"


class MakeReport:
    """Makes one file."""

    def __init__(
        self,
        database: Database,
        objects: ObjectStore,
        forms: FormsApi,
        figures: MetricsApi,
        summaries: SummariesApi,
        egress: Egress,
        vault: Vault,
        settings: ReportsSettings,
    ) -> None:
        self._database = database
        self._objects = objects
        self._forms = forms
        self._figures = figures
        self._summaries = summaries
        self._egress = egress
        self._vault = vault
        self._settings = settings
        self._links = settings.links()
        self._making = Making(service.FILES, database, objects)

    async def run(self, job: JobRun) -> Done:
        """Write the file, and order its mails. Raises GiveUp when it is not wanted or cannot be made, Retry when it
        cannot now."""
        row = await self._making.run(job, self._make)
        return Done(service.FILES.result(row, responses=row.responses))

    async def _make(self, job: JobRun, row: ReportRow) -> None:
        reader, order = service.reader_of(row), OrderReport.model_validate(row.wanted)
        form = await self._forms.get(reader, row.form_id)
        await job.progress(0, 2)
        metrics = await self._figures.metrics(reader, row.form_id, order.since, order.until)
        await job.progress(1, 2)
        try:
            content = await self._typeset(reader, order, form, metrics)
        except NotTypeset as error:
            raise Retry(str(error), after_s=AGAIN_S) from error
        await job.progress(2, 2)
        file = self._making.new_object(row, "pdf")
        await self._objects.put(file, content)

        async def finish(unit: UnitOfWork) -> ReportRow | None:
            made = await service.finish(
                unit,
                row.id,
                file,
                sha256=hashlib.sha256(content).hexdigest(),
                size=len(content),
                title=form.title,
                responses=metrics.submissions,
            )
            if made is not None and made.delivery is not None:
                await self._mail(unit, made, form, order)
            return made

        await self._making.keep(row, file, finish)

    async def _typeset(self, reader: Principal, order: OrderReport, form: Form, metrics: FormMetrics) -> bytes:
        series = None
        if "series" in order.sections:
            bucket = bucket_of(order.since, order.until or metrics.as_of)
            series = await self._figures.timeseries(
                reader, form.id, "submissions", bucket, order.time_zone, order.since, order.until, False
            )
        told = await self._told(reader, form.id, metrics) if "summaries" in order.sections else []
        brand = await brand_of(self._database, reader.tenant_id, form)
        images = await logo_from(self._egress, brand.logo_url)
        wording = Wording(order.language, order.time_zone)

        async def document(images: dict[str, bytes]) -> bytes:
            look = Look(brand.tenant, brand.colour, next(iter(images), None))
            data = results(metrics, series, told, title=form.title, look=look, wording=wording, sections=order.sections)
            return await typeset("results", data, metrics.as_of, images=images, fonts=self._settings.font_folders)

        try:
            return await document(images)
        except NotTypeset:
            if not images:
                raise
            # It may be the logo, which is a stranger's.
            return await document({})

    async def _told(self, reader: Principal, form_id: str, metrics: FormMetrics) -> list[Told]:
        titles = {field.field: field.title for field in metrics.fields}
        return [
            Told(
                summary.field,
                titles.get(summary.field) or summary.field,
                summary.generation.text,
                summary.generation.model if summary.generation.method == "model" else None,
                [Quote(citation.quote, citation.response_id or "") for citation in summary.generation.citations],
            )
            for summary in await self._summaries.ready(reader, form_id)
            if summary.generation is not None
        ]

    async def _mail(self, unit: UnitOfWork, row: ReportRow, form: Form, order: OrderReport) -> None:
        """One job for each recipient, in the transaction that completes the report."""
        delivery = row.delivery or {}
        theme, wording = form.settings.theme, Wording(order.language, order.time_zone)
        attach = delivery["attach"] and row.bytes <= self._settings.attachment_bytes
        expires_at = row.expires_at.replace(microsecond=0)
        jobs = [
            JobSpec(
                SEND_REPORT,
                ReportMail(
                    recipient=recipient,
                    language=order.language,
                    written_at=row.finished_at or utc_now(),
                    form_title=form.title,
                    period=_period(order, wording),
                    responses=wording.number(row.responses),
                    until=wording.moment(expires_at),
                    link=service.FILES.address(row, expires_at, self._links, self._settings.public_url),
                    attachment=row.file if attach else None,
                    file_name=service.file_name(row),
                    logo_url=theme.logo_url if theme is not None else None,
                    colour=theme.primary if theme is not None else None,
                ).sealed(self._vault),
                _ACTOR,
            )
            for recipient in dict.fromkeys(delivery["recipients"])
        ]
        await enqueue_all(unit, jobs)


class MakePlanned:
    """What a schedule starts: orders the report of the span that is over, unless nobody answered in it."""

    def __init__(self, database: Database, figures: MetricsApi, settings: ReportsSettings) -> None:
        self._database = database
        self._figures = figures
        self._settings = settings

    async def run(self, job: JobRun) -> Done:
        """Order it once, however often this runs. Raises GiveUp when the form is gone or reports are switched off,
        Retry when its figures cannot be had now."""
        given = dict(job.payload)
        due_at = datetime.fromisoformat(given.pop("scheduled_for"))
        plan = ReportPlan.model_validate(given)
        since, until = last_whole(plan.span, due_at, plan.time_zone)
        async with self._database.read(job.tenant_id) as unit:
            if not is_enabled(await settings_of(unit), "reports"):
                raise GiveUp("Reports are switched off for the tenant.")
        by, _, schedule_id = job.created_by.partition(":")
        reader = Principal(job.tenant_id, job.created_by, "system", scopes=frozenset({service.READ, service.WRITE}))
        try:
            if not plan.send_empty:
                metrics = await self._figures.metrics(reader, plan.form_id, since, until)
                if metrics.submissions == 0:
                    return Done({"report_id": None, "reason": "no responses in the span"})
            order = OrderReport(
                form_id=plan.form_id,
                language=plan.language,
                sections=plan.sections,
                time_zone=plan.time_zone,
                since=since,
                until=until,
            )
            async with self._database.write(job.tenant_id) as unit:
                await service.require_form(unit, reader, plan.form_id)
                ordered = await service.ordered(
                    unit,
                    reader,
                    order,
                    plan.keep_days or self._settings.life_days,
                    unique_key=f"{service.FILES.name}:{job.id}",
                    sees_personal=False,
                    schedule_id=schedule_id if by == "schedule" else None,
                    delivery={"recipients": [str(each) for each in plan.recipients], "attach": plan.attach},
                )
        except NotFound as error:
            raise GiveUp("The form is not there any more.") from error
        except (Unavailable, DeadlineExceeded) as error:
            raise Retry(error.detail, after_s=error.retry_after or AGAIN_S) from error
        return Done({"report_id": ordered.report_id, "job_id": ordered.job_id})


def _period(order: OrderReport, wording: Wording) -> str:
    if order.since is None or order.until is None:
        return wording.words["always"]
    last = order.until - timedelta(microseconds=1)
    first, end = wording.day(order.since), wording.day(last)
    return first if first == end else wording.say("between", since=first, until=end)


def job_kinds(
    database: Database,
    objects: ObjectStore,
    forms: FormsApi,
    figures: MetricsApi,
    summaries: SummariesApi,
    egress: Egress,
    vault: Vault,
    settings: ReportsSettings,
) -> tuple[JobKind, ...]:
    """The jobs of reports."""
    make = MakeReport(database, objects, forms, figures, summaries, egress, vault, settings)
    planned = MakePlanned(database, figures, settings)
    return (
        JobKind(service.FILES.name, QUEUE, make.run, max_attempts=5, soft_limit_s=300.0, hard_limit_s=360.0),
        JobKind(service.PLANNED, QUEUE, planned.run, max_attempts=5),
        JobKind(service.FILES.remove, "default", RemoveFile(service.FILES, objects).run, max_attempts=20),
        JobKind(FORGET, "default", ForgetFiles(service.FILES, database, objects).run, max_attempts=500),
        JobKind(PRUNE, "default", PruneFiles(service.FILES, database).run, max_attempts=20),
    )
