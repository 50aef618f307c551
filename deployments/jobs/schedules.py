"""The rules of schedules: who may have which, and what one starts when its time has come."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, cast

import structlog
from pydantic import ValidationError
from sqlalchemy.exc import IntegrityError

from db.models.jobs import Schedule
from db.repositories.schedules import ScheduleRepository
from db.repositories.tenants import TenantRepository
from db.session import UnitOfWork
from db.types import new_id, utc_now
from deployments.jobs import cron
from deployments.jobs.contracts import Missed, NewSchedule, Schedulable, ScheduleChange
from deployments.jobs.errors import InvalidSchedule, ScheduleNameTaken, ScheduleNotFound, TooManySchedules
from deployments.kit.audit import audit
from deployments.kit.errors import Fault
from deployments.kit.principal import PLATFORM_TENANT, Principal
from deployments.kit.problems import faults_of
from eventing.jobs import JobSpec, enqueue

READ, WRITE = "jobs:read", "jobs:write"
MOST: Final = 100
"""Schedules of one tenant."""

_PLATFORM_ADMIN: Final = "platform:admin"

Registry = Mapping[str, Schedulable]

_log = structlog.get_logger(__name__)


def offered(registry: Registry, tenant_id: str) -> dict[str, Schedulable]:
    """What schedules of the tenant may start."""
    of_platform = tenant_id == PLATFORM_TENANT
    return {name: each for name, each in registry.items() if (each.scope == _PLATFORM_ADMIN) == of_platform}


async def page(
    unit: UnitOfWork, principal: Principal, *, before_id: str | None, limit: int, kind: str | None = None
) -> Sequence[Schedule]:
    """The tenant's schedules, of one kind if it is named, newest first. Raises Forbidden."""
    principal.require(READ)
    return await _schedules(unit).page(before_id=before_id, limit=limit, kind=kind)


async def get(unit: UnitOfWork, principal: Principal, schedule_id: str) -> Schedule:
    """The schedule. Raises ScheduleNotFound, Forbidden."""
    principal.require(READ)
    return await find(unit, schedule_id)


async def create(unit: UnitOfWork, principal: Principal, registry: Registry, new: NewSchedule) -> Schedule:
    """Store a schedule; its first run is the next time after now.

    Raises InvalidSchedule, ScheduleNameTaken, TooManySchedules, Forbidden.
    """
    principal.require(WRITE)
    kind = offered(registry, unit.tenant).get(new.kind)
    if kind is not None:
        principal.require(kind.scope)
    now = utc_now()
    faults: list[Fault] = []
    payload = _valid_payload(kind, new.payload, faults)
    next_run_at = _first_run(new.cron, new.time_zone, now, faults)
    if faults:
        raise InvalidSchedule(faults=tuple(faults))
    repository = _schedules(unit)
    # So that nobody else counts at the same time.
    await TenantRepository(unit.session, unit.tenant).get_locked()
    if await repository.count() >= MOST:
        raise TooManySchedules
    schedule_id = new_id("sch")
    row = {
        "id": schedule_id,
        "name": new.name,
        "kind": new.kind,
        "payload": payload,
        "cron": new.cron,
        "time_zone": new.time_zone,
        "missed": new.missed,
        "is_enabled": new.enabled,
        "next_run_at": next_run_at,
        "created_by": principal.subject,
        "created_at": now,
        "updated_at": now,
    }
    if not await repository.add(row):
        raise ScheduleNameTaken
    audit(unit, principal, "schedule.created", schedule_id, name=new.name, kind=new.kind, cron=new.cron)
    return await find(unit, schedule_id)


async def change(
    unit: UnitOfWork, principal: Principal, registry: Registry, schedule_id: str, change: ScheduleChange
) -> Schedule:
    """Change what is given. Raises ScheduleNotFound, InvalidSchedule, ScheduleNameTaken, Forbidden."""
    row, kind = await _mine(unit, principal, registry, schedule_id)
    now = utc_now()
    given = change.model_dump(exclude_none=True)
    faults: list[Fault] = []
    if change.payload is not None:
        row.payload = _valid_payload(kind, change.payload, faults)
    next_run_at = _first_run(change.cron or row.cron, change.time_zone or row.time_zone, now, faults)
    if faults:
        raise InvalidSchedule(faults=tuple(faults))
    if given.keys() & {"cron", "time_zone", "enabled"}:
        row.next_run_at = next_run_at
    row.name, row.missed = change.name or row.name, change.missed or row.missed
    row.cron, row.time_zone = change.cron or row.cron, change.time_zone or row.time_zone
    row.is_enabled = row.is_enabled if change.enabled is None else change.enabled
    row.updated_at = now
    try:
        async with unit.session.begin_nested():
            await unit.session.flush()
    except IntegrityError as error:
        raise ScheduleNameTaken from error
    audit(unit, principal, "schedule.changed", row.id, name=row.name, changed=sorted(given))
    return row


async def delete(unit: UnitOfWork, principal: Principal, registry: Registry, schedule_id: str) -> None:
    """Forget it; what it started stays. Raises ScheduleNotFound, Forbidden."""
    row, _ = await _mine(unit, principal, registry, schedule_id)
    await _schedules(unit).delete(schedule_id)
    audit(unit, principal, "schedule.deleted", row.id, name=row.name, kind=row.kind)


async def run_now(unit: UnitOfWork, principal: Principal, registry: Registry, schedule_id: str) -> str:
    """Start its job once, at once, also while it is not enabled; the id of the job, which is the one that it started
    before while that waits or runs. Raises ScheduleNotFound, InvalidSchedule, Forbidden."""
    row, kind = await _mine(unit, principal, registry, schedule_id)
    if kind is None:
        raise InvalidSchedule.at("/kind", "option.unknown", f"Schedules do not start {row.kind} here.")
    audit(unit, principal, "schedule.run", row.id, name=row.name, kind=row.kind)
    payload = {**row.payload, "scheduled_for": utc_now().isoformat()}
    key = f"schedule:{row.id}"
    spec = JobSpec(row.kind, payload, principal.subject, active_key=key, queue=kind.queue, priority=kind.priority)
    return await enqueue(unit, spec)


async def fire(unit: UnitOfWork, registry: Registry, schedule_id: str, now: datetime) -> int:
    """Start what is due of a schedule and say when to look again; how many jobs were ordered.

    Whoever does the same at the same time orders the same jobs: each moment has its unique key.
    """
    row = await _schedules(unit).find(schedule_id, for_update=True)
    if row is None or not row.is_enabled or row.next_run_at > now:
        return 0
    kind = registry[row.kind]
    missed = cast(Missed, row.missed)
    try:
        due = cron.due(row.cron, row.time_zone, row.next_run_at, now, missed)
    except cron.NotCron as error:
        _log.error("schedule is switched off", tenant=unit.tenant, schedule=row.id, error=str(error))
        row.is_enabled = False
        return 0
    key = f"schedule:{row.id}"
    for run_at in due.runs:
        row.last_run_at = run_at
        row.last_job_id = await enqueue(
            unit,
            JobSpec(
                row.kind,
                {**row.payload, "scheduled_for": run_at.isoformat()},
                key,
                unique_key=f"{key}:{run_at.isoformat()}",
                # Runs that are made up for are all wanted; else one that still waits or runs stands for the next.
                active_key=None if missed == "run_all" else key,
                queue=kind.queue,
                priority=kind.priority,
            ),
        )
    row.next_run_at = due.next_run_at
    return len(due.runs)


async def ensure_standing(unit: UnitOfWork, registry: Registry) -> None:
    """See to it that the platform's own work is scheduled; what an operator changed about that stays. In a unit of the
    platform's own tenant."""
    now = utc_now()
    for kind in registry.values():
        if kind.standing is not None:
            row = {
                "id": new_id("sch"),
                "name": kind.kind,
                "kind": kind.kind,
                "payload": kind.payload().model_dump(mode="json"),
                "cron": kind.standing,
                "time_zone": "UTC",
                "missed": "run_once",
                "is_enabled": True,
                # The first run comes at once.
                "next_run_at": now,
                "created_by": "system:jobs",
                "created_at": now,
                "updated_at": now,
            }
            await _schedules(unit).add(row)


async def find(unit: UnitOfWork, schedule_id: str, *, for_update: bool = False) -> Schedule:
    """The tenant's schedule. Raises ScheduleNotFound."""
    row = await _schedules(unit).find(schedule_id, for_update=for_update)
    if row is None:
        raise ScheduleNotFound
    return row


async def _mine(
    unit: UnitOfWork, principal: Principal, registry: Registry, schedule_id: str
) -> tuple[Schedule, Schedulable | None]:
    """The schedule, for whoever may change it, and what it starts; None for what this version does not start.
    Raises ScheduleNotFound, Forbidden."""
    principal.require(WRITE)
    row = await find(unit, schedule_id, for_update=True)
    kind = offered(registry, unit.tenant).get(row.kind)
    if kind is not None:
        principal.require(kind.scope)
    return row, kind


def _valid_payload(kind: Schedulable | None, payload: Mapping[str, Any], faults: list[Fault]) -> dict[str, Any]:
    """The payload with its defaults; adds what is wrong with it."""
    if kind is None:
        faults.append(Fault("/kind", "option.unknown", "Schedules do not start this kind of job here."))
        return {}
    try:
        return kind.payload.model_validate(payload).model_dump(mode="json")
    except ValidationError as error:
        faults += faults_of(error, "/payload")
        return {}


def _first_run(expression: str, time_zone: str, now: datetime, faults: list[Fault]) -> datetime:
    """The first run after now; adds what is wrong with the time."""
    try:
        cron.zone(time_zone)
    except cron.NotCron as error:
        faults.append(Fault("/time_zone", cron.UNKNOWN_ZONE, str(error)))
        time_zone = "UTC"
    try:
        return cron.first_after(expression, time_zone, now)
    except cron.NotCron as error:
        faults.append(Fault("/cron", cron.INVALID, str(error)))
        return now


def _schedules(unit: UnitOfWork) -> ScheduleRepository:
    return ScheduleRepository(unit.session, unit.tenant)
