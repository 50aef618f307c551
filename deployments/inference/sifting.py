"""What of texts says something: blanks and nonsense are counted and left out, and who writes the same counts once."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

_WORD: Final = re.compile(r"[^\W\d_]+")
_SIGN: Final = re.compile(r"[^\W_]")
_SAME: Final = re.compile(r"(.{1,3}?)\1{3,}")
_AGAIN: Final = re.compile(r"(.{3,6}?)\1+")
_VOWELS: Final = frozenset("aeiouy")
_ROWS: Final = ("qwertyuiop", "asdfghjkl", "zxcvbnm", "qwertzuiop", "yxcvbnm", "azertyuiop", "qsdfghjklm")
# What people write to leave a required field empty, in the languages whose phrase is one of habit.
_NOTHING: Final = re.compile(
    r"n/a|na|none|nothing|no comments?|nil|null|x+|test|keines?|nichts|kein kommentar|k\. ?a|rien|aucune?|néant|nada"
    r"|ningun[oa]|nessuno|niente|geen|niets|nenhum|brak"
)


@dataclass(frozen=True, slots=True)
class Sifted:
    """`texts` are the distinct ones that say something, in their own order; `places` tells for each of them where it
    stands in what was given, first occurrence first. `empty` and `nonsense` are places, too."""

    texts: tuple[str, ...]
    places: tuple[tuple[int, ...], ...]
    empty: tuple[int, ...]
    nonsense: tuple[int, ...]

    @property
    def said(self) -> int:
        """How many of the given texts say something."""
        return sum(map(len, self.places))


def sift(texts: Sequence[str]) -> Sifted:
    """Sort out texts. Two are the same when they differ in case, spaces and signs at the end only."""
    groups: dict[str, list[int]] = {}
    empty: list[int] = []
    nonsense: list[int] = []
    for place, text in enumerate(texts):
        plain = _plain(text)
        if not _SIGN.search(plain) or _NOTHING.fullmatch(plain):
            empty.append(place)
        elif _is_nonsense(plain):
            nonsense.append(place)
        else:
            groups.setdefault(plain, []).append(place)
    # By their words and not by their order: the same answers have the same topics, whoever came first.
    ordered = sorted(groups.items())
    return Sifted(
        texts=tuple(texts[places[0]] for _, places in ordered),
        places=tuple(tuple(places) for _, places in ordered),
        empty=tuple(empty),
        nonsense=tuple(nonsense),
    )


def _plain(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split()).strip(" .!?…,;:-–—\"'")


def _is_nonsense(plain: str) -> bool:
    words = _WORD.findall(plain)
    if not words:
        return True
    if not "".join(words).isascii():
        return False
    return all(_is_mashed(word) for word in words) or bool(_SAME.fullmatch("".join(words)))


def _is_mashed(word: str) -> bool:
    if len(word) < 4:
        return len(word) == 1
    if _VOWELS.isdisjoint(word) or _SAME.fullmatch(word):
        return True
    again = _AGAIN.fullmatch(word)
    if again is not None and any(again[1] in row for row in _ROWS):
        return True
    runs = [word[place : place + 4] for place in range(len(word) - 3)]
    return len(word) < 12 and sum(any(run in row or run in row[::-1] for row in _ROWS) for run in runs) * 2 >= len(runs)
