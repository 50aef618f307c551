"""Numbers as people write them, with digits or in words, of several languages."""

from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Final

import re2  # type: ignore[import-untyped]
from text_to_num import text2num

from deployments.models.extraction.reading import folded

# Digits in groups of three, or together; then perhaps decimals.
DIGITS: Final = r"\d{1,3}(?:[.,' ]\d{3})+(?:[.,]\d{1,2})?|\d{1,12}(?:[.,]\d{1,6})?"
_GROUPED: Final = re2.compile(rb"^\d{1,3}(?:([.,' ])\d{3})+(?:[.,]\d{1,2})?$")

_WORDS: Final[dict[str, str]] = {
    "en": "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand million and",
    "de": "null ein eins eine einen einem einer zwei drei vier fünf sechs sieben acht neun zehn elf zwölf sechzehn "
    "siebzehn sech sieb zwanzig dreißig vierzig fünfzig sechzig siebzig achtzig neunzig hundert tausend und",
    "fr": "zéro un une deux trois quatre cinq six sept huit neuf dix onze douze treize quatorze quinze seize vingt "
    "vingts trente quarante cinquante soixante septante huitante nonante cent cents mille et",
    "es": "cero un uno una dos tres cuatro cinco seis siete ocho nueve diez once doce trece catorce quince dieciséis "
    "diecisiete dieciocho diecinueve veinte veintiuno veintiún veintidós veintitrés veinticuatro veinticinco "
    "veintiséis veintisiete veintiocho veintinueve treinta cuarenta cincuenta sesenta setenta ochenta noventa cien "
    "ciento doscientos doscientas trescientos trescientas cuatrocientos quinientos quinientas seiscientos "
    "setecientos ochocientos novecientos mil millón millones y",
}
_LONGEST: Final = 120
_JOINS: Final = {"and", "und", "et", "y"}
# "a" and its like count as one before a unit; "a hundred" is one hundred.
_ONES: Final = {"en": ("a", "an"), "de": ("ein", "eine", "einen", "einem", "einer"), "fr": ("un", "une")} | {
    "es": ("un", "una", "uno")
}
SCALES: Final[dict[str, int]] = {
    **dict.fromkeys(("k", "thousand", "tausend", "tsd", "mille", "mil"), 1_000),
    **dict.fromkeys(("million", "millions", "mio", "millionen", "millones", "mn"), 1_000_000),
    **dict.fromkeys(("billion", "billions", "bn", "milliarde", "milliarden", "mrd", "milliards"), 1_000_000_000),
}


@lru_cache(maxsize=16)
def spelled(languages: tuple[str, ...]) -> str:
    """A pattern of numbers in words of these languages."""
    every = {folded(word) for language in languages for word in _WORDS.get(language, "").split()}
    words = "|".join(sorted(every - _JOINS, key=lambda word: (-len(word), word)))
    joins = "|".join(sorted(every & _JOINS)) or "and"
    # The words of German numbers stand together.
    part = rf"(?:{words})(?:und|{words})*" if "de" in languages else rf"(?:{words})"
    first = rf"(?:a (?:hundred|thousand|million)|{part})" if "en" in languages else part
    one = "|an?" if "en" in languages else ""
    return rf"(?:{first}(?:[ -](?:(?:{joins}) )?{part})*{one})"


def from_digits(written: str) -> Decimal | None:
    """What digits mean. The mark that comes last divides the decimals, unless exactly three digits follow the only one:
    then it groups, as in 1,500 and 1.500. None for what begins with a needless zero: it numbers something."""
    plain = folded(written).replace(" ", "").replace("'", "")
    if plain[:1] == "0" and plain[1:2].isdigit():
        return None
    last = max(plain.rfind("."), plain.rfind(","))
    if last >= 0:
        whole, decimals = plain[:last], plain[last + 1 :]
        groups = len(decimals) == 3 and bool(_GROUPED.match(plain.encode())) and whole != "0"
        whole = whole.replace(".", "").replace(",", "")
        plain = whole + decimals if groups else f"{whole}.{decimals}"
    try:
        return Decimal(plain)
    except InvalidOperation:
        return None


def from_words(written: str, languages: tuple[str, ...]) -> Decimal | None:
    """What words mean in the first of these languages that can tell; None for none, and for what nobody would spell."""
    return _from_words(written, languages) if len(written) <= _LONGEST else None


@lru_cache(maxsize=4096)
def _from_words(written: str, languages: tuple[str, ...]) -> Decimal | None:
    words = " ".join(written.lower().split())
    for language in languages:
        if words in _ONES.get(language, ()):
            return Decimal(1)
        if language == "en" and words.startswith("a "):
            words = f"one {words[2:]}"
        try:
            return Decimal(text2num(words, language))
        except ValueError:
            continue
    return None


def plain(number: Decimal) -> str:
    """A number without an exponent and without idle zeros: 1500, 12.5."""
    shown = f"{number:f}"
    return shown.rstrip("0").rstrip(".") if "." in shown else shown
