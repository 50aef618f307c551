"""Dates and times of a text, and moments made of a date and a time that stand together."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, Final

import re2  # type: ignore[import-untyped]

from deployments.models.contracts import Frame
from deployments.models.extraction.dates import Calendar, Dates, date_rules
from deployments.models.extraction.findings import Finding, resolved
from deployments.models.extraction.reading import Reading
from deployments.models.extraction.rules import Groups, Meaning, Rule
from deployments.models.extraction.times import Times, time_rules
from deployments.models.extraction.words import languages_of, words_of

_STAMP: Final[Rule[None]] = Rule(
    r"\b(?P<day>(?:19|20)\d\d-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01]))"
    r"[t ](?P<time>(?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d)?)"
    r"(?:\.\d{1,9})?(?P<zone>z|[+-](?:[01]\d|2[0-3]):?[0-5]\d)?\b",
    lambda _, groups: _stamp(groups),
    before=r"^|[^-\w]",
)
# What stands between a date and the time of that day.
_BETWEEN: Final[Any] = re2.compile(
    rb"^(?:,? *|,? *-? *(?:at|around|about|@|um|gegen|ab|a|vers|des|a las?|sobre las?|de las?|from)? )$"
)
_BETWEEN_BACK: Final[Any] = re2.compile(rb"^(?: *,? *(?:on|am|le|el|the|on the|of|del)? *)$")
_MOST_BETWEEN: Final = 16


def moments(reading: Reading, frame: Frame) -> Iterator[Finding]:
    """Every date, time and moment, also those that overlap."""
    languages = languages_of(frame.languages)
    dates = Dates(Calendar(frame.moment.date(), frame.country), words_of(languages))
    times = Times(frame.moment, languages)
    found = [one for rule in date_rules(languages) for one in rule.findings(reading, dates)]
    found += [one for rule in time_rules(languages) for one in rule.findings(reading, times)]
    yield from _STAMP.findings(reading, None)
    yield from found
    plain = resolved(found)
    for first, second in pairwise(plain):
        if second.start - first.end > _MOST_BETWEEN:
            continue
        between = reading.shadow[first.end : second.start]
        date_first = first.type == "date" and second.type == "time" and _BETWEEN.search(between)
        time_first = first.type == "time" and second.type == "date" and _BETWEEN_BACK.search(between)
        day, clock = (first, second) if date_first else (second, first)
        if (date_first or time_first) and day.value and len(day.value) == len("2026-01-31"):
            confidence = min(first.confidence, second.confidence)
            yield Finding("datetime", first.start, second.end, f"{day.value}T{clock.value}", confidence)


def _stamp(groups: Groups) -> Meaning:
    zone = groups.get("zone", "").upper()
    if len(zone) == len("+0100"):
        zone = f"{zone[:3]}:{zone[3:]}"
    return Meaning("datetime", f"{groups['day']}T{groups['time']}{zone}")
