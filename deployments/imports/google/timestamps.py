"""The timestamps of Google Forms: written as the locale of the sheet wants it, in the time of the form's owner."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Final

_MOMENT: Final = re.compile(
    r"(?P<a>\d{1,4})(?P<mark>[./-])\s?(?P<b>\d{1,2})[./-]\s?(?P<c>\d{1,4})\.?,?[ T]+"
    r"(?P<hour>\d{1,2})[:.h](?P<minute>\d{2})(?:[:.](?P<second>\d{2}))?"
    r"\s*(?P<half>[ap]\.?\s?m\.?|vorm\.|nachm\.)?\s*(?P<zone>(?:GMT|UTC)?[+-]\d{1,2}(?::?\d{2})?|GMT|UTC|Z)?"
    r"(?P<rest>\s*[A-Z]{2,5})?",
    re.IGNORECASE,
)
_OFFSET: Final = re.compile(r"([+-])(\d{1,2}):?(\d{2})?")


@dataclass(slots=True)
class Timestamps:
    """How the timestamps of a column are written; `day_first` counts only when the year comes last."""

    day_first: bool
    ambiguous: bool
    zoned: bool

    def read(self, text: str) -> datetime | None:
        """The moment that the text says, in UTC unless it names an offset; None when it says none."""
        match = _MOMENT.fullmatch(text.strip())
        if match is None:
            return None
        first, second, third = int(match["a"]), int(match["b"]), int(match["c"])
        if len(match["a"]) == 4:
            year, month, day = first, second, third
        else:
            year = third if third > 99 else 2000 + third
            day, month = (first, second) if self.day_first else (second, first)
        try:
            moment = datetime(
                year, month, day, _hour(match), int(match["minute"]), int(match["second"] or 0), tzinfo=_zone(match)
            )
            return moment.astimezone(UTC)
        except (ValueError, OverflowError):
            return None


def learn(texts: Iterable[str]) -> Timestamps | None:
    """How these timestamps are written; None unless nearly all of them are."""
    total = known = 0
    high_first = high_second = slashes = last = zoned = 0
    for text in texts:
        total += 1
        match = _MOMENT.fullmatch(text.strip())
        if match is None:
            continue
        known += 1
        zoned += match["zone"] is not None
        if len(match["a"]) != 4:
            last += 1
            slashes += match["mark"] == "/"
            high_first += int(match["a"]) > 12
            high_second += int(match["b"]) > 12
    if not known or known * 10 < total * 9:
        return None
    ambiguous = last > 0 and not high_first and not high_second
    # Only the locales that write slashes put the month first.
    day_first = high_first > high_second or (ambiguous and slashes < last)
    return Timestamps(day_first=day_first, ambiguous=ambiguous and slashes > 0, zoned=zoned == known)


def _hour(match: "re.Match[str]") -> int:
    hour, half = int(match["hour"]), (match["half"] or "").lower()
    if not half:
        return hour
    return hour % 12 + 12 * (half[0] == "p" or half.startswith("nach"))


def _zone(match: "re.Match[str]") -> timezone:
    offset = _OFFSET.search(match["zone"] or "")
    if offset is None:
        return UTC
    minutes = int(offset[2]) * 60 + int(offset[3] or 0)
    return timezone(timedelta(minutes=-minutes if offset[1] == "-" else minutes))
