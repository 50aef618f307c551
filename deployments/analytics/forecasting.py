"""The door to what is to be expected of a form, and to what was not."""

from datetime import datetime, timedelta
from typing import Any, Final

from db.session import Database
from db.types import utc_now
from deployments.analytics.forecast_contracts import (
    Alarm,
    Anomaly,
    AskDrift,
    AskForecast,
    ChangeAlarm,
    Drift,
    Forecast,
    ForecastAccuracy,
    ForecastPoint,
    ForecastSpan,
    NewAlarm,
)
from deployments.analytics.forecasts import alarms
from deployments.analytics.forecasts.answers import Spans, compared, counted
from deployments.analytics.forecasts.fitting import Fitter
from deployments.analytics.forecasts.spans import begins, later, zone_of
from deployments.analytics.forecasts.watching import past
from deployments.analytics.metric_contracts import MetricsApi
from deployments.kit.contract import Page
from deployments.kit.errors import Fault, Invalid
from deployments.kit.principal import Principal

_READ: Final = "analytics:read"
_WRITE: Final = "analytics:write"
_PERSONAL: Final = "responses:read_personal"
_RECENT: Final = timedelta(days=7)
_REFERENCE: Final = timedelta(days=28)
_LONGEST: Final = timedelta(days=731)


class Forecasting:
    """The part of `Analytics` that satisfies `ForecastApi`."""

    _database: Database
    _series: MetricsApi
    _fitter: Fitter

    async def forecast(self, principal: Principal, form_id: str, wanted: AskForecast) -> Forecast:
        principal.require(_READ, form_id)
        zone, bucket = zone_of(wanted.timezone), wanted.bucket
        async with self._database.read(principal.tenant_id) as unit:
            await alarms.require_form(unit, form_id)
        until = begins(utc_now(), bucket, zone)
        points = await past(self._series, principal.tenant_id, form_id, wanted.measure, bucket, wanted.timezone, until)
        said = await self._fitter.ask(
            "expect",
            values=[point.value for point in points],
            measure=wanted.measure,
            bucket=bucket,
            ahead=wanted.horizon,
            level=wanted.level,
        )
        about: dict[str, Any] = {"form_id": form_id, **wanted.model_dump(exclude={"horizon"})}
        if "reason" in said:
            return Forecast(**about, enough=False, reason=said["reason"])
        starts = [later(until, bucket, zone, step) for step in range(wanted.horizon)]
        return Forecast(
            **about,
            enough=True,
            model=said["model"],
            learned_from=ForecastSpan(
                since=points[said["skipped"]].start, until=until, buckets=said["learned"], outliers=said["outliers"]
            ),
            accuracy=_accuracy(said["accuracy"]),
            baseline=_accuracy(said["baseline"]),
            points=[
                ForecastPoint(start=start, expected=expected, lower=lower, upper=upper)
                for start, expected, lower, upper in zip(
                    starts, said["mean"], said["lower"], said["upper"], strict=True
                )
            ],
        )

    async def drift(self, principal: Principal, form_id: str, wanted: AskDrift) -> Drift:
        principal.require(_READ, form_id)
        spans = _spans(wanted, utc_now())
        async with self._database.read(principal.tenant_id) as unit:
            found = await counted(unit, form_id, spans, personal=principal.may(_PERSONAL, form_id))
        return await compared(self._fitter, form_id, spans, found)

    async def create_alarm(self, principal: Principal, form_id: str, new: NewAlarm) -> Alarm:
        principal.require(_WRITE, form_id)
        async with self._database.write(principal.tenant_id) as unit:
            return await alarms.create(unit, principal, form_id, new)

    async def list_alarms(self, principal: Principal, form_id: str, cursor: str | None, limit: int) -> Page[Alarm]:
        principal.require(_READ, form_id)
        async with self._database.read(principal.tenant_id) as unit:
            return await alarms.page(unit, form_id, cursor, limit)

    async def get_alarm(self, principal: Principal, form_id: str, alarm_id: str) -> Alarm:
        principal.require(_READ, form_id)
        async with self._database.read(principal.tenant_id) as unit:
            return await alarms.get(unit, form_id, alarm_id)

    async def change_alarm(self, principal: Principal, form_id: str, alarm_id: str, change: ChangeAlarm) -> Alarm:
        principal.require(_WRITE, form_id)
        async with self._database.write(principal.tenant_id) as unit:
            return await alarms.change(unit, principal, form_id, alarm_id, change)

    async def delete_alarm(self, principal: Principal, form_id: str, alarm_id: str) -> None:
        principal.require(_WRITE, form_id)
        async with self._database.write(principal.tenant_id) as unit:
            await alarms.delete(unit, principal, form_id, alarm_id)

    async def list_anomalies(self, principal: Principal, form_id: str, cursor: str | None, limit: int) -> Page[Anomaly]:
        principal.require(_READ, form_id)
        async with self._database.read(principal.tenant_id) as unit:
            return await alarms.anomalies(unit, form_id, cursor, limit)


def _accuracy(found: dict[str, Any]) -> ForecastAccuracy:
    return ForecastAccuracy(**{name: found[name] for name in ForecastAccuracy.model_fields})


def _spans(wanted: AskDrift, now: datetime) -> Spans:
    """What is compared. Raises Invalid for spans without length, and longer ones than two years."""
    until = wanted.until or now
    since = wanted.since or until - _RECENT
    reference_since = wanted.reference_since or since - _REFERENCE
    faults = []
    if since >= until:
        faults.append(Fault("/since", "span.empty", "`since` is before `until`."))
    if reference_since >= since:
        faults.append(Fault("/reference_since", "span.empty", "`reference_since` is before `since`."))
    if until - reference_since > _LONGEST:
        faults.append(Fault("/reference_since", "span.too_long", "Both spans together are two years at most."))
    if faults:
        raise Invalid(faults=tuple(faults))
    return Spans(reference_since, since, until)
