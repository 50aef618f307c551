"""How far forecasts and alarms can be trusted, on series whose truth is known.

`python -m benchmarks.forecast [--origins 8] [--days 400] [--out docs/analytics]`

Nothing here is tuned to a series: each forecast knows what was known at its time, chooses its model by its own
backtest, and is compared with what came after.
"""

import argparse
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.stats import norm

from benchmarks.machine import describe
from deployments.analytics.forecasts.expecting import BASELINE, Expected, NotEnough, Scale, expect, next_one, repeat
from deployments.analytics.forecasts.spans import PAST
from deployments.analytics.forecasts.watching import DEVIATIONS

Values = npt.NDArray[np.float64]

_WEEK: Final = np.array([1.25, 1.2, 1.1, 1.1, 1.0, 0.75, 0.6])
_LEVEL: Final = 0.8
_DAYS: Final = 14
_HOURS: Final = 48
_LEAST_DIFFERENCE: Final = 10.0
_MEASURE: Final = "submissions"


@dataclass(frozen=True, slots=True)
class Named:
    """A series and what is known of it."""

    name: str
    about: str
    bucket: str
    values: Values


@dataclass(slots=True)
class Score:
    """How forecasts fared."""

    errors: float = 0.0
    base: float = 0.0
    smape: float = 0.0
    inside: int = 0
    count: int = 0

    def add(self, truth: Values, mean: Values, lower: Values, upper: Values, base: float) -> None:
        sizes = np.abs(truth) + np.abs(mean)
        errors = np.abs(truth - mean)
        self.errors += float(errors.sum())
        self.base += base * len(truth)
        self.smape += float(np.divide(200 * errors, sizes, out=np.zeros_like(sizes), where=sizes > 0).sum())
        self.inside += int(((truth >= lower) & (truth <= upper)).sum())
        self.count += len(truth)

    @property
    def mase(self) -> float:
        return self.errors / self.base

    def cells(self) -> str:
        return f"{self.mase:.2f} | {self.smape / self.count:.1f} | {self.inside / self.count:.0%}"


def series() -> list[Named]:
    """All series, from one seed."""
    dice = np.random.default_rng(2026)
    days = np.arange(400)
    week = _WEEK[days % 7]
    hours = np.arange(24 * 70)
    day = np.maximum(0, np.sin(2 * np.pi * (hours % 24 - 6) / 24)) + 0.05
    at_work = np.where(hours // 24 % 7 < 5, 1.0, 0.25)
    spikes = np.where(dice.random(400) < 0.02, 4.0, 1.0)
    wide = dice.gamma(10, 0.1, 400)
    growing, higher = 20 + 60 * days / 400, np.where(days < 250, 30, 75)
    summer = 1 + 0.5 * np.cos(2 * np.pi * days / 365)
    rates = (
        ("steady", "Poisson, 40 a day, weekdays differ", "day", 40 * week),
        ("growing", "Poisson, from 20 to 80 a day", "day", week * growing),
        ("yearly", "Poisson, 60 a day, a third as many in summer as in winter", "day", 60 * week * summer),
        ("campaigns", "as steady, and four times as many on 2 % of the days", "day", 40 * week * spikes),
        ("wild", "negative binomial: varies more than chance, 50 a day", "day", 50 * week * wide),
        ("few", "Poisson, 3 a day", "day", 3 * week),
        ("new level", "Poisson, 30 a day, then 75", "day", week * higher),
        ("office hours", "Poisson, up to 20 an hour by day, a quarter at weekends", "hour", 20 * day * at_work),
        ("few by the hour", "the same with a tenth", "hour", 2 * day * at_work),
    )
    return [Named(name, about, bucket, dice.poisson(rate).astype(float)) for name, about, bucket, rate in rates]


def backtested(named: Named, origins: int) -> tuple[Score, Score, dict[str, int], float, str]:
    """The scores of what was chosen and of the baseline, how often each model was, seconds for each, and why not."""
    ahead = _DAYS if named.bucket == "day" else _HOURS
    season = 7 if named.bucket == "day" else 168
    chosen, baseline, models, reason = Score(), Score(), dict[str, int](), ""
    last = len(named.values) - ahead
    first = last // 2 if named.bucket == "day" else 24 * 42
    seconds, asked = 0.0, 0
    for at in np.linspace(first, last, origins if named.bucket == "day" else max(2, origins // 2)).astype(int):
        known = named.values[max(0, at - PAST["hour" if named.bucket == "hour" else "day"]) : at]
        truth = named.values[at : at + ahead]
        begun = time.process_time()
        found = expect(known.tolist(), _MEASURE, named.bucket, ahead, _LEVEL)
        seconds, asked = seconds + time.process_time() - begun, asked + 1
        if isinstance(found, NotEnough):
            reason = found.reason
            continue
        base = float(np.abs(known[season:] - known[:-season]).mean())
        chosen.add(truth, np.array(found.mean), np.array(found.lower), np.array(found.upper), base)
        scale = Scale(_MEASURE)
        before = repeat(scale.there(known), season, ahead)
        z = norm.ppf(0.5 + _LEVEL / 2)
        low, high = (scale.back(before.middle + side * z * before.spread) for side in (-1, 1))
        baseline.add(truth, scale.mean(before.middle, before.spread), low, high, base)
        models[found.model] = models.get(found.model, 0) + 1
    return chosen, baseline, models, seconds / asked, reason


@dataclass(slots=True)
class Alarms:
    """How many buckets were judged, and of those how many were told by sensitivity."""

    looked: int
    silent: int
    outside: dict[str, int]
    told: dict[str, int]


def alarmed(values: Values, bucket: str, first: int, factor: float = 1.0) -> Alarms:
    """Judge each value from `first` on by those before it, as alarms do; it is changed by `factor`."""
    found = Alarms(0, 0, dict.fromkeys(DEVIATIONS, 0), dict.fromkeys(DEVIATIONS, 0))
    for at in range(first, len(values)):
        said = next_one(
            values[max(0, at - PAST["hour" if bucket == "hour" else "day"]) : at].tolist(), _MEASURE, bucket
        )
        found.looked += 1
        if isinstance(said, NotEnough):
            found.silent += 1
            continue
        for name, z in DEVIATIONS.items():
            verdict = said.judge(round(values[at] * factor), z)
            found.outside[name] += verdict.is_unusual
            found.told[name] += verdict.is_unusual and abs(verdict.value - verdict.expected) >= _LEAST_DIFFERENCE
    return found


def noises(days: int) -> list[tuple[str, str, Values, int]]:
    """Noise in which nothing ever happens: name, bucket, values, and the first that is judged."""
    dice = np.random.default_rng(7)
    first, hours = 60, np.arange(24 * 7 * 5 + days // 2)
    week = _WEEK[np.arange(first + days) % 7]
    flat = [(f"Poisson, {mean:g} a day", mean) for mean in (0.3, 1, 3, 10, 40, 300)]
    found = [(name, "day", dice.poisson(mean, first + days).astype(float), first) for name, mean in flat]
    found.append(("Poisson with a week, 40 a day", "day", dice.poisson(40 * week).astype(float), first))
    wide = dice.poisson(40 * week * dice.gamma(20, 0.05, len(week))).astype(float)
    found.append(("wilder than Poisson, with a week, 40 a day", "day", wide, first))
    profile = np.maximum(0, np.sin(2 * np.pi * (hours % 24 - 6) / 24)) + 0.05
    found.append(("by the hour, up to 20", "hour", dice.poisson(20 * profile).astype(float), 24 * 7 * 5))
    return found


def picture(named: Named, ahead: int = 28, shown: int = 84) -> str:
    """A forecast of the series' last days, with its interval and what came, as SVG."""
    at = len(named.values) - ahead
    found = expect(named.values[:at].tolist(), _MEASURE, named.bucket, ahead, _LEVEL)
    assert isinstance(found, Expected)
    first = at - shown
    most = max(float(named.values[first:].max()), max(found.upper)) * 1.05
    width, height, left, top = 860, 300, 44, 30

    def x(place: int) -> float:
        return round(left + (place - first) / (shown + ahead - 1) * (width - left - 12), 1)

    def y(value: float) -> float:
        return round(top + (1 - value / most) * (height - top - 36), 1)

    def line(values: Sequence[float], start: int) -> str:
        return " ".join(f"{x(start + n)},{y(value)}" for n, value in enumerate(values))

    band = line(found.upper, at) + " " + " ".join(f"{x(at + n)},{y(found.lower[n])}" for n in reversed(range(ahead)))
    step = max(1, math.ceil(most / 40)) * 10
    ticks = range(0, math.floor(most) + 1, step)
    grid = "".join(
        f'<line x1="{left}" x2="{width - 12}" y1="{y(tick)}" y2="{y(tick)}" stroke="#dde1e8"/>'
        f'<text x="{left - 6}" y="{y(tick) + 4}" text-anchor="end">{tick}</text>'
        for tick in ticks
    )
    came = "".join(
        f'<circle cx="{x(at + n)}" cy="{y(float(value))}" r="2.6" fill="#1f2430"/>'
        for n, value in enumerate(named.values[at:])
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
        f'font-family="sans-serif" font-size="12" fill="#3b4252">'
        f"<title>Forecast of four weeks of the series {named.name}, with what came</title>"
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>{grid}'
        f'<polyline points="{line(named.values[first:at].tolist(), first)}" fill="none" stroke="#1f2430"/>'
        f'<polygon points="{band}" fill="#2f6fde" fill-opacity="0.2"/>'
        f'<polyline points="{line(found.mean, at)}" fill="none" stroke="#2f6fde" stroke-width="2"/>{came}'
        f'<text x="{left}" y="18">Series “{named.name}”: learned (line), expected with its 80 % interval (blue), '
        f"what came (dots); model {found.model}</text>"
        f'<text x="{x(at)}" y="{height - 12}">28 days ahead</text></svg>\n'
    )


_PAGE: Final = """# How far forecasts and alarms can be trusted

Made by `python -m benchmarks.forecast` (augurs). Every forecast knew what was known at its time, chose its model
by its own backtest, and was compared with what came after. MASE below 1 is better than what repeating the week before
errs by on average; the 80 % intervals should hold 80 % of what came.

The surveys that the tests import tell no time of submission (their `RespondentID` is a number), so no real series is
among these: they are drawn from processes whose truth is known.

![A forecast](backtest.svg)

## Forecasts

{ahead}

| Series | What it is | Models chosen | MASE | sMAPE | in 80 % interval | Baseline's MASE | sMAPE | in interval |
|---|---|---|---|---|---|---|---|---|
{forecasts}

## False alarms

Noise in which nothing ever happens, judged bucket by bucket as alarms do. *Outside*: of 1,000 buckets, those outside of
the interval; *told*: those that differ by the {least:g} that is the default `min_difference`, too. *Silent*: the share
of buckets for which nothing was said, because there is too little to learn from. Each noise begins 60 days (by the
hour: five weeks) before the first bucket that is judged.

| Noise | Buckets | Silent | outside, low | medium | high | told, low | medium | high |
|---|---|---|---|---|---|---|---|---|
{noise}

## Alarms that should come

Of {days} days with 40 on average and a week, in each of which the value is changed as named while those before it are
as they were: the share that is told with the default `min_difference`.

| Change | low | medium | high |
|---|---|---|---|
{found}

A forecast took {seconds:.2f} s of one CPU on average. Measured while the machine had other work to do,
which changes the seconds and nothing else.

```
{machine}
```
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--origins", type=int, default=8)
    parser.add_argument("--days", type=int, default=400)
    parser.add_argument("--out", type=Path, default=Path("docs/analytics"))
    options = parser.parse_args()
    all_series, forecasts, seconds = series(), [], []
    for named in all_series:
        chosen, baseline, models, each_s, reason = backtested(named, options.origins)
        seconds.append(each_s)
        told = ", ".join(f"{name} {count}" for name, count in sorted(models.items())) or f"none: {reason}"
        cells = f"{chosen.cells()} | {baseline.cells()}" if chosen.count else " | ".join(["–"] * 6)
        forecasts.append(f"| {named.name} | {named.about} | {told} | {cells} |")
        print(forecasts[-1], flush=True)
    noise = []
    for name, bucket, values, first in noises(options.days):
        found = alarmed(values, bucket, first)
        rates = [
            f"{1_000 * counts[key] / found.looked:.1f}" for counts in (found.outside, found.told) for key in DEVIATIONS
        ]
        noise.append(f"| {name} | {found.looked:,} | {found.silent / found.looked:.0%} | {' | '.join(rates)} |")
        print(noise[-1], flush=True)
    week = _WEEK[np.arange(60 + options.days // 2) % 7]
    steady = np.random.default_rng(8).poisson(40 * week).astype(float)
    shown = []
    changes = {"nothing came": 0.0, "a third": 1 / 3, "half": 0.5, "twice": 2.0, "three times": 3.0}
    for name, factor in changes.items():
        found = alarmed(steady, "day", 60, factor)
        shown.append(f"| {name} | {' | '.join(f'{found.told[key] / found.looked:.0%}' for key in DEVIATIONS)} |")
        print(shown[-1], flush=True)
    ahead = f"{_DAYS} days ahead, {_HOURS} hours ahead; the baseline is `{BASELINE}`."
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "backtest.svg").write_text(picture(all_series[0]))
    page = _PAGE.format(
        ahead=ahead,
        forecasts="\n".join(forecasts),
        noise="\n".join(noise),
        found="\n".join(shown),
        days=options.days // 2,
        least=_LEAST_DIFFERENCE,
        seconds=float(np.mean(seconds)),
        machine=describe(),
    )
    (options.out / "backtest.md").write_text(page)


if __name__ == "__main__":
    main()
