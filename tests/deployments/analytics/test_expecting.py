"""L5: forecasts of series whose truth is known, and none where there is nothing to learn from."""

import augurs
import numpy as np
import pytest
from scipy.stats import norm, poisson  # type: ignore[import-untyped]

from deployments.analytics.forecasts.expecting import (
    BASELINE,
    Expected,
    Fit,
    Judgement,
    Next,
    NotEnough,
    Scale,
    Unlearnable,
    ets,
    expect,
    judge,
    learned,
    mstl_ets,
    without_outliers,
)

WEEK = np.array([1.3, 1.2, 1.1, 1.1, 1.0, 0.5, 0.4])


def truth(days: int, mean: float) -> np.ndarray:
    return mean * WEEK[np.arange(days) % 7]


def drawn(days: int, mean: float, seed: int = 1) -> list[float]:
    return [float(n) for n in np.random.default_rng(seed).poisson(truth(days, mean))]


def test_a_weekly_series_is_continued() -> None:
    """The means come near the truth, the intervals hold what is drawn, and the model beats repeating the week."""
    found = expect(drawn(200, 60), "submissions", "day", 28, 0.8)
    assert isinstance(found, Expected)
    expected = truth(228, 60)[200:]
    assert np.abs(np.array(found.mean) - expected).mean() < 0.1 * expected.mean()
    assert found.model != BASELINE
    assert found.accuracy.error < found.baseline.error
    assert found.learned == 200
    draws = np.random.default_rng(2).poisson(expected, size=(200, 28))
    assert 0.7 < ((draws >= found.lower) & (draws <= found.upper)).mean() < 0.92
    assert all(0 <= low <= mean <= high for low, mean, high in zip(found.lower, found.mean, found.upper, strict=True))


def test_what_merely_repeats_is_repeated() -> None:
    """Nothing beats the season before where it returns exactly: it is the fallback, and its interval is narrow."""
    found = expect([10.0, 20, 30, 40, 50, 5, 0] * 8, "submissions", "day", 7, 0.9)
    assert isinstance(found, Expected)
    assert found.model == BASELINE
    assert found.mean == pytest.approx([10, 20, 30, 40, 50, 5, 0])
    assert found.accuracy.mase is None  # nothing to be measured by: the week before errs by nothing


def test_intervals_are_as_wide_as_the_errors_were() -> None:
    """Days that are either good or bad lie farther from the middle than half of what a normal distribution draws."""
    roots = 20 + np.random.default_rng(3).choice([-2.0, 2.0], 200)
    found = expect([float(n) for n in np.square(roots)], "submissions", "day", 14, 0.5)
    assert isinstance(found, Expected)
    assert 1.2 < found.accuracy.factor < 2
    halves = (np.sqrt(np.array(found.upper) + 0.375) - np.sqrt(np.array(found.lower) + 0.375)) / 2
    assert 1.7 < halves.min() < halves.max() < 3


def test_rates_stay_between_none_and_all() -> None:
    values: list[float | None] = [0.97, 0.99, 1.0, 0.98, 1.0, 0.9, None] * 8
    found = expect(values, "completion_rate", "day", 14, 0.95)
    assert isinstance(found, Expected)
    assert max(found.upper) <= 1
    assert min(found.lower) > 0.5


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ([], "of 0 days"),
        ([0.0] * 300, "of 0 days"),
        ([0.0] * 300 + [5.0] * 20, "of 20 days"),
        ([1.0, *[0.0] * 9] * 20, "chance"),
        ([50.0] * 60 + [0.0] * 7, "nothing in the last 7 days"),
    ],
    ids=["none", "nothing", "short", "sparse", "over"],
)
def test_too_little_is_said_and_nothing_made_up(values: list[float], reason: str) -> None:
    found = expect(values, "submissions", "day", 14, 0.8)
    assert isinstance(found, NotEnough)
    assert reason in found.reason


def test_figures_that_are_missing_are_bridged_when_they_are_few() -> None:
    few: list[float | None] = [30.0, 31.0, None, 33.0, 34.0, 35.0, 36.0] * 6
    found = learned(few, "median_seconds", "day")
    assert not isinstance(found, NotEnough)
    assert found.true[2] == 32
    many: list[float | None] = [30.0, None, None, 33.0, 34.0, 35.0, 36.0] * 6
    assert isinstance(learned(many, "median_seconds", "day"), NotEnough)


def test_an_outlier_is_brought_near_and_a_new_level_is_none() -> None:
    values = np.sqrt(np.array(drawn(120, 60)))
    spike = values.copy()
    spike[60] = 40
    clean, count = without_outliers(spike, 7)
    assert count == 1
    assert abs(clean[60] - values[60]) < 6
    level = values.copy()
    level[60:] *= 2
    assert without_outliers(level, 7)[1] <= 2


@pytest.mark.parametrize(("last", "unusual"), [(80.0, False), (78.0, False), (0.0, True), (12.0, True), (300.0, True)])
def test_a_day_is_judged_by_its_weekday(last: float, unusual: bool) -> None:
    """The 141st day is one of 78 on average, whatever the day before it was."""
    found = judge([*drawn(140, 60), last], "submissions", "day", 4)
    assert isinstance(found, Judgement)
    assert found.expected == pytest.approx(78, rel=0.15)
    assert found.is_unusual is unusual


def test_a_quiet_form_is_not_judged_and_chance_is_not_unusual() -> None:
    """L5: sparse forms are quiet. Fewer than one a day is not looked at; a few a day may double by chance."""
    assert isinstance(judge([*[0.0, 0.0, 1.0, 0.0] * 30, 40.0], "submissions", "day", 3), NotEnough)
    few = judge([*[float(n) for n in np.random.default_rng(3).poisson(2, 100)], 6.0], "submissions", "day", 4)
    assert isinstance(few, Judgement)
    assert not few.is_unusual


def test_a_count_varies_at_least_as_chance_does() -> None:
    """However alike the days were: of ten a day on average, one of a thousand days has more than 20."""
    alike = Next(Scale("submissions"), middle=float(Scale("submissions").there(np.array([10.0]))[0]), spread=0.0)
    judged = alike.judge(20, z=float(norm.isf(0.001)))
    assert (judged.lower, judged.upper) == (poisson.ppf(0.001, 10), poisson.isf(0.001, 10))
    assert not judged.is_unusual
    assert alike.judge(30, z=3).is_unusual


def test_hours_know_the_hour_and_the_weekday() -> None:
    hours = np.arange(24 * 42)
    rate = 12 * (1 + 0.9 * np.sin(2 * np.pi * hours / 24)) * np.where(hours // 24 % 7 < 5, 1.0, 0.3)
    values = [float(n) for n in np.random.default_rng(4).poisson(rate[:-24])]
    found = expect(values, "submissions", "hour", 24, 0.8)
    assert isinstance(found, Expected)
    assert found.model == "mstl_ets"
    assert found.accuracy.error < found.baseline.error
    assert np.abs(np.array(found.mean) - rate[-24:]).mean() < 3


REAL = augurs.MSTL


class Panicking:
    """A model that reaches the library's own panic, which is no Exception."""

    @classmethod
    def ets(cls, periods: list[int]) -> "Panicking":
        return cls()

    def fit(self, values: np.ndarray) -> None:
        model = REAL.ets([2])
        model.fit(values)
        model.predict(2**62, 0.8)


def test_a_panic_of_the_library_leaves_the_season_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """What Rust panics with would pass by every `except Exception` and end the process that learns."""
    values = drawn(100, 60)
    monkeypatch.setattr(augurs, "MSTL", Panicking)
    with pytest.raises(Unlearnable):
        ets(np.array(values), 7, 7)
    found = expect(values, "submissions", "day", 7, 0.8)
    assert isinstance(found, Expected)
    assert (found.model, found.accuracy.model) == (BASELINE, BASELINE)
    judged = judge([*values, 0.0], "submissions", "day", 4)
    assert isinstance(judged, Judgement)
    assert judged.is_unusual


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_what_is_no_number_is_not_learned_from(wrong: float) -> None:
    values = np.full(60, 5.0)
    values[30] = wrong
    with pytest.raises(Unlearnable), np.errstate(invalid="ignore"):
        ets(values, 7, 7)


@pytest.mark.parametrize("model", [ets, mstl_ets])
@pytest.mark.parametrize("value", [0.0, 5.0, 1e6])
def test_one_value_again_and_again_is_continued(model: Fit, value: float) -> None:
    said = model(np.full(400, value), 168 if model is mstl_ets else 7, 9)
    assert said.middle == pytest.approx(np.full(9, value))
    assert said.spread == pytest.approx(np.zeros(9), abs=1e-6 * max(value, 1))


def test_the_same_count_each_day_is_expected_again() -> None:
    found = expect([12.0] * 100, "submissions", "day", 7, 0.8)
    assert isinstance(found, Expected)
    assert found.mean == pytest.approx([12.0] * 7)


@pytest.mark.parametrize("mean", [1e6, 1e12])
def test_very_many_are_forecast_as_few_are(mean: float) -> None:
    week = truth(214, mean)
    values = np.round(week * np.random.default_rng(6).normal(1, 0.02, 214))
    found = expect(values[:200].tolist(), "submissions", "day", 14, 0.8)
    assert isinstance(found, Expected)
    assert found.model == "ets"
    assert np.array(found.mean) == pytest.approx(week[200:], rel=0.04)


def test_a_day_without_answers_stays_without_beside_days_that_grow() -> None:
    """A weekday is a share of the level: what grows grows on the days that have something."""
    days = np.arange(214)
    rate = np.where(days % 7 == 6, 0.0, 20 + days / 2)
    found = expect([float(n) for n in np.random.default_rng(9).poisson(rate[:200])], "submissions", "day", 14, 0.8)
    assert isinstance(found, Expected)
    assert np.array(found.mean) == pytest.approx(rate[200:], rel=0.15, abs=2)


def test_a_rate_of_nothing_is_continued() -> None:
    found = expect([0.0] * 60, "completion_rate", "day", 7, 0.8)
    assert isinstance(found, Expected)
    assert found.mean == pytest.approx([0.0] * 7)
