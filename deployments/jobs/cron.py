"""When a schedule is due. Pure; times are in UTC, as five fields of cron in a time zone say.

Clock changes are as in Debian's cron: an hour or minute that does not exist on a day is made up for right after the
gap, one that comes twice counts once; where the field of hours or minutes begins with `*`, real time passes.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Literal, TypeAlias
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError
from pydantic_core import PydanticCustomError

Missed: TypeAlias = Literal["skip", "run_once", "run_all"]

ON_TIME: Final = timedelta(minutes=5)
"""What is found due later than this was missed."""
MOST: Final = 50
"""How many missed runs `run_all` makes up for, the latest ones."""

INVALID: Final = "cron.invalid"
UNKNOWN_ZONE: Final = "time_zone.unknown"

_LOOKED_AT: Final = 5_000
_RECENT: Final = timedelta(days=1)
_FIELDS: Final = 5


class NotCron(ValueError):
    """The text is no schedule, or one that never comes."""


def occurrences(cron: str, time_zone: str, after: datetime) -> Iterator[datetime]:
    """The moments later than `after`. Raises NotCron."""
    if len(cron.split()) != _FIELDS:
        raise NotCron("Five fields are needed: minute, hour, day of the month, month, day of the week.")
    last = after
    try:
        for moment in CronSim(cron, after.astimezone(zone(time_zone))):
            found = moment.astimezone(UTC)
            # In the hour that comes twice the library begins with the first of the two.
            if found > last:
                last = found
                yield found
    except CronSimError as error:
        raise NotCron(f"{error}.") from error


def zone(name: str) -> ZoneInfo:
    """The time zone of that name in the IANA database. Raises NotCron."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise NotCron(f"There is no time zone {name!r}.") from error


def first_after(cron: str, time_zone: str, after: datetime) -> datetime:
    """The next moment later than `after`. Raises NotCron, also when there is none in the next fifty years."""
    for moment in occurrences(cron, time_zone, after):
        return moment
    raise NotCron("This never comes.")


def known_zone(name: str) -> str:
    """The name of a time zone, for a member of a body. Raises PydanticCustomError."""
    try:
        zone(name)
    except NotCron as error:
        raise PydanticCustomError(UNKNOWN_ZONE, "{reason}", {"reason": str(error)}) from None
    return name


def working(cron: str) -> str:
    """A cron that comes some time, for a member of a body. Raises PydanticCustomError."""
    try:
        first_after(cron, "UTC", datetime.now(UTC))
    except NotCron as error:
        raise PydanticCustomError(INVALID, "{reason}", {"reason": str(error)}) from None
    return cron


@dataclass(frozen=True, slots=True)
class Due:
    """The runs to start now, the oldest first, and when to look again."""

    runs: tuple[datetime, ...]
    next_run_at: datetime


def due(cron: str, time_zone: str, next_run_at: datetime, now: datetime, missed: Missed) -> Due:
    """What a schedule starts whose next run was to be at `next_run_at`, which is past. Raises NotCron."""
    runs = deque([next_run_at], maxlen=MOST)
    for looked_at, moment in enumerate(occurrences(cron, time_zone, next_run_at), start=1):
        if moment > now:
            break
        runs.append(moment)
        if looked_at == _LOOKED_AT:
            # Only the latest count, and to look at each minute of a year takes its time.
            moment = first_after(cron, time_zone, max(moment, now - _RECENT))
            if moment > now:
                break
            return due(cron, time_zone, moment, now, missed)
    else:
        raise NotCron("This never comes again.")
    if missed == "run_all":
        return Due(tuple(runs), moment)
    is_wanted = missed == "run_once" or now - runs[-1] <= ON_TIME
    return Due((runs[-1],) if is_wanted else (), moment)
