"""The span of time that a scheduled report is about, and how its responses over time are cut."""

from datetime import datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from deployments.analytics.contracts import Bucket
from deployments.reports.contracts import Span

_DAYS: Final = 31


def last_whole(span: Span, moment: datetime, time_zone: str) -> tuple[datetime | None, datetime | None]:
    """The last whole day, week from Monday or month before a moment, in a time zone: from, up to but without."""
    if span == "all":
        return None, None
    zone = ZoneInfo(time_zone)
    today = moment.astimezone(zone).date()
    if span == "day":
        end, start = today, today - timedelta(days=1)
    elif span == "week":
        end = today - timedelta(days=today.weekday())
        start = end - timedelta(days=7)
    else:
        end = today.replace(day=1)
        start = (end - timedelta(days=1)).replace(day=1)
    return datetime.combine(start, time(), zone), datetime.combine(end, time(), zone)


def bucket_of(since: datetime | None, until: datetime) -> Bucket:
    """Buckets of which a page holds all; the last 30 days come by day."""
    if since is None:
        return "day"
    days = (until - since) / timedelta(days=1)
    if days <= 1:
        return "hour"
    return "day" if days <= _DAYS else "week" if days <= _DAYS * 7 else "month"
