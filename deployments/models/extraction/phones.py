"""Phone numbers."""

from collections.abc import Iterator
from typing import Final

import phonenumbers
from phonenumbers import Leniency, PhoneNumberMatcher

from deployments.models.extraction.findings import Finding
from deployments.models.extraction.reading import Reading

_MAX_TRIES: Final = 2_000  # candidates that turned out to be none; then the rest of the text is not looked at


def phones(reading: Reading, country: str | None) -> Iterator[Finding]:
    """Valid numbers, with E.164 as value; without a country only those that begin with + and a country's code."""
    region = country if country in phonenumbers.SUPPORTED_REGIONS else None
    for match in PhoneNumberMatcher(reading.text, region, leniency=Leniency.VALID, max_tries=_MAX_TRIES):
        value = phonenumbers.format_number(match.number, phonenumbers.PhoneNumberFormat.E164)
        sure = match.raw_string.startswith("+") or match.raw_string[1:2] == "+"
        yield Finding("phone", match.start, match.end, value, 1.0 if sure else 0.9)
