"""Identifiers made of titles: readable, stable for the same file, unique among their neighbours."""

import re
import unicodedata
from collections.abc import Iterable
from typing import Final

_LONGEST: Final = 48
_ID: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")
_OPTION_ID: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,63}")
_GAPS: Final = re.compile(r"[^a-z0-9]+")


class Names:
    """Hands out identifiers that match `[a-z][a-z0-9_]{0,63}`, each one once."""

    def __init__(self, reserved: frozenset[str] = frozenset()) -> None:
        self._taken = set(reserved)
        self._numbers: dict[str, int] = {}

    def make(self, title: str, fallback: str) -> str:
        """The identifier of a title, with a number when the name is taken; `fallback` when nothing readable is left."""
        name = _slug(title) or fallback
        if not name[0].isalpha():
            name = f"n{name}"
        unique, number = name, self._numbers.get(name, 2)
        while unique in self._taken:
            unique, number = f"{name}_{number}", number + 1
        # A file may have the same title any number of times.
        self._numbers[name] = number
        self._taken.add(unique)
        return unique

    def keep(self, name: str, fallback: str) -> str:
        """`name` itself when it is an identifier that is free, else one made of it."""
        if _ID.fullmatch(name) and name not in self._taken:
            self._taken.add(name)
            return name
        return self.make(name, fallback)


def option_ids(names: Iterable[str], reserved: frozenset[str] = frozenset()) -> dict[str, str]:
    """Ids of options by the names that they had: the names themselves where they can be ids."""
    given = list(dict.fromkeys(names))
    kept = {name for name in given if _OPTION_ID.fullmatch(name) and name not in reserved}
    made = Names(frozenset(kept) | reserved)
    return {name: name if name in kept else made.make(name, f"option{n}") for n, name in enumerate(given, 1)}


def _slug(title: str) -> str:
    ascii_only = unicodedata.normalize("NFKD", title.casefold()).encode("ascii", "ignore").decode()
    words = _GAPS.sub("_", ascii_only.replace("'", "")).strip("_")
    if len(words) <= _LONGEST:
        return words
    cut = words[: _LONGEST + 1].rpartition("_")[0]
    return cut or words[:_LONGEST]
