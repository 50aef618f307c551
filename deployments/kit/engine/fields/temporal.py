"""Dates and times. Answers are ISO 8601 texts, normalised so that they compare as texts."""

import re
from abc import abstractmethod
from collections.abc import Iterator
from datetime import UTC, date, datetime, time
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import StringConstraints

from deployments.kit.engine.expressions.types import DATE, DATETIME, TIME
from deployments.kit.engine.fields.field import Field, Model, Validator, bounds_fault
from deployments.kit.errors import Fault

_DATETIME_SHAPE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}")

Moment = Annotated[str, StringConstraints(min_length=1, max_length=40)]


class TemporalValidation(Model):
    """`min` and `max` are inclusive and written as the answers are; `unique` allows each once."""

    min: Moment | None = None
    """The first that may be given."""
    max: Moment | None = None
    """The last that may be given."""
    unique: bool = False
    """Each may be given once in the form's responses."""


class TemporalField(Field):
    """What the temporal types share."""

    text_like: ClassVar[bool] = True
    format_code: ClassVar[str]
    format_detail: ClassVar[str]

    validation: TemporalValidation = TemporalValidation()
    """What a date or time must be like."""

    @staticmethod
    @abstractmethod
    def normal(text: str) -> str | None:
        """The normal form of `text`, None when it has not this type's format."""

    def faults(self) -> Iterator[Fault]:
        bounds = {"min": self.validation.min, "max": self.validation.max}
        normal = {name: self.normal(text) for name, text in bounds.items() if text is not None}
        for name, text in normal.items():
            if text is None:
                yield Fault(f"/validation/{name}", "definition.format", self.format_detail)
        yield from bounds_fault(normal.get("min"), normal.get("max"))

    def compile(self) -> Validator:
        rules, normal = self.validation, self.normal
        bad_format = self.fault(self.format_code, self.format_detail)
        too_low = self.fault("range.min", f"Enter {rules.min} or later.", min=rules.min)
        too_high = self.fault("range.max", f"Enter {rules.max} or earlier.", max=rules.max)
        lowest = None if rules.min is None else normal(rules.min)
        highest = None if rules.max is None else normal(rules.max)

        def check(raw: Any, faults: list[Fault]) -> str | None:
            text = normal(raw) if type(raw) is str else None
            if text is None:
                faults.append(bad_format)
                return None
            if lowest is not None and text < lowest:
                faults.append(too_low)
                return None
            if highest is not None and text > highest:
                faults.append(too_high)
                return None
            return text

        return check

    def canonical(self, value: Any) -> str | None:
        return str(value)


class DateField(TemporalField):
    """A calendar date, `YYYY-MM-DD`."""

    value_type, column_kind = DATE, "date"
    format_code, format_detail = "format.date", "Enter a date as YYYY-MM-DD."
    type: Literal["date"]

    @staticmethod
    def normal(text: str) -> str | None:
        # fromisoformat takes week dates and dates without hyphens, too.
        if len(text) != 10 or text[4] != "-" or text[7] != "-":
            return None
        try:
            date.fromisoformat(text)
        except ValueError:
            return None
        return text


class TimeField(TemporalField):
    """A time of day, `HH:MM` or `HH:MM:SS`; seconds of zero are left out."""

    value_type = TIME
    format_code, format_detail = "format.time", "Enter a time as HH:MM."
    type: Literal["time"]

    @staticmethod
    def normal(text: str) -> str | None:
        if len(text) not in (5, 8) or text[2] != ":" or text[5:6] not in ("", ":"):
            return None
        try:
            time.fromisoformat(text)
        except ValueError:
            return None
        return text[:5] if text[5:] == ":00" else text


class DateTimeField(TemporalField):
    """A moment with its offset from UTC (RFC 3339); normalised to whole seconds of UTC, `YYYY-MM-DDTHH:MM:SSZ`."""

    value_type, column_kind = DATETIME, "datetime"
    format_code, format_detail = (
        "format.datetime",
        "Enter a date and time with an offset, as 2025-01-31T09:30:00Z.",
    )
    type: Literal["datetime"]

    @staticmethod
    def normal(text: str) -> str | None:
        if len(text) > 40 or _DATETIME_SHAPE.match(text) is None:
            return None
        try:
            moment = datetime.fromisoformat(text.upper())
            if moment.tzinfo is None:
                return None
            moment = moment.astimezone(UTC)
        except (ValueError, OverflowError):
            return None
        return moment.replace(microsecond=0, tzinfo=None).isoformat() + "Z"


TYPES = (DateField, TimeField, DateTimeField)
