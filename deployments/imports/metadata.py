"""The columns that SurveyMonkey puts before the questions: who answered, when, and through which link."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

_SEPARATORS: Final = re.compile(r"[^a-z0-9]+")
_NUMBERED: Final = re.compile(r"(customdata|customvariable)\d*")


@dataclass(frozen=True, slots=True)
class Kind:
    """A known column. A `common` name is metadata only before the first question, since a question may have it, too.

    `always`: every response has it.
    """

    field_id: str
    common: bool = False
    personal: bool = False
    always: bool = False


_KINDS: Final = {
    "respondentid": Kind("respondent_id", always=True),
    "collectorid": Kind("collector_id", always=True),
    "startdate": Kind("start_date", always=True),
    "enddate": Kind("end_date", always=True),
    "datecreated": Kind("date_created", always=True),
    "datemodified": Kind("date_modified", always=True),
    "ipaddress": Kind("ip_address", personal=True),
    "emailaddress": Kind("email_address", common=True, personal=True),
    "firstname": Kind("first_name", common=True, personal=True),
    "lastname": Kind("last_name", common=True, personal=True),
    "languagecode": Kind("language_code", common=True),
    "responsestatus": Kind("response_status", common=True),
}
_CUSTOM: Final = Kind("custom_data", common=True)

SUBMITTED: Final = ("end_date", "date_modified", "date_created", "start_date")
"""The columns that say when a response was given, best first."""


def metadata_columns(header: Sequence[str]) -> dict[int, Kind]:
    """The known columns of a header by their index; each kind but custom data once, the first of its name."""
    found: dict[int, Kind] = {}
    leading = True
    for index, name in enumerate(header):
        word = _SEPARATORS.sub("", name.lower())
        kind = _CUSTOM if _NUMBERED.fullmatch(word) else _KINDS.get(word)
        if kind is None or (kind.common and not leading) or (kind is not _CUSTOM and kind in found.values()):
            leading = leading and not name.strip()
        else:
            found[index] = kind
    return found


# Month first, as SurveyMonkey writes it; day first only when the month-first reading fits fewer cells.
MOMENT_FORMATS: Final = (
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%dT%H:%M:%S",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%d",
    "%m/%d/%Y %I:%M:%S %p",
    "%m/%d/%Y %H:%M:%S",
    "%m/%d/%Y %I:%M %p",
    "%m/%d/%Y %H:%M",
    "%m/%d/%Y",
    "%m/%d/%y %H:%M",
    "%d/%m/%Y %H:%M:%S",
    "%d/%m/%Y %I:%M:%S %p",
    "%d/%m/%Y %H:%M",
    "%d/%m/%Y",
    "%d.%m.%Y %H:%M:%S",
    "%d.%m.%Y %H:%M",
    "%d.%m.%Y",
)


def parse_moment(text: str, form: str) -> datetime | None:
    """The moment that `text` says in the format, taken as UTC; None when it says none."""
    try:
        return datetime.strptime(text.strip(), form).replace(tzinfo=UTC)
    except ValueError:
        return None
