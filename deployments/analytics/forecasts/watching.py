"""The jobs of alarms: one that finds those whose bucket is complete, and one that looks at it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from db.models.alarms import Alarm
from db.repositories.alarms import AlarmDirectory
from db.repositories.forms import FormRepository
from db.repositories.mail_suppressions import MailSuppressionRepository
from db.repositories.tenants import TenantRepository
from db.session import Database, UnitOfWork
from db.types import new_id, utc_now
from deployments.analytics.forecast_contracts import Compared
from deployments.analytics.forecasts import telling
from deployments.analytics.forecasts.alarms import alarms_of, next_check
from deployments.analytics.forecasts.answers import Spans, compared, counted
from deployments.analytics.forecasts.fitting import Fitter
from deployments.analytics.forecasts.spans import PAST, begins, later, zone_of
from deployments.analytics.metric_contracts import Bucket, MetricsApi, SeriesPoint
from deployments.jobs.contracts import Schedulable
from deployments.kit.errors import DeadlineExceeded, Invalid, NotFound, Unavailable
from deployments.kit.features import is_enabled, settings_of
from deployments.kit.principal import Principal
from deployments.kit.vault import Vault
from deployments.notifications.contracts import SEND_LETTER, Letter
from eventing.events.analytics import AnomalyDetected, DriftDetected
from eventing.events.envelope import EventData, Origin
from eventing.jobs import LOWEST, Done, GiveUp, JobKind, JobRun, JobSpec, Retry, enqueue, enqueue_all
from eventing.outbox import record

CHECK: Final = "analytics.check_alarm"
CHECK_DUE: Final = "analytics.check_alarms"
QUEUE: Final = "batch"
# Ten minutes past: what happened in the hour is counted by then.
SCHEDULABLE: Final = Schedulable(
    CHECK_DUE,
    "Look at what alarms are set on, once an hour.",
    "platform:admin",
    QUEUE,
    priority=LOWEST,
    standing="10 * * * *",
)
DEVIATIONS: Final = {"low": 5.0, "medium": 4.0, "high": 3.0}
"""How many standard deviations a figure has to be away, by sensitivity."""
REFERENCE: Final = timedelta(days=28)
"""What drift is compared with lies so far before."""

_ACTOR: Final = "system:analytics"
_ALARMS: Final = 200
_AGAIN_S: Final = 30.0
_WAIT_S: Final = 60.0
_COMPARED: Final = 4
_SEASONS: Final = {"hour": 168, "day": 7, "week": 1}


@dataclass(frozen=True, slots=True)
class Found:
    """What a bucket told: the sentence, and where it was not as expected, the rest."""

    finding: str
    start: datetime
    end: datetime
    details: Mapping[str, Any] | None = None


class CheckDue:
    """Orders a look of every alarm whose bucket is complete."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def run(self, job: JobRun) -> Done:
        now, after, ordered = utc_now(), ("", ""), 0
        while due := await self._due(now, after):
            for tenant_id, alarm_id in due:
                key = f"{CHECK}:{alarm_id}"
                async with self._database.write(tenant_id) as unit:
                    order = JobSpec(CHECK, {"alarm_id": alarm_id}, _ACTOR, queue=QUEUE, active_key=key, priority=LOWEST)
                    await enqueue(unit, order)
                ordered += 1
                await job.progress(ordered)
            after = due[-1]
        return Done({"ordered": ordered})

    async def _due(self, now: datetime, after: tuple[str, str]) -> list[tuple[str, str]]:
        async with self._database.unscoped_read() as unit:
            return list(await AlarmDirectory(unit.session).due_in_any_tenant(now, after, _ALARMS))


class CheckAlarm:
    """Looks at the last complete bucket of one alarm. What it finds is told once, whatever becomes of the worker."""

    def __init__(
        self,
        database: Database,
        metrics: MetricsApi,
        fitter: Fitter,
        vault: Vault,
        *,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._database = database
        self._clock = clock
        self._metrics = metrics
        self._fitter = fitter
        self._vault = vault

    async def run(self, job: JobRun) -> Done:
        """Raises GiveUp when the form is gone, Retry when its figures cannot be read now."""
        async with self._database.read(job.tenant_id) as unit:
            alarm = await alarms_of(unit).find(job.payload["alarm_id"])
        now = self._clock()
        if alarm is None or alarm.next_check_at is None or alarm.next_check_at > now:
            return Done({"looked": False})
        bucket, zone = _bucket(alarm), zone_of(alarm.timezone)
        end = begins(now, bucket, zone)
        start = later(end, bucket, zone, -1)
        try:
            found = await (self._drift if alarm.kind == "drift" else self._volume)(alarm, start, end)
        except Invalid as error:
            found = Found(error.detail, start, end)
        except NotFound as error:
            raise GiveUp(error.detail) from error
        except (Unavailable, DeadlineExceeded) as error:
            raise Retry(error.detail, after_s=error.retry_after or _AGAIN_S) from error
        async with self._database.write(job.tenant_id) as unit:
            told = await self._settle(unit, alarm.id, found, now)
        return Done({"looked": True, "told": told, "finding": found.finding})

    async def _volume(self, alarm: Alarm, start: datetime, end: datetime) -> Found:
        bucket = _bucket(alarm)
        points = await past(self._metrics, alarm.tenant_id, alarm.form_id, alarm.measure, bucket, alarm.timezone, end)
        said = await self._fitter.ask(
            "judge",
            values=[point.value for point in points],
            measure=alarm.measure,
            bucket=bucket,
            z=DEVIATIONS[alarm.sensitivity],
        )
        if "reason" in said:
            return Found(said["reason"], start, end)
        value, expected = said["value"], said["expected"]
        direction = "high" if value > expected else "low"
        same = [points[place] for place in _same_phase(len(points) - 1, bucket)]
        details = {
            "measure": alarm.measure,
            "value": value,
            "expected": expected,
            "lower": said["lower"],
            "upper": said["upper"],
            "compared_with": [{"start": point.start.isoformat(), "value": point.value} for point in same],
        }
        told = said["is_unusual"] and alarm.direction in (direction, "both")
        if told and abs(value - expected) >= alarm.min_difference:
            return Found("", start, end, details)
        figures = [telling.figure(each, alarm.measure) for each in (value, expected)]
        return Found(f"As expected: {figures[0]}, where {figures[1]} were expected.", start, end)

    async def _drift(self, alarm: Alarm, start: datetime, end: datetime) -> Found:
        spans = Spans(start - REFERENCE, start, end)
        async with self._database.read(alarm.tenant_id) as unit:
            answers = await counted(unit, alarm.form_id, spans, personal=False, only=alarm.fields)
        drift = await compared(self._fitter, alarm.form_id, spans, answers)
        fields = sorted(
            (field for field in drift.fields if field.state == "drifted"), key=lambda field: -(field.psi or 0)
        )
        if fields:
            details = {"fields": [field.model_dump(mode="json") for field in fields]}
            return Found(telling.drifted(fields), start, end, details)
        few = sum(field.state == "too_few" for field in drift.fields)
        return Found(
            f"Answered as before; {few} of {len(drift.fields)} fields have too few answers to tell.", start, end
        )

    async def _settle(self, unit: UnitOfWork, alarm_id: str, found: Found, now: datetime) -> bool:
        """Note what was found; whether it is told now."""
        alarm = await alarms_of(unit).find(alarm_id, for_update=True)
        if alarm is None or alarm.next_check_at is None:
            return False
        if alarm.checked_until is not None and alarm.checked_until >= found.end:
            return False
        alarm.checked_until, alarm.next_check_at = found.end, next_check(alarm, now)
        if found.details is None:
            alarm.finding, alarm.unusual_since = found.finding, None
            return False
        since = alarm.unusual_since = alarm.unusual_since or found.start
        alarm.finding = found.finding or _explained(alarm, found, since)
        cooldown = timedelta(hours=alarm.cooldown_hours)
        told = alarm.last_told_at is None or now - alarm.last_told_at >= cooldown
        anomaly_id = new_id("ano")
        row = {
            "id": anomaly_id,
            "alarm_id": alarm.id,
            "form_id": alarm.form_id,
            "kind": alarm.kind,
            "start": found.start,
            "end": found.end,
            "explanation": alarm.finding,
            "told": told,
            "details": found.details,
            "unusual_since": since,
            "found_at": now,
        }
        if not await alarms_of(unit).note(row) or not told:
            return False
        alarm.last_told_at = now
        record(unit, _fact(alarm, anomaly_id, found, since), actor=_ACTOR, origin=Origin())
        await self._write(unit, alarm, found, now)
        return True

    async def _write(self, unit: UnitOfWork, alarm: Alarm, found: Found, now: datetime) -> None:
        """Order the letters, in the transaction that notes what they tell."""
        settings = await settings_of(unit)
        if not alarm.recipients or not is_enabled(settings, "mail"):
            return
        suppressions = MailSuppressionRepository(unit.session, unit.tenant)
        suppressed = await suppressions.among({address.lower() for address in alarm.recipients})
        form = await FormRepository(unit.session, unit.tenant).find(alarm.form_id)
        tenant = await TenantRepository(unit.session, unit.tenant).get()
        values = {
            "alarm": alarm.name,
            "form": form.title if form is not None else alarm.form_id,
            "tenant": tenant.name if tenant is not None else unit.tenant,
            "when": telling.moment(found.start, alarm.timezone, alarm.bucket),
            "explanation": alarm.finding or "",
            **_figures(alarm, found),
        }
        letters = [
            Letter(
                template="drift_detected" if alarm.kind == "drift" else "anomaly_detected",
                recipient=address,
                locale=settings.get("locale") or "en",
                written_at=now,
                values=values,
            )
            for address in alarm.recipients
            if address.lower() not in suppressed
        ]
        if letters:
            orders = [JobSpec(SEND_LETTER, letter.sealed(self._vault), _ACTOR, queue="high") for letter in letters]
            await enqueue_all(unit, orders)


async def past(
    metrics: MetricsApi, tenant_id: str, form_id: str, measure: Any, bucket: Bucket, timezone: str, until: datetime
) -> list[SeriesPoint]:
    """The complete buckets before `until`, which one begins at."""
    since = later(until, bucket, zone_of(timezone), -PAST[bucket])
    reader = Principal.system(tenant_id, "analytics")
    series = await metrics.timeseries(reader, form_id, measure, bucket, timezone, since, until, False)
    return [point for point in series.points if since <= point.start < until]


def _bucket(alarm: Alarm) -> Bucket:
    bucket: Any = alarm.bucket
    return bucket  # type: ignore[no-any-return]


def _same_phase(last: int, bucket: str) -> list[int]:
    """The places of the same weekday or hour before, the latest first."""
    return [place for n in range(1, _COMPARED + 1) if (place := last - n * _SEASONS[bucket]) >= 0]


def _explained(alarm: Alarm, found: Found, since: datetime) -> str:
    details = found.details or {}
    return telling.unusual(
        alarm.measure,
        alarm.bucket,
        alarm.timezone,
        found.start,
        details["value"],
        details["expected"],
        (details["lower"], details["upper"]),
        [Compared.model_validate(each) for each in details["compared_with"]],
        since,
    )


def _figures(alarm: Alarm, found: Found) -> dict[str, str]:
    """What a letter says of a volume."""
    details = found.details or {}
    if alarm.kind == "drift":
        return {}
    same = [Compared.model_validate(each) for each in details["compared_with"]]
    names = ("value", "expected", "lower", "upper")
    return {
        "measure": telling.words_of(alarm.measure),
        "earlier": telling.earlier(same, alarm.measure),
        **{name: telling.figure(details[name], alarm.measure) for name in names},
    }


def _fact(alarm: Alarm, anomaly_id: str, found: Found, since: datetime) -> EventData:
    details = found.details or {}
    if alarm.kind == "drift":
        return DriftDetected(
            anomaly_id=anomaly_id,
            alarm_id=alarm.id,
            form_id=alarm.form_id,
            name=alarm.name,
            start=found.start.isoformat(),
            end=found.end.isoformat(),
            reference_since=(found.start - REFERENCE).isoformat(),
            unusual_since=since.isoformat(),
            fields=details["fields"],
            explanation=alarm.finding or "",
        )
    return AnomalyDetected(
        anomaly_id=anomaly_id,
        alarm_id=alarm.id,
        form_id=alarm.form_id,
        name=alarm.name,
        measure=alarm.measure,
        bucket=alarm.bucket,
        timezone=alarm.timezone,
        start=found.start.isoformat(),
        end=found.end.isoformat(),
        direction="high" if details["value"] > details["expected"] else "low",
        value=details["value"],
        expected=details["expected"],
        lower=details["lower"],
        upper=details["upper"],
        unusual_since=since.isoformat(),
        compared_with=details["compared_with"],
        explanation=alarm.finding or "",
    )


def job_kinds(database: Database, metrics: MetricsApi, vault: Vault) -> tuple[JobKind, ...]:
    """The jobs of alarms; `metrics` are what they look at. One of them learns at a time."""
    check = CheckAlarm(database, metrics, Fitter(answer_s=_WAIT_S), vault)
    return (
        JobKind(CHECK, QUEUE, check.run, max_attempts=10, places=1),
        JobKind(CHECK_DUE, QUEUE, CheckDue(database).run, max_attempts=20, soft_limit_s=1_500, hard_limit_s=1_800),
    )
