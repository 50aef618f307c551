"""Schedules of reports: schedules of one kind of job, with a payload that is a plan."""

from dataclasses import replace
from typing import Any, Final

from db.session import Database
from deployments.jobs.contracts import JobsApi, NewSchedule, Schedule, ScheduleChange, StartedRun
from deployments.kit.contract import Page
from deployments.kit.errors import NotFound
from deployments.kit.principal import Principal
from deployments.reports import service
from deployments.reports.contracts import (
    CreateReportSchedule,
    ReportPlan,
    ReportSchedule,
    ReportScheduleChange,
)
from deployments.reports.errors import ReportScheduleNotFound

_OF_SCHEDULES: Final = frozenset({"name", "cron", "time_zone", "missed", "enabled"})
_JOBS: Final = frozenset({"jobs:read", "jobs:write"})


class Schedules:
    """The schedules of reports of a tenant. Who may have reports made needs no permission for other jobs."""

    def __init__(self, database: Database, jobs: JobsApi) -> None:
        self._database = database
        self._jobs = jobs

    async def create(self, principal: Principal, command: CreateReportSchedule) -> ReportSchedule:
        """Raises FormNotFound, FeatureDisabled, ScheduleNameTaken, TooManySchedules."""
        async with self._database.read(principal.tenant_id) as unit:
            await service.require_form(unit, principal, command.form_id)
        payload = command.model_dump(mode="json", include=set(ReportPlan.model_fields))
        new = NewSchedule(kind=service.PLANNED, payload=payload, **command.model_dump(include=set(_OF_SCHEDULES)))
        return _to_report_schedule(await self._jobs.create_schedule(_scheduling(principal), new))

    async def page(self, principal: Principal, cursor: str | None, limit: int) -> Page[ReportSchedule]:
        """The tenant's, newest first."""
        principal.require(service.WRITE)
        found = await self._jobs.list_schedules(_scheduling(principal), cursor, limit, service.PLANNED)
        return Page[ReportSchedule](data=[_to_report_schedule(each) for each in found.data], meta=found.meta)

    async def get(self, principal: Principal, schedule_id: str) -> ReportSchedule:
        """Raises ReportScheduleNotFound."""
        principal.require(service.WRITE)
        return _to_report_schedule(await self._found(principal, schedule_id))

    async def change(self, principal: Principal, schedule_id: str, change: ReportScheduleChange) -> ReportSchedule:
        """Raises ReportScheduleNotFound, ScheduleNameTaken."""
        principal.require(service.WRITE)
        found = await self._found(principal, schedule_id)
        given = change.model_dump(mode="json", exclude_none=True)
        plan = {name: value for name, value in given.items() if name in ReportPlan.model_fields}
        of_schedule: dict[str, Any] = {name: value for name, value in given.items() if name in _OF_SCHEDULES}
        if plan:
            of_schedule["payload"] = {**found.payload, **plan}
        changed = await self._jobs.change_schedule(_scheduling(principal), schedule_id, ScheduleChange(**of_schedule))
        return _to_report_schedule(changed)

    async def delete(self, principal: Principal, schedule_id: str) -> None:
        """Raises ReportScheduleNotFound."""
        principal.require(service.WRITE)
        await self._found(principal, schedule_id)
        await self._jobs.delete_schedule(_scheduling(principal), schedule_id)

    async def run(self, principal: Principal, schedule_id: str) -> StartedRun:
        """Raises ReportScheduleNotFound."""
        principal.require(service.WRITE)
        await self._found(principal, schedule_id)
        return await self._jobs.run_schedule(_scheduling(principal), schedule_id)

    async def _found(self, principal: Principal, schedule_id: str) -> Schedule:
        try:
            found = await self._jobs.get_schedule(_scheduling(principal), schedule_id)
        except NotFound as error:
            raise ReportScheduleNotFound from error
        if found.kind != service.PLANNED:
            raise ReportScheduleNotFound
        return found


def _scheduling(principal: Principal) -> Principal:
    """The same caller, who was asked for the permission of reports already."""
    return replace(principal, scopes=principal.scopes | _JOBS)


def _to_report_schedule(schedule: Schedule) -> ReportSchedule:
    own = schedule.model_dump(exclude={"kind", "payload", "last_run", "time_zone"})
    return ReportSchedule.model_validate(
        {**schedule.payload, **own, "time_zone": schedule.time_zone, "last_run": schedule.last_run}
    )
