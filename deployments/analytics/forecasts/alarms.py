"""The rules of alarms: what can be asked of them, and how they are kept."""

from datetime import datetime
from typing import Any, Final

from db.models import alarms as tables
from db.repositories.alarms import AlarmRepository
from db.repositories.published_forms import PublishedFormRepository
from db.repositories.tenants import TenantRepository
from db.session import UnitOfWork
from db.types import new_id, utc_now
from deployments.analytics.errors import FormNotFound
from deployments.analytics.forecast_contracts import Alarm, Anomaly, ChangeAlarm, NewAlarm
from deployments.analytics.forecasts.errors import AlarmNotFound, InvalidAlarm, TooManyAlarms
from deployments.analytics.forecasts.spans import begins, later, zone_of
from deployments.kit.audit import audit
from deployments.kit.contract import Page, PageMeta
from deployments.kit.errors import Fault
from deployments.kit.pagination import decode_cursor, encode_cursor
from deployments.kit.principal import Principal

MAX_ALARMS: Final = 20
"""Most alarms of a form."""

_LEAST_DIFFERENCE: Final = {"completion_rate": 0.1, "median_seconds": 30.0}
_OF_COUNTS: Final = 10.0
_ALARMS: Final = "alarms"
_ANOMALIES: Final = "anomalies"


def alarms_of(unit: UnitOfWork) -> AlarmRepository:
    return AlarmRepository(unit.session, unit.tenant)


async def require_form(unit: UnitOfWork, form_id: str) -> None:
    """Raises FormNotFound."""
    if not await PublishedFormRepository(unit.session, unit.tenant).exists(form_id):
        raise FormNotFound


async def create(unit: UnitOfWork, principal: Principal, form_id: str, new: NewAlarm) -> Alarm:
    """A new one, which looks at the first bucket that is over. Raises FormNotFound, InvalidAlarm, TooManyAlarms."""
    await require_form(unit, form_id)
    zone_of(new.timezone)
    if new.kind == "drift" and new.bucket == "hour":
        detail = "The answers of an hour are too few to compare: take days or weeks."
        raise InvalidAlarm(faults=(Fault("/bucket", "alarm.bucket", detail),))
    # The tenant's row is locked, so that nobody else adds one beside the last.
    await TenantRepository(unit.session, unit.tenant).get_locked()
    if await alarms_of(unit).count(form_id) >= MAX_ALARMS:
        raise TooManyAlarms(f"a form can have {MAX_ALARMS} alarms")
    now = utc_now()
    least = _LEAST_DIFFERENCE.get(new.measure, _OF_COUNTS)
    given = new.model_dump(exclude={"enabled", "min_difference"})
    row = tables.Alarm(
        tenant_id=unit.tenant,
        id=new_id("alm"),
        form_id=form_id,
        min_difference=least if new.min_difference is None else new.min_difference,
        created_by=principal.subject,
        created_at=now,
        updated_at=now,
        **given,
    )
    row.next_check_at = next_check(row, now) if new.enabled else None
    alarms_of(unit).add(row)
    audit(unit, principal, "alarm.created", row.id)
    return to_alarm(row)


async def page(unit: UnitOfWork, form_id: str, cursor: str | None, limit: int) -> Page[Alarm]:
    """Those of a form, newest first. Raises FormNotFound."""
    await require_form(unit, form_id)
    before = decode_cursor(cursor, _ALARMS, 1)[0] if cursor else None
    rows = await alarms_of(unit).page(form_id, before, limit + 1)
    more = encode_cursor(_ALARMS, [rows[limit - 1].id]) if len(rows) > limit else None
    return Page[Alarm](data=[to_alarm(row) for row in rows[:limit]], meta=PageMeta(limit=limit, next_cursor=more))


async def get(unit: UnitOfWork, form_id: str, alarm_id: str) -> Alarm:
    """Raises AlarmNotFound."""
    return to_alarm(await _found(unit, form_id, alarm_id))


async def change(unit: UnitOfWork, principal: Principal, form_id: str, alarm_id: str, command: ChangeAlarm) -> Alarm:
    """The alarm with what is given. Raises AlarmNotFound, InvalidAlarm."""
    row = await _found(unit, form_id, alarm_id, for_update=True)
    given: dict[str, Any] = {name: getattr(command, name) for name in command.model_fields_set}
    faults = tuple(
        Fault(f"/{name}", "alarm.missing", f"an alarm has {name}") for name, value in given.items() if value is None
    )
    if faults:
        raise InvalidAlarm(faults=faults)
    enabled = given.pop("enabled", None)
    for name, value in given.items():
        setattr(row, name, value)
    row.updated_at = utc_now()
    if enabled is False:
        row.next_check_at = None
    elif enabled and row.next_check_at is None:
        row.next_check_at = next_check(row, row.updated_at)
    audit(unit, principal, "alarm.changed", row.id)
    return to_alarm(row)


async def delete(unit: UnitOfWork, principal: Principal, form_id: str, alarm_id: str) -> None:
    """Raises AlarmNotFound."""
    if not await alarms_of(unit).delete(form_id, alarm_id):
        raise AlarmNotFound
    audit(unit, principal, "alarm.deleted", alarm_id)


async def anomalies(unit: UnitOfWork, form_id: str, cursor: str | None, limit: int) -> Page[Anomaly]:
    """What the alarms of a form found, newest first. Raises FormNotFound."""
    await require_form(unit, form_id)
    before = decode_cursor(cursor, _ANOMALIES, 1)[0] if cursor else None
    rows = await alarms_of(unit).anomalies(form_id, before, limit + 1)
    more = encode_cursor(_ANOMALIES, [rows[limit - 1].id]) if len(rows) > limit else None
    data = [_to_anomaly(row) for row in rows[:limit]]
    return Page[Anomaly](data=data, meta=PageMeta(limit=limit, next_cursor=more))


def next_check(row: tables.Alarm, now: datetime) -> datetime:
    """When the bucket of now is complete."""
    zone = zone_of(row.timezone)
    bucket: Any = row.bucket
    return later(begins(now, bucket, zone), bucket, zone, 1)


def to_alarm(row: tables.Alarm) -> Alarm:
    values = row.model_dump(exclude={"tenant_id", "next_check_at"})
    return Alarm.model_validate({**values, "enabled": row.next_check_at is not None})


def _to_anomaly(row: tables.Anomaly) -> Anomaly:
    return Anomaly.model_validate({**row.model_dump(exclude={"tenant_id", "details"}), **row.details})


async def _found(unit: UnitOfWork, form_id: str, alarm_id: str, *, for_update: bool = False) -> tables.Alarm:
    row = await alarms_of(unit).find(alarm_id, for_update=for_update)
    if row is None or row.form_id != form_id:
        raise AlarmNotFound
    return row
