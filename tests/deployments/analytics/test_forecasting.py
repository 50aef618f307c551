"""L5: forecasts and drift as they are asked for, and the process that learns."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from db.settings import DatabaseSettings
from db.types import utc_now
from deployments.analytics.errors import FormNotFound
from deployments.analytics.forecast_contracts import AskDrift, AskForecast
from deployments.analytics.forecasts.errors import ForecastBusy, ForecastFailed
from deployments.analytics.forecasts.fitting import Fitter
from deployments.kit.errors import Invalid
from deployments.kit.principal import Principal
from deployments.responses.contracts import ImportRow
from deployments.responses.deployment import Responses
from tests.deployments.analytics.door import analytics
from tests.deployments.analytics.forecast_scene import Said, Series, opened
from tests.factories import make_form, make_tenant, owner

TESTED = {"mase": 0.8, "smape": 12.0, "coverage": 0.79, "forecasts": 70, "error": 3.0, "factor": 1.0}
EXPECTED = {
    "model": "ets",
    "skipped": 235,
    "learned": 130,
    "outliers": 1,
    "mean": [4.0, 5.0],
    "lower": [1.0, 2.0],
    "upper": [8.0, 9.0],
    "accuracy": {"model": "ets", **TESTED},
    "baseline": {"model": "seasonal_naive", **TESTED},
}


def door_of(database: Any, fitter: Fitter, series: Series) -> Any:
    door: Any = analytics(database)
    door._fitter, door._series = fitter, series
    return door


async def test_a_forecast_names_its_model_its_past_and_its_accuracy(sqlite_settings: DatabaseSettings) -> None:
    async with opened(sqlite_settings) as database:
        acme = await make_tenant(database)
        form = await make_form(database, acme)
        series = Series(lambda _: 5.0)
        door = door_of(database, Said(EXPECTED), series)
        found = await door.forecast(acme, form.id, AskForecast(horizon=2))
        today = utc_now().replace(hour=0, minute=0, second=0, microsecond=0)
        assert found.enough
        assert [(point.start, point.expected, point.lower, point.upper) for point in found.points] == [
            (today, 4, 1, 8),
            (today + timedelta(days=1), 5, 2, 9),
        ]
        assert found.learned_from.since == today - timedelta(days=130)
        assert (found.learned_from.until, found.learned_from.outliers) == (today, 1)
        assert (found.model, found.accuracy.mase, found.baseline.model) == ("ets", 0.8, "seasonal_naive")

        little = await door_of(database, Said({"reason": "There is too little."}), series).forecast(
            acme, form.id, AskForecast()
        )
        assert (little.enough, little.reason, little.points, little.model) == (False, "There is too little.", [], None)
        with pytest.raises(FormNotFound):
            await door.forecast(owner("other"), form.id, AskForecast())
        with pytest.raises(Invalid):
            await door.forecast(acme, form.id, AskForecast(timezone="Nowhere/City"))


async def test_drift_shows_personal_fields_to_whom_they_may_be_shown(sqlite_settings: DatabaseSettings) -> None:
    async with opened(sqlite_settings) as database:
        acme = await make_tenant(database)
        options = [{"id": "a", "label": "A"}, {"id": "b", "label": "B"}]
        fields = [
            {"id": "plain", "type": "choice", "title": "Plain", "options": options},
            {"id": "health", "type": "choice", "title": "Health", "options": options, "personal": True},
            {"id": "text", "type": "short_text", "title": "Text"},
        ]
        definition = {"pages": [{"id": "p1", "elements": fields}], "languages": ["en"]}
        form = await make_form(database, acme, definition=definition)
        until = datetime(2030, 1, 31, tzinfo=UTC)
        answers = {"plain": "a", "health": "b", "text": "secret words"}
        given = [
            ImportRow(key=str(n), line=n, answers=answers, submitted_at=until - timedelta(days=1 + 10 * n))
            for n in range(3)
        ]
        await Responses(database).import_rows(acme, form.id, given)
        door = door_of(database, Fitter(answer_s=60), Series(lambda _: 0.0))
        asked = AskDrift(until=until)
        found = await door.drift(acme, form.id, asked)
        assert (found.responses, found.reference_responses) == (1, 2)
        assert [(each.field, each.state) for each in found.fields] == [("plain", "too_few"), ("health", "too_few")]
        assert "secret" not in found.model_dump_json()
        reader = Principal("acme", "usr_2", "user", scopes=frozenset({"analytics:read"}))
        assert [each.field for each in (await door.drift(reader, form.id, asked)).fields] == ["plain"]
        with pytest.raises(Invalid) as refused:
            await door.drift(acme, form.id, AskDrift(since=until, until=until, reference_since=until))
        assert [fault.pointer for fault in refused.value.faults] == ["/since", "/reference_since"]
        await door.close()


async def test_the_process_answers_and_is_started_again_when_it_ended() -> None:
    fitter = Fitter(answer_s=60)
    try:
        sides = {"answered": 1, "reference_answered": 1, "now": {"a": 1}, "before": {"a": 1}, "kind": "one"}
        first = await fitter.ask("compare", fields=[sides])
        assert first["fields"][0]["psi"] is None
        with pytest.raises(ForecastFailed):
            await fitter.ask("compare", fields=[{"strange": 1}])
        process = fitter._process
        assert process is not None
        assert process.returncode is None  # what cannot be learned from does not end it
        process.kill()
        assert await fitter.ask("compare", fields=[sides]) == first
        assert fitter._process is not process
    finally:
        await fitter.close()


async def test_a_process_that_is_not_asked_ends() -> None:
    fitter = Fitter(answer_s=60, idle_s=0.01)
    process = await fitter._running()
    assert await process.wait() == 0
    await fitter.close()


async def test_who_waits_too_long_is_told_and_the_next_hears_their_own_answer() -> None:
    """Nobody waits for ever, an answer that comes too late is heard by nobody, and the process goes on."""
    fitter = Fitter(answer_s=0.0)
    try:
        process = await fitter._running()
        values = [float(n % 7 + n % 3) for n in range(100)]
        with pytest.raises(ForecastBusy):
            await fitter.ask("expect", values=values, measure="submissions", bucket="day", ahead=1, level=0.8)
        fitter._answer_s = 60
        assert await fitter.ask("compare", fields=[]) == {"fields": []}
        assert fitter._process is process
        assert not fitter._abandoned
    finally:
        await fitter.close()


async def test_a_question_without_an_end_is_ended() -> None:
    fitter = Fitter(answer_s=60, limit_s=0.05)
    try:
        process = await fitter._running()
        with pytest.raises(ForecastBusy):
            await fitter.ask("expect", values=[1.0] * 60, measure="submissions", bucket="day", ahead=400, level=0.8)
        assert process.returncode is not None
    finally:
        await fitter.close()
