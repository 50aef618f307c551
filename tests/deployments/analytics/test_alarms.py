"""L5: what is not as expected is told once, with an explanation; what is as expected, is rare or is small is not."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from db.models.jobs import Job
from db.models.notifications import MailSuppression
from db.models.webhooks import WebhookDelivery
from db.session import Database
from db.settings import DatabaseSettings
from db.types import utc_now
from deployments.analytics.errors import FormNotFound
from deployments.analytics.forecast_contracts import ChangeAlarm, NewAlarm
from deployments.analytics.forecasts import alarms
from deployments.analytics.forecasts.errors import AlarmNotFound, InvalidAlarm, TooManyAlarms
from deployments.analytics.forecasts.watching import CHECK, CheckDue
from deployments.kit.errors import Invalid, NotFound
from deployments.responses.contracts import ImportRow
from deployments.responses.deployment import Responses
from deployments.webhooks.contracts import CreateWebhook
from deployments.webhooks.deployment import Webhooks
from deployments.webhooks.handlers import on_events, select_wanted
from eventing.events.analytics import AnomalyDetected, DriftDetected
from eventing.jobs import GiveUp
from tests.deployments.analytics.door import analytics
from tests.deployments.analytics.forecast_scene import (
    START,
    UNUSUAL,
    USUAL,
    VAULT,
    InProcess,
    Said,
    Series,
    Watch,
    opened,
)
from tests.deployments.tenancy.population import attempt
from tests.eventing.harness import rows
from tests.factories import make_form, make_tenant, owner

TO = ["ada@example.com", "olga@example.com"]


async def test_an_anomaly_is_told_once_and_a_cooldown_is_kept(database: Database) -> None:
    watch = await Watch.begin(database, recipients=TO, cooldown_hours=36)
    assert (await watch.look(Said(USUAL)))["told"] is False
    assert (await watch.look(Said(UNUSUAL))) == {"looked": False}  # the bucket is done
    watch.tomorrow()

    assert (await watch.look(Said(UNUSUAL)))["told"] is True
    (event,) = await watch.events()
    fact = event.read(AnomalyDetected)
    assert (fact.form_id, fact.alarm_id, fact.direction) == (watch.form_id, watch.alarm.id, "high")
    assert (fact.value, fact.expected, fact.lower, fact.upper) == (300, 120, 80, 165)
    assert fact.start == "2030-03-05T00:00:00+00:00"
    assert fact.unusual_since == fact.start
    assert fact.explanation == (
        "Tuesday 2030-03-05: submissions 300, expected 120 (between 80 and 165). The Tuesdays before: 0, 0, 0, 0."
    )
    letters = await watch.letters()
    assert [letter.recipient for letter in letters] == TO
    assert letters[0].template == "anomaly_detected"
    assert letters[0].values["value"] == "300"

    # The day after is in the cooldown: it is kept, and nobody is told again.
    watch.tomorrow()
    assert (await watch.look(Said(UNUSUAL)))["told"] is False
    assert (await watch.now()).unusual_since == datetime(2030, 3, 5, tzinfo=UTC)
    watch.tomorrow()
    assert (await watch.look(Said(UNUSUAL)))["told"] is True
    assert "Unusual since Tuesday 2030-03-05." in (await watch.events())[1].data["explanation"]
    watch.tomorrow()
    await watch.look(Said(USUAL))
    assert (await watch.now()).unusual_since is None
    assert [(each.told, each.value, each.compared_with[0].value) for each in await watch.found()] == [
        (True, 300, 0),
        (False, 300, 0),
        (True, 300, 0),
    ]
    assert len(await watch.letters()) == 4


async def test_a_webhook_hears_of_an_anomaly_with_its_explanation(sqlite_settings: DatabaseSettings) -> None:
    """L5: whoever subscribed to what analytics tells, and nobody who subscribed to something else."""
    async with opened(sqlite_settings) as database:
        watch = await Watch.begin(database)
        hooks = Webhooks(database, VAULT)
        for path, wanted in (("told", "analytics.*"), ("other", "response.submitted")):
            await hooks.create(watch.acme, CreateWebhook(url=f"https://example.org/{path}", events=[wanted]))
        await watch.look(Said(UNUSUAL))
        (event,) = await watch.events()
        async with database.write("acme") as unit:
            assert await select_wanted(unit, [event]) == [event]
            await on_events(unit, [event])
        (delivery,) = await rows(database, WebhookDelivery)
        body = json.loads(delivery.body)
        assert (body["type"], body["id"]) == ("analytics.anomaly_detected", event.id)
        assert "submissions 300, expected 120 (between 80 and 165)" in body["data"]["explanation"]


async def test_a_worker_that_comes_late_tells_nothing_twice(sqlite_settings: DatabaseSettings) -> None:
    """Two attempts at the same bucket: the second finds it done when it wants to note what it found."""
    async with opened(sqlite_settings) as database:
        watch = await Watch.begin(database, cooldown_hours=0)

        class Slow(Said):
            async def ask(self, task: str, **asked: Any) -> dict[str, Any]:
                await watch.look(Said(UNUSUAL))
                return await super().ask(task, **asked)

        assert (await watch.look(Slow(UNUSUAL)))["told"] is False
        assert len(await watch.events()) == len(await watch.found()) == 1


@pytest.mark.parametrize(
    ("alarm", "answer"),
    [
        ({"direction": "low"}, UNUSUAL),
        ({"direction": "high"}, UNUSUAL | {"value": 20.0}),
        ({"min_difference": 181}, UNUSUAL),
        ({}, {"reason": "There are figures of 3 days; a forecast needs those of 35."}),
    ],
    ids=["higher", "lower", "small", "too little"],
)
async def test_what_was_not_asked_for_is_not_told(
    sqlite_settings: DatabaseSettings, alarm: dict[str, Any], answer: dict[str, Any]
) -> None:
    async with opened(sqlite_settings) as database:
        watch = await Watch.begin(database, **alarm)
        assert (await watch.look(Said(answer)))["told"] is False
        now = await watch.now()
        assert await watch.found() == []
        assert now.checked_until == datetime(2030, 3, 5, tzinfo=UTC)
        assert now.finding == answer.get("reason", now.finding)
        assert now.finding


async def test_a_monday_without_answers_is_found_in_the_figures(sqlite_settings: DatabaseSettings) -> None:
    """With the real statistics: 40 on weekdays and 8 at weekends, and then a Monday with 2."""

    def value(day: datetime) -> float:
        if day.date() == (START - timedelta(days=1)).date():
            return 2.0
        return (40.0 if day.weekday() < 5 else 8.0) + day.toordinal() % 3

    async with opened(sqlite_settings) as database:
        watch = await Watch.begin(database)
        series = Series(value)
        assert (await watch.look(InProcess(), series))["told"] is True
        (found,) = await watch.found()
        assert found.value == 2
        assert found.expected == pytest.approx(41, abs=2)
        assert [each.start.weekday() for each in found.compared_with] == [0, 0, 0, 0]
        assert all((each.value or 0) >= 40 for each in found.compared_with)
        (asked,) = series.asked
        assert asked[:4] == (watch.form_id, "submissions", "day", "UTC")
        assert asked[5] == datetime(2030, 3, 5, tzinfo=UTC)
        # The day after is as ever: the outlier has taught nothing.
        watch.tomorrow()
        assert (await watch.look(InProcess(), series))["told"] is False


async def test_letters_go_to_whom_they_may(sqlite_settings: DatabaseSettings) -> None:
    async with opened(sqlite_settings) as database:
        watch = await Watch.begin(database, tenant={"locale": "de"}, recipients=TO)
        async with database.write("acme") as unit:
            suppression = {"tenant_id": "acme", "id": "sup_1", "address": TO[0], "reason": "manual", "created_by": "u"}
            unit.session.add(MailSuppression(**suppression, created_at=utc_now()))
        await watch.look(Said(UNUSUAL))
        assert [(letter.recipient, letter.locale) for letter in await watch.letters()] == [(TO[1], "de")]


async def test_no_letters_where_mail_is_switched_off(sqlite_settings: DatabaseSettings) -> None:
    async with opened(sqlite_settings) as database:
        watch = await Watch.begin(database, tenant={"features": {"mail": False}}, recipients=TO)
        await watch.look(Said(UNUSUAL))
        assert (len(await watch.events()), await watch.letters()) == (1, [])


async def test_answers_that_change_are_told(database: Database) -> None:
    """Drift, with the real statistics and answers: sides of a week against those of the four weeks before."""
    watch = await Watch.begin(database, kind="drift", bucket="week")
    monday = datetime(2030, 3, 4, tzinfo=UTC)
    async with database.write("acme") as unit:
        row = await alarms.alarms_of(unit).find(watch.alarm.id)
        assert row is not None
        row.next_check_at = monday
    given = [
        ImportRow(
            key=str(n),
            line=n,
            answers={
                "name": f"Person {n}",
                "email": "a@example.com",
                "side": {"options": ["corn"], "other": f"x{n}"} if n % 2 else ["yams", "corn"] if n < 200 else ["yams"],
                "score": n % 11,
            },
            submitted_at=monday - timedelta(days=8, hours=n) if n < 200 else monday - timedelta(hours=1 + n % 100),
        )
        for n in range(320)
    ]
    assert (await Responses(database).import_rows(watch.acme, watch.form_id, given)).imported == 320

    assert (await watch.look(InProcess()))["told"] is True
    (event,) = await watch.events()
    (side,) = event.read(DriftDetected).fields
    assert (side["field"], side["answered"], side["reference_answered"]) == ("side", 120, 200)
    assert side["values"][0] | {"share": 0, "reference_share": 0} == {
        "value": "corn",
        "label": "Corn",
        "count": 60,
        "share": 0,
        "reference_count": 200,
        "reference_share": 0,
    }
    assert event.data["explanation"] == "Answered differently than before: Sides: Corn 100% before, 50% now."
    (found,) = await watch.found()
    assert [field.field for field in found.fields] == ["side"]


async def test_alarms_are_kept_changed_and_forgotten(sqlite_settings: DatabaseSettings) -> None:
    async with opened(sqlite_settings) as database:
        watch = await Watch.begin(database, measure="completion_rate")
        door = analytics(database)
        assert watch.alarm.min_difference == 0.1
        changed = await door.change_alarm(
            watch.acme, watch.form_id, watch.alarm.id, ChangeAlarm(enabled=False, sensitivity="low")
        )
        assert (changed.enabled, changed.sensitivity, changed.name) == (False, "low", "Quiet")
        assert (await watch.look(Said(UNUSUAL))) == {"looked": False}
        again = await door.change_alarm(watch.acme, watch.form_id, watch.alarm.id, ChangeAlarm(enabled=True))
        assert again.enabled
        with pytest.raises(InvalidAlarm) as refused:
            await door.change_alarm(watch.acme, watch.form_id, watch.alarm.id, ChangeAlarm(name=None, fields=None))
        assert {fault.pointer for fault in refused.value.faults} == {"/name", "/fields"}
        with pytest.raises(InvalidAlarm):
            await door.create_alarm(watch.acme, watch.form_id, NewAlarm(name="x", kind="drift", bucket="hour"))
        with pytest.raises(Invalid):
            await door.create_alarm(watch.acme, watch.form_id, NewAlarm(name="x", timezone="Nowhere/City"))
        for n in range(alarms.MAX_ALARMS - 1):
            await door.create_alarm(watch.acme, watch.form_id, NewAlarm(name=f"alarm {n}"))
        with pytest.raises(TooManyAlarms):
            await door.create_alarm(watch.acme, watch.form_id, NewAlarm(name="one more"))
        first = await door.list_alarms(watch.acme, watch.form_id, None, 15)
        rest = await door.list_alarms(watch.acme, watch.form_id, first.meta.next_cursor, 15)
        assert [alarm.name for alarm in (*first.data, *rest.data)][::-1] == [
            "Quiet",
            *(f"alarm {n}" for n in range(19)),
        ]
        await door.delete_alarm(watch.acme, watch.form_id, watch.alarm.id)
        other = (await make_form(database, owner(), slug="another")).id
        for call in (
            door.get_alarm(watch.acme, watch.form_id, watch.alarm.id),
            door.get_alarm(watch.acme, other, first.data[0].id),
            door.delete_alarm(owner("other"), watch.form_id, first.data[0].id),
        ):
            with pytest.raises(AlarmNotFound):
                await call
        with pytest.raises(NotFound):
            await door.list_alarms(owner("other"), watch.form_id, None, 20)
        await door.close()


async def test_alarms_whose_bucket_is_complete_are_looked_at(sqlite_settings: DatabaseSettings) -> None:
    """Of active tenants and forms that are there, each once, however often the clock strikes."""
    async with opened(sqlite_settings) as database:
        watch = await Watch.begin(database)
        await make_tenant(database, "idle")
        async with database.write("acme") as unit:
            row = await alarms.alarms_of(unit).find(watch.alarm.id)
            assert row is not None
            row.next_check_at = utc_now() - timedelta(hours=1)
            await alarms.create(unit, watch.acme, watch.form_id, NewAlarm(name="not yet"))
            await alarms.create(unit, watch.acme, watch.form_id, NewAlarm(name="off", enabled=False))
        for _ in range(2):
            done = await CheckDue(database).run(attempt("_platform", {}))
            assert done.result == {"ordered": 1}
        ordered = [job for job in await rows(database, Job) if job.kind == CHECK]
        assert [(job.tenant_id, job.payload) for job in ordered] == [("acme", {"alarm_id": watch.alarm.id})]


async def test_an_alarm_of_a_form_that_is_gone_gives_up(sqlite_settings: DatabaseSettings) -> None:
    class Gone(Series):
        async def timeseries(self, *_: Any) -> Any:
            raise FormNotFound

    async with opened(sqlite_settings) as database:
        watch = await Watch.begin(database)
        with pytest.raises(GiveUp):
            await watch.look(Said(USUAL), Gone(lambda _: 0.0))


async def test_what_cannot_be_asked_for_is_noted_and_not_tried_each_hour(sqlite_settings: DatabaseSettings) -> None:
    class Refusing(Series):
        async def timeseries(self, *_: Any) -> Any:
            raise Invalid("There are too many buckets.")

    async with opened(sqlite_settings) as database:
        watch = await Watch.begin(database)
        assert (await watch.look(Said(USUAL), Refusing(lambda _: 0.0)))["told"] is False
        assert (await watch.now()).finding == "There are too many buckets."
        assert (await watch.look(Said(USUAL)))["looked"] is False
