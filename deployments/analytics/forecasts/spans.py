"""Buckets of time in a zone, and how much of the past is looked at."""

from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from deployments.analytics.metric_contracts import Bucket
from deployments.kit.errors import Invalid

PAST: Final[dict[Bucket, int]] = {"hour": 24 * 7 * 8, "day": 365, "week": 260, "month": 120}
"""Most buckets that are learned from."""

_HOUR: Final = timedelta(hours=1)


def zone_of(name: str) -> ZoneInfo:
    """The zone of a name. Raises Invalid."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise Invalid.at("/timezone", "timezone.unknown", "This is no name of the IANA database.") from error


def begins(at: datetime, bucket: Bucket, zone: ZoneInfo) -> datetime:
    """When the bucket around `at` begins, in UTC. Weeks begin on Monday."""
    local = at.astimezone(zone)
    if bucket == "hour":
        # Subtracted in UTC: an hour that comes twice is two hours.
        into = timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
        return at.astimezone(UTC) - into
    day = local.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    if bucket == "week":
        day -= timedelta(days=day.weekday())
    elif bucket == "month":
        day = day.replace(day=1)
    return day.astimezone(UTC)


def later(start: datetime, bucket: Bucket, zone: ZoneInfo, steps: int) -> datetime:
    """When the bucket begins that is so many after the one that begins at `start`; before it with negative steps."""
    if bucket == "hour":
        return start + steps * _HOUR
    local = start.astimezone(zone)
    if bucket == "month":
        months = local.year * 12 + local.month - 1 + steps
        local = local.replace(year=months // 12, month=months % 12 + 1)
    else:
        local += timedelta(days=steps * (7 if bucket == "week" else 1))
    return local.replace(fold=0).astimezone(UTC)
