"""The door of reports: opens the unit of work, calls the rules, returns contracts."""

from db.session import Database
from deployments.forms.contracts import FormsApi
from deployments.jobs.contracts import JobsApi
from deployments.kit.contract import Page
from deployments.kit.downloads import OpenedFile
from deployments.kit.principal import Principal
from deployments.reports import service
from deployments.reports.contracts import (
    CreateReportLink,
    CreateReportSchedule,
    OrderedReport,
    OrderReport,
    Report,
    ReportLink,
    ReportSchedule,
    ReportScheduleChange,
    ResponseDocument,
    StartedRun,
)
from deployments.reports.responses import Responses
from deployments.reports.scheduling import Schedules
from deployments.reports.settings import ReportsSettings
from deployments.responses.contracts import ResponsesApi


class Reports:
    """Ordering reports, fetching them, and having them mailed by schedule; satisfies `ReportsApi`."""

    def __init__(
        self, database: Database, forms: FormsApi, responses: ResponsesApi, jobs: JobsApi, settings: ReportsSettings
    ) -> None:
        self._database = database
        self._settings = settings
        self._links = settings.links()
        self._responses = Responses(database, forms, responses, settings.font_folders)
        self._schedules = Schedules(database, jobs)

    async def order(self, principal: Principal, command: OrderReport, idempotency_key: str | None) -> OrderedReport:
        async with self._database.write(principal.tenant_id) as unit:
            return await service.order(unit, principal, command, idempotency_key, self._settings.life)

    async def list_reports(
        self, principal: Principal, form_id: str | None, cursor: str | None, limit: int
    ) -> Page[Report]:
        async with self._database.read(principal.tenant_id) as unit:
            return await service.page(unit, principal, form_id, cursor, limit)

    async def get(self, principal: Principal, report_id: str) -> Report:
        async with self._database.read(principal.tenant_id) as unit:
            return await service.get(unit, principal, report_id)

    async def open(self, principal: Principal, report_id: str) -> OpenedFile:
        async with self._database.write(principal.tenant_id) as unit:
            return await service.FILES.opened(unit, principal, report_id)

    async def create_link(self, principal: Principal, report_id: str, command: CreateReportLink) -> ReportLink:
        async with self._database.write(principal.tenant_id) as unit:
            return await service.link(unit, principal, report_id, command, self._links, self._settings.public_url)

    async def open_link(self, principal: Principal, link: str) -> OpenedFile:
        async with self._database.write(principal.tenant_id) as unit:
            return await service.FILES.opened_by_link(unit, principal, link, self._links)

    async def delete(self, principal: Principal, report_id: str) -> None:
        async with self._database.write(principal.tenant_id) as unit:
            await service.delete(unit, principal, report_id)

    async def response_document(self, principal: Principal, response_id: str, language: str) -> ResponseDocument:
        return await self._responses.document(principal, response_id, language)

    async def create_schedule(self, principal: Principal, command: CreateReportSchedule) -> ReportSchedule:
        return await self._schedules.create(principal, command)

    async def list_schedules(self, principal: Principal, cursor: str | None, limit: int) -> Page[ReportSchedule]:
        return await self._schedules.page(principal, cursor, limit)

    async def get_schedule(self, principal: Principal, schedule_id: str) -> ReportSchedule:
        return await self._schedules.get(principal, schedule_id)

    async def change_schedule(
        self, principal: Principal, schedule_id: str, change: ReportScheduleChange
    ) -> ReportSchedule:
        return await self._schedules.change(principal, schedule_id, change)

    async def delete_schedule(self, principal: Principal, schedule_id: str) -> None:
        await self._schedules.delete(principal, schedule_id)

    async def run_schedule(self, principal: Principal, schedule_id: str) -> StartedRun:
        return await self._schedules.run(principal, schedule_id)
