"""The buckets of a time series in a zone: hours, days, weeks and months as its clocks show them. Pure."""

from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from deployments.analytics.metric_contracts import Bucket
from deployments.kit.errors import Fault

MAX_BUCKETS: Final = 2_000
DEFAULT_SPAN: Final = timedelta(days=30)

_LONGEST: Final = {
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
    "week": timedelta(weeks=1),
    "month": timedelta(days=28),
}


def length_faults(bucket: Bucket, since: datetime, until: datetime) -> tuple[Fault, ...]:
    """What is wrong with a span in these buckets."""
    if (until - since) / _LONGEST[bucket] <= MAX_BUCKETS:
        return ()
    return (Fault("/bucket", "buckets.max", f"The span has more than {MAX_BUCKETS} buckets; take wider ones."),)


def edges(bucket: Bucket, zone: ZoneInfo, since: datetime, until: datetime) -> list[datetime]:
    """Where the buckets of a span begin, and where the last one ends: one more than there are buckets.

    The first holds `since`, the last what is just before `until`. A day that a zone left out has no bucket, an hour
    that it had twice has two.
    """
    found = [start_of(bucket, zone, since)]
    while found[-1] < until:
        found.append(_next(bucket, zone, found[-1]))
    return found


def edges_before(bucket: Bucket, zone: ZoneInfo, first: datetime, number: int) -> list[datetime]:
    """The same for as many buckets before `first`, where one begins."""
    found = [first]
    for _ in range(number):
        found.append(start_of(bucket, zone, found[-1] - timedelta(microseconds=1)))
    return found[::-1]


def start_of(bucket: Bucket, zone: ZoneInfo, moment: datetime) -> datetime:
    """When the bucket begins that the moment is in."""
    local = moment.astimezone(zone)
    if bucket == "hour":
        past = timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
        return moment.astimezone(UTC) - past
    day = local.date()
    if bucket == "week":
        day -= timedelta(days=day.weekday())
    elif bucket == "month":
        day = day.replace(day=1)
    return _midnight(day.year, day.month, day.day, zone)


def _next(bucket: Bucket, zone: ZoneInfo, start: datetime) -> datetime:
    if bucket == "hour":
        return start_of(bucket, zone, start + timedelta(hours=1))
    ahead = {"day": 1, "week": 7, "month": 31}[bucket]
    day = start.astimezone(zone).date()
    following = start
    # A clock that was put forward by a day: the next bucket begins with this one.
    while following <= start:
        local = day + timedelta(days=ahead)
        local = local.replace(day=1) if bucket == "month" else local
        following = _midnight(local.year, local.month, local.day, zone)
        ahead += 1
    return following


def _midnight(year: int, month: int, day: int, zone: ZoneInfo) -> datetime:
    # Where clocks skip midnight, the offset before counts: that is the moment when they were put forward.
    return datetime(year, month, day, tzinfo=zone).astimezone(UTC)
