"""Dates in words and digits, against the day on which the text is read."""

import calendar
from collections.abc import Iterator
from datetime import date, timedelta
from functools import lru_cache, partial
from typing import Final

from deployments.models.extraction import numbers
from deployments.models.extraction.rules import Groups, Meaning, Rule
from deployments.models.extraction.words import Words, either, words_of

DAY: Final = r"(?:0?[1-9]|[12]\d|3[01])"
YEAR: Final = r"(?:19|20)\d\d"
# Countries that write the month first.
_MONTH_FIRST: Final = frozenset({"US", "PH", "FM", "MH", "PW"})
_YEARS_AHEAD: Final = 6  # how far a weekday is looked for that fits day and month
_JUST_PAST: Final = timedelta(days=31)
_MAX_COUNT: Final = 10_000
# "Morgen" and "mañana" after these are the morning.
_NO_DAY: Final = r"\b(?:guten|am|jeden|diesen|den|der|ein|einem|la|una|heute|gestern) +"
# A weekday after these comes again and again, and is no date.
_AGAIN: Final = r"\b(?:first|second|third|fourth|every|each|jeden|jeder|chaque|tous les|cada|todos los) "
# What may follow a day that is named by its number alone: nothing that it could be a number of.
_FOLLOWS: Final = (
    r" *(?:[.,;:!?)\n\x7f]|-|$)| +(?:to|and|or|until|till|til|through|at|in|from|by|on|is|was|i|we|please|pls|thanks|"
    r"thank|with|if|but|then|because|cause|instead|for|under|it|its|so|und|bis|um|ab|et|au|a|y|al|hasta|e)\b"
)


class Calendar:
    """What dates of a text mean on a day, in a country and in some languages."""

    def __init__(self, today: date, country: str | None) -> None:
        self._today = today
        self._month_first = country in _MONTH_FIRST

    def year(self, written: str) -> int:
        """The year of two or four digits: of two, the one nearest to now."""
        number = int(written)
        if len(written) > 2:
            return number
        return next(year for year in range(self._today.year - 50, self._today.year + 50) if year % 100 == number)

    def full(self, year: int, month: int, day: int) -> date | None:
        try:
            return date(year, month, day)
        except ValueError:
            return None

    def of_month(self, month: int, day: int, weekday: int | None = None) -> date | None:
        """The next such day, unless the last one was within a month. With a weekday the next or the last one if it
        falls on it, or else the first one of the next years that does."""
        since = self._today - _JUST_PAST
        every = [
            found
            for year in range(self._today.year - 1, self._today.year + 1 + _YEARS_AHEAD)
            if (found := self.full(year, month, day)) is not None
        ]
        ahead = [found for found in every if found >= since]
        last = [found for found in every if found < since][-1:]
        fitting = [found for found in (*ahead[:1], *last, *ahead[1:]) if weekday in (None, found.weekday())]
        return next(iter(fitting or ahead), None)

    def of_day(self, day: int, weekday: int | None = None) -> date | None:
        """The next such day of a month, today or later, that falls on the weekday if one is given."""
        months = ((self._today.year + ahead // 12, ahead % 12 + 1) for ahead in range(self._month0, self._month0 + 25))
        found = [one for year, month in months if (one := self.full(year, month, day)) and one >= self._today]
        fitting = [one for one in found if weekday in (None, one.weekday())]
        return next(iter(fitting or found), None)

    @property
    def _month0(self) -> int:
        return self._today.month - 1

    def weekday(self, weekday: int, towards: str = "next") -> date:
        """The next such weekday after today, or the last one before it."""
        if towards == "last":
            return self._today - timedelta(days=(self._today.weekday() - weekday - 1) % 7 + 1)
        return self._today + timedelta(days=(weekday - self._today.weekday() - 1) % 7 + 1)

    def days(self, count: int) -> date | None:
        try:
            return self._today + timedelta(days=count)
        except OverflowError:
            return None

    def moved(self, count: int, unit: str) -> date | None:
        """The day that is so many days, weeks, months or years away."""
        if abs(count) > _MAX_COUNT:
            return None
        if unit in ("mo", "y"):
            months = self._today.year * 12 + self._month0 + count * (12 if unit == "y" else 1)
            year, month = months // 12, months % 12 + 1
            if not 1 <= year <= 9999:
                return None
            return date(year, month, min(self._today.day, calendar.monthrange(year, month)[1]))
        return self.days(count * {"wk": 7, "fortnight": 14}.get(unit, 1))

    def period(self, unit: str, step: int) -> str:
        """The week, weekend, month, quarter or year that many steps from the present one, as ISO 8601."""
        if unit == "y":
            return f"{self._today.year + step:04d}"
        if unit == "mo":
            months = self._today.year * 12 + self._month0 + step
            return f"{months // 12:04d}-{months % 12 + 1:02d}"
        if unit == "quarter":
            quarters = self._today.year * 4 + self._month0 // 3 + step
            first = date(quarters // 4, quarters % 4 * 3 + 1, 1)
            last = date(first.year, first.month + 2, calendar.monthrange(first.year, first.month + 2)[1])
            return f"{first}/{last}"
        monday = self._today + timedelta(days=7 * step - self._today.weekday())
        return f"{monday + timedelta(days=5 if unit == 'weekend' else 0)}/{monday + timedelta(days=6)}"

    def week_day(self, weekday: int, step: int) -> date:
        """The weekday of the week that many steps from this one."""
        return self._today + timedelta(days=7 * step - self._today.weekday() + weekday)

    def span(self, count: int, unit: str, sign: int) -> str | None:
        """The last or next so many days, weeks, months or years, today included on one side."""
        other = self.moved(sign * count, unit)
        if other is None:
            return None
        return f"{other}/{self._today}" if sign < 0 else f"{self._today}/{other}"

    def digits(self, first: str, second: str, year: str, mark: str) -> Meaning | None:
        """A date in digits. Points divide day and month in this order; with other marks the country decides the order,
        unless only one is possible."""
        one, two, full_year = int(first), int(second), self.year(year)
        month_first = mark != "." and self._month_first
        if mark != "." and (one > 12) != (two > 12):
            month_first = two > 12
        day, month = (two, one) if month_first else (one, two)
        sure = mark == "." or one > 12 or two > 12 or one == two
        return _meaning(self.full(full_year, month, day), 1.0 if sure else 0.7)


def _meaning(found: date | str | None, confidence: float = 1.0) -> Meaning | None:
    return None if found is None else Meaning("date", str(found), confidence)


class Dates:
    """The rules of dates for a calendar and words."""

    def __init__(self, calendar_: Calendar, words: Words) -> None:
        self._calendar = calendar_
        self._words = words

    def named(self, groups: Groups) -> Meaning | None:
        """Day and month, perhaps with weekday and year."""
        month = self._words.all_months[groups["month"]]
        day = int(groups["day"])
        weekday = self._words.all_weekdays.get(groups.get("weekday", ""))
        if "year" in groups:
            return _meaning(self._calendar.full(int(groups["year"]), month, day))
        return _meaning(self._calendar.of_month(month, day, weekday))

    def named_range(self, groups: Groups) -> Meaning | None:
        """ "17-19 July": an interval."""
        last = self.named(groups)
        if last is None or last.value is None:
            return None
        end = date.fromisoformat(last.value)
        start = self._calendar.full(end.year, end.month, int(groups["first"]))
        return _meaning(f"{start}/{end}") if start and start < end else None

    def first_of_range(self, groups: Groups) -> Meaning | None:
        """The first day of "4th to 9 October 2017", which is of the same month."""
        found = self.named_range(groups)
        return found and Meaning("date", str(found.value).partition("/")[0])

    def month(self, groups: Groups) -> Meaning | None:
        """A month, in its year or the next one to come."""
        month = self._words.all_months[groups["month"]]
        if "year" in groups:
            return _meaning(f"{groups['year']}-{month:02d}")
        found = self._calendar.of_month(month, 28)
        step = groups.get("step", "")
        if found is None:
            return None
        behind = step.startswith(("last", "past", "prev", "letzt", "vorig"))
        return _meaning(f"{found.year - behind}-{month:02d}", 0.9)

    def year(self, groups: Groups) -> Meaning | None:
        return Meaning("date", groups["year"], 0.8)

    def weekday(self, groups: Groups) -> Meaning | None:
        """A weekday; "last Monday", "Sunday next week", "Wednesday in a week", "Friday the 17th"."""
        weekday = self._words.all_weekdays[groups["weekday"]]
        if "day" in groups:
            return _meaning(self._calendar.of_day(int(groups["day"]), weekday))
        if "week" in groups:
            return _meaning(self._calendar.week_day(weekday, _step(groups["week"])))
        if "later" in groups:
            count = self._count(groups["later"])
            return _meaning(None if count is None else self._calendar.weekday(weekday) + timedelta(days=7 * count))
        towards = "last" if _step(groups.get("step", "next")) < 0 else "next"
        return _meaning(self._calendar.weekday(weekday, towards), 1.0 if "step" in groups else 0.9)

    def ordinal(self, groups: Groups) -> Meaning | None:
        return _meaning(self._calendar.of_day(int(groups["day"])), 0.8)

    def relative(self, groups: Groups) -> Meaning | None:
        return _meaning(self._calendar.days(self._words.days[" ".join(groups["day"].split())]))

    def feast(self, groups: Groups) -> Meaning | None:
        month, day = self._words.feasts[" ".join(groups["feast"].split())]
        if "year" in groups:
            return _meaning(self._calendar.full(int(groups["year"]), month, day))
        return _meaning(self._calendar.of_month(month, day))

    def distance(self, groups: Groups, *, sign: int) -> Meaning | None:
        """ "in 3 days", "two weeks ago"."""
        count, unit = self._count(groups["count"]), self._words.units[groups["unit"]]
        if count is None or unit in ("s", "min", "h", "night"):
            return None
        return _meaning(self._calendar.moved(sign * count, unit))

    def period(self, groups: Groups) -> Meaning | None:
        """ "next week", "dieses Jahr"."""
        word = groups["unit"]
        unit = {"weekend": "weekend", "wochenende": "weekend", "quarter": "quarter", "quartal": "quarter"}.get(word)
        unit = unit or {"trimestre": "quarter", "fin de semana": "weekend"}.get(word) or self._words.units.get(word)
        if unit not in ("wk", "mo", "y", "weekend", "quarter"):
            return None
        return _meaning(self._calendar.period(unit, _step(groups["step"])))

    def stretch(self, groups: Groups) -> Meaning | None:
        """ "last 96 days", "in den nächsten zwei Wochen"."""
        count, unit = self._count(groups["count"]), self._words.units[groups["unit"]]
        if count is None or unit in ("s", "min", "h"):
            return None
        return _meaning(self._calendar.span(count, unit, 1 if _step(groups["step"]) > 0 else -1))

    def iso(self, groups: Groups) -> Meaning | None:
        return _meaning(self._calendar.full(int(groups["year"]), int(groups["month"]), int(groups["day"])))

    def digits(self, groups: Groups) -> Meaning | None:
        if groups["mark"] != groups["mark2"]:
            return None
        return self._calendar.digits(groups["one"], groups["two"], groups["year"], groups["mark"])

    def day_and_month(self, groups: Groups) -> Meaning | None:
        """ "3.5." and "3月5日", without a year."""
        found = self._calendar.of_month(int(groups["month"]), int(groups["day"]))
        return _meaning(found, 0.9)

    def _count(self, written: str) -> int | None:
        number = (
            numbers.from_digits(written)
            if written[:1].isdigit()
            else numbers.from_words(written, self._words.languages)
        )
        return int(number) if number is not None and number == int(number) and number <= _MAX_COUNT else None


_BEHIND: Final = (
    "last",
    "past",
    "prev",
    "letzt",
    "vorig",
    "vergangen",
    "dernier",
    "passe",
    "pasad",
    "ultim",
    "anterior",
)
_AHEAD: Final = ("next", "coming", "following", "nachst", "kommend", "prochain", "proxim", "que viene", "suivant")


def _step(word: str) -> int:
    """Whether a word leads to the next (1), the last (-1) or this one (0)."""
    return -1 if word.startswith(_BEHIND) else 1 if word.startswith(_AHEAD) else 0


@lru_cache(maxsize=16)
def date_rules(languages: tuple[str, ...]) -> tuple[Rule[Dates], ...]:
    """The rules of dates in these languages, for a `Dates` of the same."""
    return tuple(_rules(words_of(languages)))


def _rules(words: Words) -> Iterator[Rule[Dates]]:
    month, weekday = either(words.all_months), either(words.all_weekdays)
    long_month, long_weekday = either(words.months), either(words.weekdays)
    short_weekday = either(words.short_weekdays)
    nth = r"(?:st|nd|rd|th|er|eme|e|\.|o)?"
    led = rf"(?:\b(?P<weekday>{weekday})\b[.,]? *(?:,|the|den|dem|le|el|al)? *)?"
    year = rf"(?:\.?,? *(?:de |del |of )?(?P<year>{YEAR})\b)?"
    of = r"(?: *-? *(?:of |de |di |)| *)"
    count = rf"\d{{1,5}}|{numbers.spelled(words.languages)}"
    unit = either(words.units)
    yield Rule(rf"{led}\b(?P<day>{DAY}){nth}{of}\b(?P<month>{month})\b{year}", Dates.named)
    yield Rule(
        rf"\b(?P<first>{DAY}){nth} *(?:-|/) *(?P<day>{DAY}){nth}{of}\b(?P<month>{month})\b{year}", Dates.named_range
    )
    yield Rule(
        rf"\b(?P<s>(?P<first>{DAY}){nth}) *(?:to|and|until|till|through|bis|bis zum|und|au|al|y el|a|hasta el) "
        rf"(?:the |den |zum |le |el )?(?P<day>{DAY}){nth}{of}\b(?P<month>{month})\b{year}",
        Dates.first_of_range,
    )
    yield Rule(
        rf"\b(?P<month>{month})\b\.?,? +(?:de |del |of )?(?P<year>{YEAR})\b",
        Dates.month,
        not_before=r"\d(?:st|nd|rd|th|\.)? *(?:of |de )?",
    )
    yield Rule(
        rf"\b(?:in|on|of|until|till|since|by|from|for|during|to|im|seit|bis|ab|anfang|ende|mitte|en|depuis|jusqu'en|des|"
        rf"desde|hasta) (?P<s>(?P<month>{long_month}))\b",
        Dates.month,
        after=r"(?: *(?:[^ \d]|$)| +[^\d ])",
    )
    yield Rule(
        rf"\b(?:in|since|before|until|im jahr|seit|en|depuis|desde|de) (?P<s>(?P<year>{YEAR}))\b",
        Dates.year,
        after=_FOLLOWS,
    )
    yield Rule(rf"\b(?P<weekday>{long_weekday})\b", Dates.weekday, not_before=_AGAIN)
    yield Rule(
        rf"\b(?:on|by|from|until|till|am|bis|ab|le|el) (?P<s>(?P<weekday>{short_weekday}))\b",
        Dates.weekday,
        after=_FOLLOWS,
    )
    yield Rule(rf"\b(?P<day>{either(words.days)})\b", Dates.relative, before=r"(?:^|[^-\w])", not_before=_NO_DAY)
    yield Rule(rf"\b(?P<feast>{either(words.feasts)})\b(?: (?P<year>{YEAR})\b)?", Dates.feast)
    yield Rule(
        rf"\b(?P<year>{YEAR})-(?P<month>0[1-9]|1[0-2])-(?P<day>0[1-9]|[12]\d|3[01])\b",
        Dates.iso,
        before="^|[^-\\w]",
        after="[^-\\w]|t|$",
    )
    yield Rule(
        rf"\b(?P<year>{YEAR})/(?P<month>0[1-9]|1[0-2])/(?P<day>0[1-9]|[12]\d|3[01])\b",
        Dates.iso,
        before=r"^|[^-/\w]",
        after=r"[^-/\w]|$",
    )
    yield Rule(rf"(?P<year>{YEAR})Y *(?P<month>\d{{1,2}})M *(?P<day>\d{{1,2}})D", Dates.iso)
    yield Rule(r"(?P<month>1[0-2]|0?[1-9])M *(?P<day>\d{1,2})D", Dates.day_and_month, before="^|[^Y\\d]")
    yield Rule(
        rf"\b(?P<one>\d{{1,2}})(?P<mark>[./-]) ?(?P<two>\d{{1,2}})(?P<mark2>[./-]) ?(?P<year>{YEAR}|\d\d)\b",
        Dates.digits,
        before=r"(?:^|[^-./\w])",
        after=r"(?:[^-/\w.]|\.(?:\D|$)|$)",
    )
    if "en" in words.languages:
        yield from _english(count, unit)
    if "de" in words.languages:
        yield from _german(count, unit)
    if "fr" in words.languages:
        yield from _french(count, unit)
    if "es" in words.languages:
        yield from _spanish(count, unit)


def _english(count: str, unit: str) -> Iterator[Rule[Dates]]:
    english = words_of(("en",))
    month, weekday = either(english.all_months), either(english.weekdays)
    step = "next|last|this|coming|previous|past|following|current|prev"
    yield Rule(
        rf"(?:\b(?P<weekday>{either(english.all_weekdays)})\b\.?,? *(?:the )?)?\b(?P<month>{month})\b\.? *"
        rf"(?:the )?(?P<day>{DAY})"
        rf"(?:st|nd|rd|th)?\b(?:,? *(?P<year>{YEAR})\b)?",
        Dates.named,
        after=r"[^\d:%/]|$",
    )
    yield Rule(rf"\b(?P<step>{step}) (?P<month>{either(english.months)})\b", Dates.month)
    yield Rule(rf"\b(?P<step>{step}) +(?P<weekday>{weekday})\b", Dates.weekday)
    yield Rule(
        rf"\b(?:(?:next|this|coming) )?(?P<weekday>{weekday})\b,? (?:the )?(?P<day>{DAY})(?:st|nd|rd|th)\b",
        Dates.weekday,
    )
    yield Rule(rf"\b(?P<weekday>{weekday}) (?:of |the )?(?P<week>(?:{step}) week)\b", Dates.weekday)
    yield Rule(rf"\b(?P<week>(?:{step}) week) (?:on )?(?P<weekday>{weekday})\b", Dates.weekday)
    yield Rule(rf"\b(?P<weekday>{weekday}) in (?P<later>a|one|two|2|1|three|3) weeks?\b", Dates.weekday)
    yield Rule(rf"\b(?P<later>a|one|two) weeks? (?:on|from) (?P<weekday>{weekday})\b", Dates.weekday)
    yield Rule(rf"\b(?P<day>{DAY})(?:st|nd|rd|th)\b", Dates.ordinal, after=_FOLLOWS)
    yield Rule(
        rf"\bin (?:the )?(?P<count>{count}) (?P<unit>{unit})(?: time|'s? time)?\b", partial(Dates.distance, sign=1)
    )
    yield Rule(
        rf"\b(?P<count>{count}) (?P<unit>{unit}) (?:from now|from today|later)\b", partial(Dates.distance, sign=1)
    )
    yield Rule(rf"\b(?P<count>{count}) (?P<unit>{unit}) ago\b", partial(Dates.distance, sign=-1))
    yield Rule(rf"\b(?P<step>{step}) (?P<unit>week|month|year|quarter|weekend)\b", Dates.period)
    yield Rule(
        rf"\b(?P<step>next|last|coming|previous|past|following) (?P<count>{count}) (?P<unit>{unit})\b", Dates.stretch
    )


def _german(count: str, unit: str) -> Iterator[Rule[Dates]]:
    weekday = either(words_of(("de",)).weekdays)
    step = r"(?:nachst|kommend|letzt|vorig|vergangen|dies)e[nmrs]?"
    yield Rule(rf"\b(?P<step>{step}) +(?P<weekday>{weekday})\b", Dates.weekday)
    yield Rule(rf"\b(?P<step>{step}) (?P<unit>woche|monat|jahr|quartal|wochenende)s?\b", Dates.period)
    yield Rule(rf"\b(?P<step>{step}) (?P<count>{count}) (?P<unit>{unit})\b", Dates.stretch)
    yield Rule(rf"\bin (?P<count>{count}) (?P<unit>{unit})\b", partial(Dates.distance, sign=1))
    yield Rule(rf"\bvor (?P<count>{count}) (?P<unit>{unit})\b", partial(Dates.distance, sign=-1))
    yield Rule(
        rf"\b(?:am|vom|zum|bis|ab|und|seit)(?: de[mn])? (?P<s>(?P<day>{DAY})\.)", Dates.ordinal, after=r" *(?:$|[^ \d])"
    )
    yield Rule(
        r"\b(?P<day>0?[1-9]|[12]\d|3[01])\.(?P<month>0?[1-9]|1[0-2])\.",
        Dates.day_and_month,
        before=r"^|[^.,\w]",
        after=r"[^\d\w]|$",
    )


def _french(count: str, unit: str) -> Iterator[Rule[Dates]]:
    weekday = either(words_of(("fr",)).weekdays)
    after = r"dernier|derniere|prochain|prochaine|passe|passee|suivant|suivante"
    yield Rule(rf"\b(?P<weekday>{weekday}) (?P<step>{after})\b", Dates.weekday)
    yield Rule(rf"\b(?P<unit>semaine|mois|annee|an|trimestre) (?P<step>{after})\b", Dates.period)
    yield Rule(r"\b(?P<step>cette|ce) (?P<unit>semaine|mois|annee|trimestre|weekend)\b", Dates.period)
    yield Rule(rf"\b(?:d'ici|dans) (?P<count>{count}) (?P<unit>{unit})\b", partial(Dates.distance, sign=1))
    yield Rule(rf"\bil y a (?P<count>{count}) (?P<unit>{unit})\b", partial(Dates.distance, sign=-1))


def _spanish(count: str, unit: str) -> Iterator[Rule[Dates]]:
    weekday = either(words_of(("es",)).weekdays)
    units = r"semana|mes|ano|trimestre|fin de semana"
    before = r"proxim[oa]|ultim[oa]|pasad[oa]"
    after = r"pasad[oa]|que viene|proxim[oa]|anterior"
    yield Rule(rf"\b(?P<step>{before}) (?P<weekday>{weekday})\b", Dates.weekday)
    yield Rule(rf"\b(?P<weekday>{weekday}) (?P<step>{after})\b", Dates.weekday)
    yield Rule(rf"\b(?P<step>{before}|est[ea]) (?P<unit>{units})\b", Dates.period)
    yield Rule(rf"\b(?P<unit>{units}) (?P<step>{after})\b", Dates.period)
    yield Rule(rf"\b(?:dentro de|en) (?P<count>{count}) (?P<unit>{unit})\b", partial(Dates.distance, sign=1))
    yield Rule(rf"\bhace (?P<count>{count}) (?P<unit>{unit})\b", partial(Dates.distance, sign=-1))
