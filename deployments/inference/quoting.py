"""Quotes: a piece of a text that can be shown in place of the whole, always as it stands there."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

LONGEST: Final = 280
"""Most characters of a quote."""

_END: Final = re.compile(r"(?<=[.!?…。！？])\s+|\n+")


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of a text by its code points."""

    start: int
    end: int

    def of(self, text: str) -> str:
        return text[self.start : self.end]


def spans(text: str) -> list[Span]:
    """The pieces that could be quoted: the whole text when it is short enough, else its sentences, cut between words
    where one is too long."""
    whole = _trimmed(text, 0, len(text))
    if whole.end - whole.start <= LONGEST:
        return [whole]
    return list(_sentences(text))


def digest(quote: str) -> str:
    """What tells whether a quote still stands where it was found."""
    return sha256(quote.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _sentences(text: str) -> Iterator[Span]:
    start = 0
    for end in [*(match.start() for match in _END.finditer(text)), len(text)]:
        span = _trimmed(text, start, end)
        start = end
        if span.end - span.start > LONGEST:
            cut = text.rfind(" ", span.start, span.start + LONGEST)
            span = _trimmed(text, span.start, cut if cut > span.start else span.start + LONGEST)
        if span.end > span.start:
            yield span


def _trimmed(text: str, start: int, end: int) -> Span:
    piece = text[start:end]
    left = len(piece) - len(piece.lstrip())
    return Span(start + left, max(start + left, start + len(piece.rstrip())))
