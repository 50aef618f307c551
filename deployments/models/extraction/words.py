"""The words of calendars and clocks in several languages: names from CLDR, and how people speak of them from here."""

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from babel import Locale

from deployments.models.extraction.reading import folded

# Of these languages everything is read; of the others dates with the name of a month, and what needs no words.
FULL: Final = ("en", "de", "fr", "es")
NAMES_ONLY: Final = ("it", "pt", "nl")

# Days from today.
_DAYS: Final[dict[str, dict[str, int]]] = {
    "en": {
        "today": 0,
        "tonight": 0,
        "this morning": 0,
        "this afternoon": 0,
        "this evening": 0,
        "tomorrow": 1,
        "yesterday": -1,
        "last night": -1,
        "day after tomorrow": 2,
        "day before yesterday": -2,
    },
    "de": {"heute": 0, "morgen": 1, "gestern": -1, "übermorgen": 2, "vorgestern": -2},
    "fr": {"aujourd'hui": 0, "demain": 1, "hier": -1, "après-demain": 2, "avant-hier": -2},
    "es": {"hoy": 0, "mañana": 1, "ayer": -1, "pasado mañana": 2, "anteayer": -2, "antes de ayer": -2},
}

# The unit of a duration, by its words.
_UNITS: Final[dict[str, dict[str, str]]] = {
    "en": {
        "s": "second seconds sec secs",
        "min": "minute minutes min mins",
        "h": "hour hours hr hrs",
        "d": "day days",
        "night": "night nights",
        "wk": "week weeks",
        "fortnight": "fortnight fortnights",
        "mo": "month months",
        "y": "year years",
    },
    "de": {
        "s": "sekunde sekunden",
        "min": "minute minuten min",
        "h": "stunde stunden std",
        "d": "tag tage tagen",
        "night": "nacht nächte nächten",
        "wk": "woche wochen",
        "mo": "monat monate monaten",
        "y": "jahr jahre jahren",
    },
    "fr": {
        "s": "seconde secondes",
        "min": "minute minutes min",
        "h": "heure heures",
        "d": "jour jours",
        "night": "nuit nuits nuitée nuitées",
        "wk": "semaine semaines",
        "mo": "mois",
        "y": "an ans année années",
    },
    "es": {
        "s": "segundo segundos",
        "min": "minuto minutos min",
        "h": "hora horas",
        "d": "día días",
        "night": "noche noches",
        "wk": "semana semanas",
        "mo": "mes meses",
        "y": "año años",
    },
}

# Feasts that keep their day, as (month, day).
_FEASTS: Final[dict[str, dict[str, tuple[int, int]]]] = {
    "en": {
        "new year's eve": (12, 31),
        "new years eve": (12, 31),
        "new year's day": (1, 1),
        "new years day": (1, 1),
        "valentine's day": (2, 14),
        "valentines day": (2, 14),
        "independence day": (7, 4),
        "halloween": (10, 31),
        "christmas eve": (12, 24),
        "christmas day": (12, 25),
        "christmas": (12, 25),
        "boxing day": (12, 26),
    },
    "de": {"heiligabend": (12, 24), "weihnachten": (12, 25), "silvester": (12, 31), "neujahr": (1, 1)},
    "fr": {"noël": (12, 25), "saint-sylvestre": (12, 31), "jour de l'an": (1, 1)},
    "es": {"nochebuena": (12, 24), "navidad": (12, 25), "nochevieja": (12, 31), "año nuevo": (1, 1)},
}

# Other ways to write what CLDR names.
_SPELLED_OTHERWISE: Final[dict[str, dict[str, int]]] = {
    "en": {"sept": 9},
    "de": {"jänner": 1, "feber": 2, "maerz": 3, "mrz": 3},
    "fr": {},
    "es": {"setiembre": 9, "sept": 9},
}
# Abbreviations of weekdays and months that are common words; with one of its neighbours alone they say nothing.
_COMMON: Final = {"so", "do", "di", "mi", "fr", "mo", "sa", "set", "mag", "dom", "sex", "ma", "wo", "za", "zo", "vr"}


@dataclass(frozen=True)
class Words:
    """What the words of some languages mean; all keys as `folded`."""

    languages: tuple[str, ...]
    months: dict[str, int] = field(default_factory=dict)
    short_months: dict[str, int] = field(default_factory=dict)
    weekdays: dict[str, int] = field(default_factory=dict)  # Monday is 0
    short_weekdays: dict[str, int] = field(default_factory=dict)
    days: dict[str, int] = field(default_factory=dict)
    units: dict[str, str] = field(default_factory=dict)
    feasts: dict[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def all_months(self) -> dict[str, int]:
        return {**self.short_months, **self.months}

    @property
    def all_weekdays(self) -> dict[str, int]:
        return {**self.short_weekdays, **self.weekdays}


def languages_of(asked: tuple[str, ...]) -> tuple[str, ...]:
    """The languages to read, for tags as a frame has them: those known of them, always in one order, since patterns are
    made for each choice once; or else all of FULL."""
    primary = {tag.replace("_", "-").split("-")[0].lower() for tag in asked}
    return tuple(each for each in (*FULL, *NAMES_ONLY) if each in primary) or FULL


@lru_cache(maxsize=16)
def words_of(languages: tuple[str, ...]) -> Words:
    """The words of these languages."""
    words = Words(languages)
    for language in languages:
        locale = Locale(language)
        for width, months, weekdays in (
            ("wide", words.months, words.weekdays),
            ("abbreviated", words.short_months, words.short_weekdays),
        ):
            for context in ("format", "stand-alone"):
                for number, name in locale.months[context][width].items():
                    months.setdefault(_name(name), number)
                for number, name in locale.days[context][width].items():
                    weekdays.setdefault(_name(name), number)
        words.months.update({folded(name): number for name, number in _SPELLED_OTHERWISE.get(language, {}).items()})
        words.days.update({folded(name): days for name, days in _DAYS.get(language, {}).items()})
        words.feasts.update({folded(name): day for name, day in _FEASTS.get(language, {}).items()})
        for unit, names in _UNITS.get(language, {}).items():
            words.units.update(dict.fromkeys(folded(names).split(), unit))
    if "en" in languages:
        words.short_weekdays.update({"tues": 1, "thur": 3, "thurs": 3})
    if len(languages) > 1:
        for common in _COMMON:
            words.short_months.pop(common, None)
            words.short_weekdays.pop(common, None)
    return words


def either(names: "dict[str, int] | dict[str, str] | dict[str, tuple[int, int]]") -> str:
    """A pattern of any of these names, the longest first; a pattern that never matches for none."""
    ordered = sorted(names, key=lambda name: (-len(name), name))
    return "|".join(name.replace(".", r"\.").replace(" ", " +") for name in ordered) or r"[^\x00-\x7f]"


def _name(name: str) -> str:
    return folded(name).rstrip(".")
