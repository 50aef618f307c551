"""The words, numbers and dates of documents, by language."""

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime
from functools import cache
from importlib.resources import files
from typing import Final
from unicodedata import bidirectional

LANGUAGES: Final = ("en", "de", "ar")
_PERCENT: Final = "#,##0.0%"
_LEFT_TO_RIGHT, _ISOLATE, _END = "\u200e", "\u2068", "\u2069"
_RIGHT: Final = frozenset({"R", "AL"})
_LEFT: Final = frozenset({"L"})


@cache
def _words(language: str) -> Mapping[str, str]:
    text = (files("deployments.reports") / "words" / f"{language}.json").read_text(encoding="utf-8")
    return dict(json.loads(text))


class Wording:
    """A language of documents. Digits are the European ones in each, so that figures read the same everywhere."""

    def __init__(self, tag: str, timezone: str = "UTC") -> None:
        # Here, because every process would start later for it.
        from babel import Locale, dates, numbers

        self._dates, self._numbers = dates, numbers
        short = tag.lower().partition("-")[0]
        self.language = short if short in LANGUAGES else "en"
        region = tag.partition("-")[2].upper()
        self.region = region if self.language == short and len(region) == 2 and region.isalpha() else None
        self.words = _words(self.language)
        self.timezone = timezone
        self._locale = Locale.parse(self.language)
        self._zone = dates.get_timezone(timezone)
        self._runs_left = self._locale.text_direction == "rtl"

    def say(self, key: str, **values: object) -> str:
        """The words of a key, with what belongs into them."""
        text = self.words[key]
        for name, value in values.items():
            text = text.replace(f"{{{name}}}", str(value))
        return text

    def number(self, value: float | None, digits: int = 2) -> str:
        """A number with at most so many decimals; a dash for none."""
        if value is None:
            return self.words["none"]
        pattern = "#,##0" + ("." + "#" * digits if digits else "")
        said = str(self._numbers.format_decimal(value, pattern, locale=self._locale, numbering_system="latn"))
        # Between words that run to the left, the minus would go behind the number.
        return f"{_LEFT_TO_RIGHT}{said}" if value < 0 and self._runs_left else said

    def quoted(self, text: str) -> str:
        """What people wrote, kept apart where it may run the other way than the document (UAX #9)."""
        other = _LEFT if self._runs_left else _RIGHT
        # Line by line: an isolate ends with its paragraph.
        lines = text.split("\n")
        return "\n".join(
            f"{_ISOLATE}{line}{_END}" if any(bidirectional(c) in other for c in line) else line for line in lines
        )

    def percent(self, share: float | None) -> str:
        """A share with one decimal; a dash for none."""
        if share is None:
            return self.words["none"]
        return str(self._numbers.format_percent(share, _PERCENT, locale=self._locale, numbering_system="latn"))

    def day(self, moment: datetime | date) -> str:
        """A day, not longer than an axis allows."""
        if isinstance(moment, datetime):
            moment = moment.astimezone(self._zone).date()
        return _european(str(self._dates.format_date(moment, "medium", locale=self._locale)))

    def month(self, moment: datetime) -> str:
        """Month and year."""
        return _european(
            str(self._dates.format_date(moment.astimezone(self._zone).date(), "LLL y", locale=self._locale))
        )

    def moment(self, moment: datetime) -> str:
        """Day and time, with the zone."""
        said = self._dates.format_datetime(moment.astimezone(UTC), "medium", tzinfo=self._zone, locale=self._locale)
        return f"{_european(str(said))} ({self.timezone})"

    def hour(self, moment: datetime) -> str:
        """Day and hour."""
        return _european(
            str(self._dates.format_datetime(moment, "d MMM HH:mm", tzinfo=self._zone, locale=self._locale))
        )

    def duration(self, seconds: float | None) -> str:
        """Minutes and seconds; a dash for none."""
        if seconds is None:
            return self.words["none"]
        whole = round(seconds)
        return self.say("minutes", minutes=self.number(whole // 60, 0), seconds=whole % 60)


def _european(text: str) -> str:
    return text.translate(_DIGITS)


_DIGITS: Final = {0x0660 + digit: str(digit) for digit in range(10)}
