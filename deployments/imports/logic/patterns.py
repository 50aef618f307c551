"""Patterns that are looked for in a text, and patterns that must match the whole of it."""

import re
from typing import Final

_LONGEST: Final = 1_000
"""The longest pattern that is looked at; the engine refuses shorter ones."""

_ANCHORED: Final = re.compile(r"\^(.*)\$", re.DOTALL)


def full_pattern(pattern: str) -> str:
    """The pattern that the whole text must match, from one that is looked for."""
    if len(pattern) > _LONGEST:
        return pattern
    match = _ANCHORED.fullmatch(pattern)
    if match is not None and "|" not in _groupless(match[1]) and not match[1].endswith("\\"):
        return match[1]
    return f"(?s:.*)(?:{pattern})(?s:.*)"


def searching_pattern(pattern: str) -> str:
    """The pattern to look for that is found only when the whole text matches."""
    return f"^({pattern})$" if "|" in _groupless(pattern) else f"^{pattern}$"


def _groupless(pattern: str) -> str:
    """The pattern without what is in brackets or escaped, where a bar separates less than the whole."""
    text = re.sub(r"\\.|\[[^\]]*\]", "", pattern, flags=re.DOTALL)
    while (shorter := re.sub(r"\([^()]*\)", "", text)) != text:
        text = shorter
    return text
