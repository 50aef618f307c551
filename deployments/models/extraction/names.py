"""What is known of words without their sentence: how common they are, and whether they name people or places."""

import lzma
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Final

from babel import Locale
from zxcvbn.frequency_lists import FREQUENCY_LISTS

from deployments.models.extraction.reading import folded
from deployments.models.extraction.words import FULL

PLACES: Final = Path(__file__).with_name("gazetteer.txt.xz")
MAX_WORDS: Final = 4  # of a place's name

_COMMON: Final = ((300, "5"), (1_500, "4"), (6_000, "3"), (15_000, "2"), (30_000, "1"))
# What ends the name of a company, or is a kind of one.
_COMPANY: Final = frozenset(
    [
        "ltd",
        "limited",
        "inc",
        "llc",
        "llp",
        "plc",
        "corp",
        "corporation",
        "co",
        "company",
        "gmbh",
        "ag",
        "kg",
        "ohg",
        "ug",
        "mbh",
        "ev",
        "sa",
        "sarl",
        "sas",
        "sl",
        "slu",
        "srl",
        "spa",
        "bv",
        "nv",
        "ab",
        "oy",
        "group",
        "gruppe",
        "groupe",
        "grupo",
        "holding",
        "holdings",
        "bank",
        "insurance",
        "versicherung",
        "hotel",
        "restaurant",
        "cafe",
        "store",
        "shop",
        "airlines",
        "airways",
        "university",
        "universitat",
        "hospital",
        "museum",
        "services",
        "solutions",
        "systems",
        "foundation",
        "stiftung",
        "association",
    ]
)
_TITLES: Final = frozenset(
    [
        "mr",
        "mrs",
        "ms",
        "miss",
        "mx",
        "dr",
        "prof",
        "professor",
        "sir",
        "madam",
        "herr",
        "herrn",
        "frau",
        "m",
        "mme",
        "mlle",
        "monsieur",
        "madame",
        "sr",
        "sra",
        "srta",
        "senor",
        "senora",
        "don",
        "dona",
    ]
)


def kind(word: str) -> str:
    """What a folded word may be, as letters: how common it is in English, then F first name, S surname, C company, T
    title."""
    known = _known().get(word, "")
    return known + ("C" if word in _COMPANY else "") + ("T" if word in _TITLES else "")


def places(words: Sequence[str]) -> list[str]:
    """For each of the folded words whether it begins (b) or continues (i) the name of a place, else nothing."""
    marks = [""] * len(words)
    known = _places()
    at = 0
    while at < len(words):
        longest = min(MAX_WORDS, len(words) - at)
        length = next((n for n in range(longest, 0, -1) if " ".join(words[at : at + n]) in known), 0)
        if length:
            marks[at : at + length] = ["b"] + ["i"] * (length - 1)
        at += max(length, 1)
    return marks


@cache
def _known() -> dict[str, str]:
    """The words of English by how common they are, and the names of people, also of other countries."""
    common: dict[str, int] = {}
    for source in ("english_wikipedia", "us_tv_and_film"):
        for rank, word in enumerate(FREQUENCY_LISTS[source]):
            plain = folded(word)
            common[plain] = min(rank, common.get(plain, rank))
    known = {word: next(mark for most, mark in _COMMON if rank < most) for word, rank in common.items()}
    first = {folded(word) for source in ("female_names", "male_names") for word in FREQUENCY_LISTS[source]}
    last = {folded(word) for word in FREQUENCY_LISTS["surnames"]}
    listed = _gazetteer()
    for mark, names in (("F", first | listed["f"]), ("S", last | listed["s"])):
        for name in names:
            known[name] = known.get(name, "") + mark
    return known


@cache
def _places() -> frozenset[str]:
    """Cities of the gazetteer, and countries in the languages that are read."""
    countries = {
        " ".join(_words(name))
        for language in FULL
        for code, name in Locale(language).territories.items()
        if len(code) == 2 or code.isdigit()
    }
    return frozenset(_gazetteer()["p"] | {name for name in countries if len(name) > 3})


@cache
def _gazetteer() -> dict[str, set[str]]:
    listed: dict[str, set[str]] = {"f": set(), "s": set(), "p": set()}
    with lzma.open(PLACES, "rt", encoding="ascii") as lines:
        for line in lines:
            listed[line[0]].add(line[1:].rstrip("\n"))
    return listed


def _words(name: str) -> list[str]:
    return "".join(each if each.isalnum() else " " for each in folded(name)).split()
