"""What was found, in a sentence and in letters."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from deployments.analytics.forecast_contracts import Compared, FieldDrift
from deployments.analytics.forecasts.spans import zone_of

_WORDS: Final = {
    "views": "views",
    "starts": "starts",
    "submissions": "submissions",
    "completion_rate": "completion rate",
    "median_seconds": "median time in seconds",
}
_SHOWN: Final = 3


def words_of(measure: str) -> str:
    """A measure in words."""
    return _WORDS[measure]


def figure(value: float, measure: str) -> str:
    """A value as people write it."""
    if measure == "completion_rate":
        return f"{value:.0%}"
    return f"{value:.0f}" if value >= 100 or value == int(value) else f"{value:.1f}"


def moment(at: datetime, timezone: str, bucket: str) -> str:
    """When a bucket was, in its zone."""
    local = at.astimezone(zone_of(timezone))
    if bucket == "hour":
        return f"{local:%A %Y-%m-%d %H:%M} {timezone}"
    return f"{'week of ' if bucket == 'week' else ''}{local:%A %Y-%m-%d}"


def phase(at: datetime, timezone: str, bucket: str) -> str:
    """What a bucket is compared with: the same weekday, or the same hour of it."""
    local = at.astimezone(zone_of(timezone))
    return {"hour": f"{local:%A}s at {local:%H}:00", "day": f"{local:%A}s", "week": "weeks"}[bucket]


def earlier(compared_with: Sequence[Compared], measure: str) -> str:
    """The values before, the latest first."""
    return ", ".join("none" if each.value is None else figure(each.value, measure) for each in compared_with)


def unusual(
    measure: str,
    bucket: str,
    timezone: str,
    start: datetime,
    value: float,
    expected: float,
    bounds: tuple[float, float],
    compared_with: Sequence[Compared],
    since: datetime,
) -> str:
    """The explanation of an anomaly."""
    lower, upper = (figure(bound, measure) for bound in bounds)
    found = (
        f"{moment(start, timezone, bucket)}: {words_of(measure)} {figure(value, measure)}, "
        f"expected {figure(expected, measure)} (between {lower} and {upper})."
    )
    if compared_with:
        found += f" The {phase(start, timezone, bucket)} before: {earlier(compared_with, measure)}."
    if since < start:
        found += f" Unusual since {moment(since, timezone, bucket)}."
    return found


def drifted(fields: Sequence[FieldDrift]) -> str:
    """The explanation of a drift."""
    told = []
    for field in fields[:_SHOWN]:
        if field.values:
            value = field.values[0]
            told.append(f"{field.title}: {value.label} {value.reference_share:.0%} before, {value.share:.0%} now")
    more = f", and {len(fields) - _SHOWN} more fields" if len(fields) > _SHOWN else ""
    return f"Answered differently than before: {'; '.join(told)}{more}."
