"""Names of countries and the writing of moments, by the Unicode Common Locale Data Repository."""

from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

from babel import Locale, UnknownLocaleError
from babel.dates import format_datetime

# Known to CLDR, but no country of ISO 3166-1.
_NO_COUNTRIES: Final = frozenset(
    ("AC", "CP", "CQ", "DG", "EA", "EU", "EZ", "IC", "QO", "TA", "UN", "XA", "XB", "XK", "ZZ")
)


@lru_cache(maxsize=64)
def countries(language: str) -> tuple[tuple[str, str], ...]:
    """Every country's code (ISO 3166-1 alpha-2) with its name, in the order of the names."""
    names = _locale(language).territories
    codes = (code for code in map(str, Locale("en").territories) if len(code) == 2 and code.isalpha())
    found = ((code, str(names.get(code, code))) for code in codes if code not in _NO_COUNTRIES)
    return tuple(sorted(found, key=lambda pair: pair[1].casefold()))


def moment(at: datetime, language: str) -> str:
    """A moment in words, in UTC."""
    return format_datetime(at.astimezone(UTC), "long", locale=_locale(language))


@lru_cache(maxsize=64)
def _locale(language: str) -> Locale:
    try:
        return Locale.parse(language, sep="-")
    except (ValueError, UnknownLocaleError):
        return Locale("en")
