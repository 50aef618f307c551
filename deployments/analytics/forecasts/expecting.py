"""What a series of figures leads to expect. Pure; heavy to import, so only the worker and benchmarks do.

Counts are looked at as √(x + 3/8), where the noise of small and large counts is alike (Anscombe) and nothing is below
zero; times as logarithms, rates as they are.
"""

import math
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.stats import norm, poisson

Values: TypeAlias = npt.NDArray[np.float64]

BASELINE: Final = "seasonal_naive"
SEASONS: Final = {"hour": 168, "day": 7, "week": 1, "month": 1}
"""Buckets after which things repeat."""

_DAY_OF_HOURS: Final = 24
_YEAR_OF_MONTHS: Final = 12
_LEAST: Final = {"hour": 4 * 168, "day": 5 * 7, "week": 16, "month": 16}
_UNITS: Final = {"hour": "hours", "day": "days", "week": "weeks", "month": "months"}
_COUNTS: Final = frozenset({"views", "starts", "submissions"})
_RATES: Final = frozenset({"completion_rate"})
# Rarer than one in a bucket, a forecast would be a number for what comes by chance.
_LEAST_MEAN: Final = 1.0
_MOST_MISSING: Final = 0.2
_ORIGINS: Final = 5
_LEAST_ERRORS: Final = 20
# Errors of a few weeks may be small by chance, so intervals are never narrower than the model itself makes them.
_CALIBRATION: Final = (1.0, 3.0)
_FAR: Final = 5.0
_AROUND: Final = 4
_POISSON_SD: Final = 0.5
_SIDES: Final = 0.8
_MAD: Final = 1.4826


@dataclass(frozen=True, slots=True)
class Scale:
    """How figures of a measure are looked at."""

    measure: str

    @property
    def is_count(self) -> bool:
        return self.measure in _COUNTS

    def there(self, values: Values) -> Values:
        if self.is_count:
            return np.asarray(np.sqrt(np.maximum(values, 0) + 0.375))
        return values if self.measure in _RATES else np.asarray(np.log1p(np.maximum(values, 0)))

    def back(self, values: Values) -> Values:
        if self.is_count:
            return np.maximum(np.square(np.maximum(values, 0)) - 0.375, 0)
        if self.measure in _RATES:
            return np.clip(values, 0, 1)
        return np.maximum(np.expm1(np.minimum(values, 50)), 0)

    def mean(self, middle: Values, spread: Values) -> Values:
        """The mean of what has this mean and standard deviation where it is looked at; of times, their median."""
        if self.is_count:
            return np.maximum(np.square(np.maximum(middle, 0)) + np.square(spread) - 0.375, 0)
        return self.back(middle)


@dataclass(frozen=True, slots=True)
class Ahead:
    """Middle and standard deviation of each bucket ahead, where it is looked at."""

    middle: Values
    spread: Values


Fit: TypeAlias = Callable[[Values, int, int], Ahead]
"""Learns from values with a season, and looks so far ahead. May raise Unlearnable."""


def repeat(values: Values, season: int, ahead: int) -> Ahead:
    """The season before, again."""
    middle = np.resize(values[-season:], ahead)
    errors = values[season:] - values[:-season]
    seasons = np.arange(ahead) // season + 1
    return Ahead(middle, np.sqrt(np.mean(np.square(errors)) * seasons))


class Unlearnable(Exception):
    """A model found nothing in a series."""


def ets(values: Values, season: int, ahead: int) -> Ahead:
    """Each phase of the season is a share of the level; what is left is smoothed exponentially, with a trend that may
    fade."""
    if season == 1:
        return _smoothed(values, ahead)
    level = _level(values, season)
    phases = np.arange(len(values) + ahead) % season
    known, next_ones = phases[: len(values)], phases[len(values) :]
    sums = np.bincount(known, level)
    shares = np.divide(np.bincount(known, values), sums, out=np.ones(season), where=sums > 0)
    left = _smoothed(values - (shares[known] - 1) * level, ahead)
    return Ahead(left.middle * shares[next_ones], left.spread)


def mstl_ets(values: Values, season: int, ahead: int) -> Ahead:
    """The season of the day and that of the week, taken apart by loess; what is left is smoothed exponentially."""
    return _mstl(values, (_DAY_OF_HOURS, season), ahead)


def _level(values: Values, season: int) -> Values:
    """The mean of a season around each value."""
    window = np.full(season, 1 / season)
    if season % 2 == 0:
        window = np.convolve(window, (0.5, 0.5))
    return np.pad(np.convolve(values, window, "valid"), len(window) // 2, mode="edge")


def _smoothed(values: Values, ahead: int) -> Ahead:
    # augurs smooths only what it took a season from: a season of two, of which pairs have nothing.
    found = _mstl(values, (2,), ahead + 1)
    return Ahead((found.middle[:-1] + found.middle[1:]) / 2, found.spread[:-1])


def _mstl(values: Values, periods: Sequence[int], ahead: int) -> Ahead:
    """Raises Unlearnable."""
    import augurs

    mean = values.mean()
    try:
        model = augurs.MSTL.ets(list(periods))
        # Around nothing there are no errors that grow with the level, so that none are tried.
        model.fit(values - mean)
        found = model.predict(ahead, _SIDES)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # what Rust panics with is no Exception
        raise Unlearnable(str(error)) from error
    middle, upper = found.point(), found.upper()
    if upper is None or not np.isfinite(upper).all():
        raise Unlearnable("the interval has no end")
    return Ahead(middle + mean, (upper - middle) / float(norm.ppf(0.5 + _SIDES / 2)))


_MODELS: Final[dict[str, Fit]] = {BASELINE: repeat, "ets": ets, "mstl_ets": mstl_ets}


def candidates(bucket: str) -> tuple[str, ...]:
    """The models that are tried, the baseline first."""
    return (BASELINE, "mstl_ets" if bucket == "hour" else "ets")


@dataclass(frozen=True, slots=True)
class Backtest:
    """How a model fared from some points in the past. `factor` is what its intervals had to be widened by."""

    model: str
    error: float
    mase: float | None
    smape: float
    coverage: float
    forecasts: int
    factor: float


@dataclass(frozen=True, slots=True)
class Expected:
    """What is expected of the buckets ahead, and how that was found. In the first `skipped` buckets was nothing."""

    model: str
    skipped: int
    learned: int
    outliers: int
    mean: list[float]
    lower: list[float]
    upper: list[float]
    accuracy: Backtest
    baseline: Backtest


@dataclass(frozen=True, slots=True)
class NotEnough:
    """Why nothing is said."""

    reason: str


@dataclass(frozen=True, slots=True)
class Learned:
    """A series that can be learned from: `true` as it was, `clean` without outliers."""

    true: Values
    clean: Values
    season: int
    skipped: int
    outliers: int


def learned(values: Sequence[float | None], measure: str, bucket: str) -> Learned | NotEnough:
    """The series from its first figure on, or why it is too little."""
    scale = Scale(measure)
    raw = np.array([np.nan if value is None else value for value in values], dtype=np.float64)
    found = np.flatnonzero(np.nan_to_num(raw) != 0 if scale.is_count else ~np.isnan(raw))
    least, units = _LEAST[bucket], _UNITS[bucket]
    skipped = int(found[0]) if len(found) else len(raw)
    raw = raw[skipped:]
    if len(raw) < least:
        return NotEnough(f"There are figures of {len(raw)} {units}; a forecast needs those of {least}.")
    missing = np.isnan(raw)
    if missing.mean() > _MOST_MISSING:
        return NotEnough(f"{missing.mean():.0%} of the {units} have no figure; at most {_MOST_MISSING:.0%} may.")
    season = SEASONS[bucket]
    if bucket == "month" and len(raw) >= 3 * _YEAR_OF_MONTHS:
        season = _YEAR_OF_MONTHS
    if scale.is_count:
        recent = raw[-max(4 * season, least) :]
        if recent.mean() < _LEAST_MEAN:
            return NotEnough(
                f"There are {recent.mean():.2g} in one of the {units} on average; below {_LEAST_MEAN:g} it is chance "
                "what the next ones bring. Longer buckets may have more."
            )
        if not raw[-max(season, 4) :].any():
            return NotEnough(f"There was nothing in the last {max(season, 4)} {units}.")
    if missing.any():
        raw = np.interp(np.arange(len(raw)), np.flatnonzero(~missing), raw[~missing])
    clean, outliers = without_outliers(scale.there(raw), season)
    return Learned(raw, clean, season, skipped, outliers)


def without_outliers(values: Values, season: int) -> tuple[Values, int]:
    """Values far from those of the same phase around them are brought near; a level that stays is none."""
    padded = np.pad(values, _AROUND * season, constant_values=np.nan)
    around = np.stack([np.roll(padded, shift * season) for shift in range(-_AROUND, _AROUND + 1) if shift])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of slices without a value, in the padding
        middle = np.nanmedian(around, axis=0)[_AROUND * season : _AROUND * season + len(values)]
    left = values - middle
    far = _FAR * max(_MAD * float(np.median(np.abs(left - np.median(left)))), 1e-9)
    kept = middle + np.clip(left, -far, far)
    return kept, int(np.count_nonzero(np.abs(left) > far))


def expect(values: Sequence[float | None], measure: str, bucket: str, ahead: int, level: float) -> Expected | NotEnough:
    """What is expected after `values`, the last of which is the last complete bucket.

    The model is the one that erred least from several points in the past; repeating the season before, unless another
    one is better. Its intervals are as wide as its errors then were.
    """
    found = learned(values, measure, bucket)
    if isinstance(found, NotEnough):
        return found
    scale = Scale(measure)
    tests: dict[str, Backtest] = {}
    for name in candidates(bucket):
        with suppress(Unlearnable):
            tests[name] = backtest(name, found, scale, bucket, ahead, level)
    model = min(tests, key=lambda name: tests[name].error)
    try:
        last = _MODELS[model](found.clean, found.season, ahead)
    except Unlearnable:
        model, last = BASELINE, repeat(found.clean, found.season, ahead)
    z = float(norm.ppf(0.5 + level / 2)) * tests[model].factor
    lower, upper = scale.back(last.middle - z * last.spread), scale.back(last.middle + z * last.spread)
    mean = np.clip(scale.mean(last.middle, last.spread), lower, upper)
    return Expected(
        model=model,
        skipped=found.skipped,
        learned=len(found.true),
        outliers=found.outliers,
        mean=mean.tolist(),
        lower=lower.tolist(),
        upper=upper.tolist(),
        accuracy=tests[model],
        baseline=tests[BASELINE],
    )


def backtest(model: str, series: Learned, scale: Scale, bucket: str, ahead: int, level: float) -> Backtest:
    """Let a model say, from points in the past, what came then. Raises Unlearnable."""
    count, season = len(series.true), series.season
    step = max(season, 4) if bucket != "hour" else _DAY_OF_HOURS
    span = min(ahead, 2 * step)
    first = max(count // 2, 3 * season if bucket == "hour" else 2 * season + 1)
    origins = [at for n in range(_ORIGINS) if (at := count - span - n * step) >= first] or [count - span]
    if bucket == "hour":
        origins = origins[:3]
    errors: list[Values] = []
    scaled: list[Values] = []
    smapes: list[Values] = []
    for at in origins:
        # Outliers are told by what came later too, so what was known then is cleaned again.
        known, _ = without_outliers(scale.there(series.true[:at]), season)
        said = _MODELS[model](known, season, span)
        truth = series.true[at : at + span]
        mean = scale.mean(said.middle, said.spread)
        errors.append(np.abs(truth - mean))
        scaled.append(np.abs(scale.there(truth) - said.middle) / np.maximum(said.spread, 1e-9))
        sizes = np.abs(truth) + np.abs(mean)
        smapes.append(np.divide(200 * errors[-1], sizes, out=np.zeros_like(sizes), where=sizes > 0))
    z = float(norm.ppf(0.5 + level / 2))
    inside = [
        np.mean(part <= z * _factor([other for n, other in enumerate(scaled) if n != place], level))
        for place, part in enumerate(scaled)
    ]
    base = float(np.mean(np.abs(series.true[season:] - series.true[:-season])))
    error = float(np.mean(errors))
    return Backtest(
        model=model,
        error=error,
        mase=error / base if base > 0 else None,
        smape=float(np.mean(smapes)),
        coverage=float(np.mean(inside)),
        forecasts=sum(map(len, errors)),
        factor=_factor(scaled, level),
    )


def _factor(scaled: Sequence[Values], level: float) -> float:
    """By how much intervals must be wider, so that errors like these lie in them as often as they should."""
    together = np.concatenate(scaled) if scaled else np.array([])
    if len(together) < _LEAST_ERRORS:
        return 1.0
    needed = float(np.quantile(together, level)) / float(norm.ppf(0.5 + level / 2))
    return float(np.clip(needed, *_CALIBRATION))


@dataclass(frozen=True, slots=True)
class Judgement:
    """A value beside what was expected of it. `is_unusual`: it is outside of the interval."""

    value: float
    expected: float
    lower: float
    upper: float

    @property
    def is_unusual(self) -> bool:
        return not self.lower <= self.value <= self.upper


def judge(values: Sequence[float | None], measure: str, bucket: str, z: float) -> Judgement | NotEnough:
    """Whether the last value is as those before it lead to expect, within `z` standard deviations."""
    if not values or values[-1] is None:
        return NotEnough("The bucket has no figure.")
    found = next_one(values[:-1], measure, bucket)
    return found if isinstance(found, NotEnough) else found.judge(float(values[-1]), z)


@dataclass(frozen=True, slots=True)
class Next:
    """What the next value is expected to be: middle and standard deviation where it is looked at."""

    scale: Scale
    middle: float
    spread: float

    def judge(self, value: float, z: float) -> Judgement:
        """A value beside the interval of `z` standard deviations. That of a count is never narrower than chance makes
        it: than that of a Poisson distribution with the same tails."""
        spread = min(self.spread, 2 * _POISSON_SD) if self.scale.is_count else 0.0
        expected = float(self.scale.mean(np.array([self.middle]), np.array([spread]))[0])
        lower, upper = self.scale.back(self.middle + np.array([-z, z]) * self.spread).tolist()
        if self.scale.is_count:
            tail = float(norm.sf(z))
            lower = min(lower, float(poisson.ppf(tail, expected)))
            upper = max(upper, float(poisson.isf(tail, expected)))
        return Judgement(value, expected, min(lower, expected), max(upper, expected))


def next_one(values: Sequence[float | None], measure: str, bucket: str) -> Next | NotEnough:
    """What comes after `values`."""
    found = learned(values, measure, bucket)
    if isinstance(found, NotEnough):
        return found
    scale = Scale(measure)
    try:
        said = (mstl_ets if bucket == "hour" else ets)(found.clean, found.season, 1)
    except Unlearnable:
        said = repeat(found.clean, found.season, 1)
    # The parts of loess follow their own noise, so what is left of a series looks smaller than it is.
    spread = max(float(said.spread[0]), _residual(found.clean, found.season), _POISSON_SD if scale.is_count else 0.0)
    return Next(scale, float(said.middle[0]), spread)


def _residual(values: Values, season: int) -> float:
    """A robust standard deviation of what differs from the same phase of the season before."""
    errors = values[season:] - values[:-season]
    return _MAD * float(np.median(np.abs(errors - np.median(errors)))) / math.sqrt(2)
