"""Times of day, and moments that are told by their distance from now."""

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from functools import lru_cache, partial
from typing import Final

from deployments.models.extraction import numbers
from deployments.models.extraction.rules import Groups, Meaning, Rule
from deployments.models.extraction.words import words_of

_MAX_COUNT: Final = 100_000
# Parts of the day, and the hours that they make of a clock's twelve: those after noon.
_MORNING: Final = (
    r"in the morning|morning|a\.m\.|a\.?m\b|morgens|"
    r"fruh|vormittags|du matin|de la manana|de la madrugada"
)
_AFTERNOON: Final = (
    r"in the afternoon|in the evening|afternoon|evening|p\.m\.|p\.?m\b|"
    r"nachmittags|abends|de l'apres-midi|du soir|de la tarde"
)
_NIGHT: Final = r"at night|in the night|night|nachts|de la noche|de la nuit"
_PART: Final = rf"(?:(?P<am>{_MORNING})|(?P<pm>{_AFTERNOON})|(?P<night>{_NIGHT}))"
_PARTED: Final = rf"(?: ?,? ?(?:{_PART}))"
HOUR: Final = r"(?:[01]?\d|2[0-3])"
_MINUTE: Final = r"[0-5]\d"
# A bare hour is one only where nothing follows that could be counted.
_FOLLOWS: Final = (
    r" *(?:[;!?)\n\x7f]|$|[.,](?:[^\d]|$))| +(?:o|ok|okay|on|today|tomorrow|tonight|please|then|thanks|and|or|"
    r"but|if|so|is|"
    r"was|to|until|till|under|monday|tuesday|wednesday|thursday|friday|saturday|sunday|"
    r"because|cause|with|when|in the|the|at|will|i|my|y|ou|"
    r"et|und|oder|bis|a|hasta)\b"
)
_SPELLED_HOURS: Final[dict[str, dict[str, int]]] = {
    "en": dict(
        zip(
            ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"],
            range(1, 13),
            strict=True,
        )
    ),
    "de": dict(
        zip(
            ["eins", "zwei", "drei", "vier", "funf", "sechs", "sieben", "acht", "neun", "zehn", "elf", "zwolf"],
            range(1, 13),
            strict=True,
        )
    ),
    "es": dict(
        zip(
            ["una", "dos", "tres", "cuatro", "cinco", "seis", "siete", "ocho", "nueve", "diez", "once", "doce"],
            range(1, 13),
            strict=True,
        )
    ),
    "fr": dict(
        zip(
            ["une", "deux", "trois", "quatre", "cinq", "six", "sept", "huit", "neuf", "dix", "onze", "douze"],
            range(1, 13),
            strict=True,
        )
    ),
}
_PARTS_OF_HOUR: Final = {
    "quarter": 15,
    "a quarter": 15,
    "half": 30,
    "five": 5,
    "ten": 10,
    "twenty": 20,
    "twenty five": 25,
    "twenty-five": 25,
    "viertel": 15,
    "funf": 5,
    "zehn": 10,
    "zwanzig": 20,
    "cuarto": 15,
    "media": 30,
    "quart": 15,
    "demie": 30,
    "demi": 30,
    "et quart": 15,
    "moins le quart": -15,
}


class Times:
    """What times of a text mean at a moment, in some languages."""

    def __init__(self, moment: datetime, languages: tuple[str, ...]) -> None:
        self._moment = moment
        self._languages = languages
        self._units = words_of(languages).units

    def clock(self, groups: Groups) -> Meaning | None:
        """Hour, perhaps minute, second and part of the day."""
        hour = self._hour(groups["hour"])
        minute, second = int(groups.get("minute", 0)), groups.get("second")
        return _meaning(hour, minute, groups, second=second)

    def bare(self, groups: Groups) -> Meaning | None:
        """ "at 5": whether before or after noon is not told."""
        return _meaning(self._hour(groups["hour"]), 0, {}, confidence=0.6)

    def counted(self, groups: Groups, *, sign: int) -> Meaning | None:
        """ "quarter past 5", "zwanzig vor acht", "half past nine in the evening"."""
        part = groups["minutes"]
        minutes = int(part) if part.isdigit() else _PARTS_OF_HOUR.get(part)
        hour = self._hour(groups["hour"])
        if minutes is None or hour is None:
            return None
        total = (hour * 60 + sign * minutes) % (24 * 60)
        return _meaning(total // 60, total % 60, groups)

    def half_before(self, groups: Groups) -> Meaning | None:
        """ "halb sechs" is half past five."""
        hour = self._hour(groups["hour"])
        return None if hour is None else _meaning((hour - 1) % 24, 30, groups)

    def named(self, groups: Groups) -> Meaning | None:
        """Noon and midnight."""
        noon = groups["name"].startswith(("noon", "midday", "mittag", "midi", "mediodia"))
        return Meaning("time", "12:00" if noon else "00:00")

    def distance(self, groups: Groups, *, sign: int) -> Meaning | None:
        """ "in 2 hours", "15 minutes ago": elapsed time, whatever clocks do in between."""
        delta = self._delta(groups)
        if delta is None:
            return None
        try:
            there = (self._moment.astimezone(UTC) + sign * delta).astimezone(self._moment.tzinfo)
        except (OverflowError, ValueError):
            return None
        return Meaning("datetime", _stamp(there))

    def stretch(self, groups: Groups) -> Meaning | None:
        """ "last 3 hours"."""
        sign = 1 if groups["step"].startswith(("next", "coming", "nachst", "kommend")) else -1
        other = self.distance(groups, sign=sign)
        if other is None:
            return None
        now = _stamp(self._moment)
        return Meaning("datetime", f"{now}/{other.value}" if sign > 0 else f"{other.value}/{now}")

    def _delta(self, groups: Groups) -> timedelta | None:
        unit, written = self._units.get(groups["unit"]), groups["count"]
        if unit not in ("s", "min", "h"):
            return None
        if written in ("half an", "half", "une demi", "media", "einer halben"):
            return timedelta(minutes=30) if unit == "h" else None
        if written in ("a", "an") and unit != "h":
            return None  # "in a minute" says soon
        number = numbers.from_digits(written) if written[:1].isdigit() else numbers.from_words(written, self._languages)
        if number is None or number > _MAX_COUNT:
            return None
        return timedelta(seconds=float(number) * {"s": 1, "min": 60, "h": 3600}[unit])

    def _hour(self, written: str) -> int | None:
        if written.isdigit():
            return int(written)
        return next((hours[written] for hours in _SPELLED_HOURS.values() if written in hours), None)


def _stamp(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds" if moment.second else "minutes")


def _meaning(
    hour: int | None, minute: int, groups: Groups, *, second: str | None = None, confidence: float = 1.0
) -> Meaning | None:
    """The time; without a part of the day what a clock of twelve hours shows counts as before noon."""
    if hour is None:
        return None
    if "pm" in groups or ("night" in groups and 6 <= hour < 12):
        hour += 12 if hour < 12 else 0
    elif "am" in groups or "night" in groups:
        hour %= 24 if hour > 12 else 12
    elif hour <= 12:
        confidence = min(confidence, 0.9)
    read = time(hour, minute, int(second or 0))
    return Meaning("time", read.isoformat("seconds" if second else "minutes"), confidence)


@lru_cache(maxsize=16)
def time_rules(languages: tuple[str, ...]) -> tuple[Rule[Times], ...]:
    """The rules of times in these languages, for a `Times` of the same."""
    return tuple(_rules(languages))


def _rules(languages: tuple[str, ...]) -> Iterator[Rule[Times]]:
    units = "|".join(sorted(words_of(languages).units, key=lambda name: (-len(name), name))) or "zzzz"
    count = rf"\d{{1,5}}(?:[.,]5)?|half an|half|einer halben|une demi|media|{numbers.spelled(languages)}"
    outside = r"^|[^\w.,:/$\x01-\x12-]|[^\w][.,:/-]|[(-]"
    yield Rule(
        rf"\b(?P<hour>{HOUR})[:.](?P<minute>{_MINUTE})(?::(?P<second>{_MINUTE}))?(?: ?(?:uhr|h)\b)?{_PARTED}",
        Times.clock,
        before=outside,
    )
    yield Rule(
        rf"\b(?P<hour>{HOUR}):(?P<minute>{_MINUTE})(?::(?P<second>{_MINUTE}))?(?: ?(?:uhr|h)\b)?",
        Times.clock,
        before=outside,
        after=r"$|[^:\d\w%]",
    )
    yield Rule(rf"\b(?P<hour>{HOUR}) (?P<minute>{_MINUTE}){_PARTED}", Times.clock, before=outside)
    bare = r"(?:(?P<am>morning)|(?P<pm>afternoon|evening)|(?P<night>night))"
    yield Rule(rf"\b(?P<hour>{HOUR}) {bare}", Times.clock, before=outside, after=_FOLLOWS)
    surely = _PARTED.replace("|morning", "").replace("|afternoon|evening", "").replace("|night", "")
    yield Rule(rf"\b(?P<hour>{HOUR})(?: ?(?:o'? ?clock|uhr|h))?{surely}", Times.clock, before=outside, after=r"$|[^\w]")
    yield Rule(rf"(?P<hour>{HOUR})H(?:(?P<minute>{_MINUTE})N?)?", Times.clock, before=outside)
    if "en" in languages:
        hour = rf"{HOUR}|{'|'.join(_SPELLED_HOURS['en'])}"
        minutes = r"(?:a )?quarter|half|five|ten|twenty[ -]five|twenty|5|10|15|20|25|0?5"
        for words, sign in (("past|after", 1), ("to|before|till", -1)):
            clock = rf"\b(?P<minutes>{minutes}) (?:minutes? )?(?:{words}) (?P<hour>{hour})\b"
            yield Rule(rf"{clock}(?: o'? ?clock)?{_PARTED}", partial(Times.counted, sign=sign))
            yield Rule(clock, partial(Times.counted, sign=sign), after=_FOLLOWS if sign < 0 else "")
        yield Rule(rf"\b(?P<hour>{hour}) ?o'? ?clock\b", Times.clock)
        yield Rule(
            rf"\b(?:at|at about|at around|around|by|before|after|until|till|(?:later|earlier) than|starts? at|@) "
            rf"(?P<s>(?P<hour>{HOUR}))\b",
            Times.bare,
            after=_FOLLOWS,
        )
        yield Rule(r"\b(?P<name>noon|midnight|midday)\b", Times.named, before=r"^|[^-\w]")
        for words, sign in (("ago", -1), ("from now", 1), ("later", 1)):
            yield Rule(rf"\b(?P<count>{count}) (?P<unit>{units}) {words}\b", partial(Times.distance, sign=sign))
        yield Rule(rf"\bin (?P<count>{count}) (?P<unit>{units})\b", partial(Times.distance, sign=1))
        yield Rule(rf"\b(?P<step>next|last|past|coming) (?P<count>{count}) (?P<unit>{units})\b", Times.stretch)
    if "de" in languages:
        hour = rf"{HOUR}|{'|'.join(_SPELLED_HOURS['de'])}|ein"
        yield Rule(
            rf"\b(?P<hour>{HOUR}) ?uhr(?: (?P<minute>{_MINUTE})\b)?", Times.clock, before=outside, after=r"$|[^\w]"
        )
        yield Rule(rf"\b(?P<hour>{HOUR})\.(?P<minute>{_MINUTE}) ?uhr\b", Times.clock, before=outside)
        yield Rule(rf"\bhalb (?P<hour>{hour})\b{_PARTED}?", Times.half_before)
        for words, sign in (("nach", 1), ("vor", -1)):
            yield Rule(
                rf"\b(?P<minutes>viertel|funf|zehn|zwanzig|5|10|20) {words} (?P<hour>{hour})\b{_PARTED}?",
                partial(Times.counted, sign=sign),
                after=_FOLLOWS,
            )
        yield Rule(r"\b(?P<name>mitternacht|mittags)\b", Times.named)
        yield Rule(rf"\bin (?P<count>{count}) (?P<unit>{units})\b", partial(Times.distance, sign=1))
        yield Rule(rf"\bvor (?P<count>{count}) (?P<unit>{units})\b", partial(Times.distance, sign=-1))
    if "fr" in languages:
        yield Rule(
            rf"\b(?P<hour>{HOUR}) ?(?:h|heures?)(?: ?(?P<minute>{_MINUTE}))?\b{_PARTED}?",
            Times.clock,
            before=r"(?:^|\b(?:a|vers|des|de|avant|apres|jusqu'a|le|et) )",
        )
        yield Rule(rf"\b(?P<hour>{HOUR})h(?P<minute>{_MINUTE})\b", Times.clock, before=outside)
        yield Rule(r"\b(?P<name>minuit|midi)\b", Times.named, before=r"^|[^-\w]")
        yield Rule(rf"\bdans (?P<count>{count}) (?P<unit>{units})\b", partial(Times.distance, sign=1))
        yield Rule(rf"\bil y a (?P<count>{count}) (?P<unit>{units})\b", partial(Times.distance, sign=-1))
    if "es" in languages:
        hour = rf"{HOUR}|{'|'.join(_SPELLED_HOURS['es'])}"
        led = r"(?:a|sobre|hacia|de|desde|hasta|son) las? "
        yield Rule(rf"\b{led}(?P<s>(?P<hour>{hour}){_PARTED})", Times.clock)
        yield Rule(rf"\b{led}(?P<s>(?P<hour>{hour}))\b", Times.bare, after=_FOLLOWS)
        yield Rule(
            rf"\b{led}(?P<s>(?P<hour>{hour}) y (?P<minutes>media|cuarto|cinco|diez|veinte)\b{_PARTED}?)",
            partial(Times.counted, sign=1),
        )
        yield Rule(
            rf"\b{led}(?P<s>(?P<hour>{hour}) menos (?P<minutes>cuarto|cinco|diez|veinte)\b{_PARTED}?)",
            partial(Times.counted, sign=-1),
        )
        yield Rule(r"\b(?P<name>mediodia|medianoche)\b", Times.named)
        yield Rule(rf"\b(?:dentro de|en) (?P<count>{count}) (?P<unit>{units})\b", partial(Times.distance, sign=1))
        yield Rule(rf"\bhace (?P<count>{count}) (?P<unit>{units})\b", partial(Times.distance, sign=-1))
