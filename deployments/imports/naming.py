"""Identifiers made of titles: readable, stable for the same file, unique among their neighbours."""

import re
import unicodedata
from typing import Final

_LONGEST: Final = 48
_GAPS: Final = re.compile(r"[^a-z0-9]+")


class Names:
    """Hands out identifiers that match `[a-z][a-z0-9_]{0,63}`, each one once."""

    def __init__(self, reserved: frozenset[str] = frozenset()) -> None:
        self._taken = set(reserved)

    def make(self, title: str, fallback: str) -> str:
        """The identifier of a title, with a number when the name is taken; `fallback` when nothing readable is left."""
        name = _slug(title) or fallback
        if not name[0].isalpha():
            name = f"n{name}"
        unique, number = name, 2
        while unique in self._taken:
            unique, number = f"{name}_{number}", number + 1
        self._taken.add(unique)
        return unique


def _slug(title: str) -> str:
    ascii_only = unicodedata.normalize("NFKD", title.casefold()).encode("ascii", "ignore").decode()
    words = _GAPS.sub("_", ascii_only.replace("'", "")).strip("_")
    if len(words) <= _LONGEST:
        return words
    cut = words[: _LONGEST + 1].rpartition("_")[0]
    return cut or words[:_LONGEST]
