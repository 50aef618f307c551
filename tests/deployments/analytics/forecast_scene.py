"""Figures, statistics and alarms for tests."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from db.models.events import Event
from db.models.jobs import Job
from db.session import Database
from db.settings import DatabaseSettings
from deployments.analytics.contracts import TimeSeries
from deployments.analytics.forecast_contracts import Alarm, Anomaly, NewAlarm
from deployments.analytics.forecasts import alarms
from deployments.analytics.forecasts.fitting import Fitter
from deployments.analytics.forecasts.watching import CheckAlarm
from deployments.analytics.forecasts.worker import TASKS
from deployments.analytics.metric_contracts import SeriesPoint
from deployments.kit.principal import Principal
from deployments.kit.vault import Vault
from deployments.notifications.contracts import SEND_LETTER, Letter
from eventing.events.envelope import Event as Envelope
from tests.deployments.tenancy.population import attempt
from tests.eventing.harness import rows
from tests.factories import make_form, make_tenant

VAULT = Vault("s" * 32)
START = datetime(2030, 3, 5, 0, 10, tzinfo=UTC)
"""Ten past midnight of a Tuesday: Monday is complete."""
UNUSUAL = {"value": 300.0, "expected": 120.0, "lower": 80.0, "upper": 165.0, "is_unusual": True}
USUAL = UNUSUAL | {"value": 121.0, "is_unusual": False}


class Series:
    """Figures of days, by a function of the day; satisfies what alarms and forecasts ask of `MetricsApi`."""

    def __init__(self, value: Callable[[datetime], float | None]) -> None:
        self.value = value
        self.asked: list[tuple[Any, ...]] = []

    async def timeseries(self, _principal: Any, form_id: str, *asked: Any) -> TimeSeries:
        measure, bucket, timezone, since, until, _compare = asked
        self.asked.append((form_id, *asked))
        assert bucket == "day"
        days = [since + timedelta(days=n) for n in range((until - since).days)]
        points = [SeriesPoint(start=day, value=self.value(day)) for day in days]
        return TimeSeries(form_id=form_id, measure=measure, bucket=bucket, timezone=timezone, points=points)


class InProcess(Fitter):
    """The statistics without the process around them."""

    async def ask(self, task: str, **asked: Any) -> dict[str, Any]:
        return TASKS[task](asked)


class Said(Fitter):
    """Says what a test wants."""

    def __init__(self, answer: Mapping[str, Any]) -> None:
        super().__init__()
        self.answer = dict(answer)

    async def ask(self, task: str, **asked: Any) -> dict[str, Any]:
        return self.answer


@asynccontextmanager
async def opened(settings: DatabaseSettings) -> AsyncIterator[Database]:
    """An open database."""
    async with Database(settings) as database:
        yield database


class Watch:
    """A form with an alarm, and the days that pass."""

    def __init__(self, database: Database, acme: Principal, form_id: str, alarm: Alarm) -> None:
        self.database = database
        self.acme = acme
        self.form_id = form_id
        self.alarm = alarm
        self.today = START

    @classmethod
    async def begin(cls, database: Database, tenant: Mapping[str, Any] | None = None, **alarm: Any) -> "Watch":
        acme = await make_tenant(database, **(tenant or {}))
        form = await make_form(database, acme)
        async with database.write("acme") as unit:
            made = await alarms.create(unit, acme, form.id, NewAlarm(name="Quiet", **alarm))
            row = await alarms.alarms_of(unit).find(made.id)
            assert row is not None
            row.next_check_at = START
        return cls(database, acme, form.id, made)

    async def look(self, fitter: Fitter, metrics: Any = None) -> dict[str, Any]:
        """What the job says today."""
        metrics = metrics or Series(lambda _: 0.0)
        check = CheckAlarm(self.database, metrics, fitter, VAULT, clock=lambda: self.today)
        done = await check.run(attempt("acme", {"alarm_id": self.alarm.id}))
        return done.result or {}

    def tomorrow(self) -> None:
        self.today += timedelta(days=1)

    async def now(self) -> Alarm:
        async with self.database.read("acme") as unit:
            return await alarms.get(unit, self.form_id, self.alarm.id)

    async def found(self) -> list[Anomaly]:
        """What the alarm found, oldest first."""
        async with self.database.read("acme") as unit:
            page = await alarms.anomalies(unit, self.form_id, None, 100)
        return page.data[::-1]

    async def events(self) -> list[Envelope]:
        kept = [row for row in await rows(self.database, Event) if row.type.startswith("analytics.")]
        return [Envelope.decode(row.envelope) for row in kept]

    async def letters(self) -> list[Letter]:
        ordered = await rows(self.database, Job)
        return [Letter.unsealed(VAULT, job.payload) for job in ordered if job.kind == SEND_LETTER]
