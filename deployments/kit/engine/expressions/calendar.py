"""Dates in expressions: the proleptic Gregorian calendar, years 1 to 9999.

A date is the text `YYYY-MM-DD`; of a moment, `YYYY-MM-DDTHH:MM:SSZ`, its date in UTC counts.
"""

import re
from datetime import MAXYEAR, date
from typing import Any, Final

from deployments.kit.engine.expressions.numbers import whole

_DATE: Final = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})(?:T[0-9:]{5,8}Z)?")
_LAST: Final = date(MAXYEAR, 12, 31).toordinal()


def year(value: Any) -> int | None:
    """The year."""
    found = _date(value)
    return None if found is None else found.year


def month(value: Any) -> int | None:
    """The month, 1 to 12."""
    found = _date(value)
    return None if found is None else found.month


def day(value: Any) -> int | None:
    """The day of the month."""
    found = _date(value)
    return None if found is None else found.day


def weekday(value: Any) -> int | None:
    """The day of the week, 1 (Monday) to 7 (ISO 8601)."""
    found = _date(value)
    return None if found is None else found.isoweekday()


def days(start: Any, end: Any) -> int | None:
    """The days from `start` to `end`, negative when `end` is before."""
    first, last = _date(start), _date(end)
    return None if first is None or last is None else (last - first).days


def years(start: Any, end: Any) -> int | None:
    """The full years from `start` to `end`: an age."""
    first, last = _date(start), _date(end)
    if first is None or last is None:
        return None
    return last.year - first.year - ((last.month, last.day) < (first.month, first.day))


def add_days(start: Any, number: Any) -> str | None:
    """The date that many whole days later."""
    first, count = _date(start), whole(number)
    if first is None or count is None or not 1 <= first.toordinal() + count <= _LAST:
        return None
    return date.fromordinal(first.toordinal() + count).isoformat()


def _date(value: Any) -> date | None:
    match = _DATE.fullmatch(value) if type(value) is str else None
    if match is None:
        return None
    try:
        return date(int(match[1]), int(match[2]), int(match[3]))
    except ValueError:
        return None
