"""Long texts in pieces that a model can judge: one bad sentence among many good ones shows in its own piece."""

import re
from collections.abc import Iterable, Iterator
from itertools import accumulate, islice
from typing import Final

MOST: Final = 400
"""Characters of a passage: what the messages that spam was learnt from had at most, roughly."""

PIECES: Final = 20
"""So many of them are looked at: spam says early what it wants, and the work for one text stays bounded."""

_ENDS: Final = re.compile(r"(?<=[.!?…。！？؟।])\s+|[\r\n]+")


def passages(texts: Iterable[str], most: int = MOST) -> list[str]:
    """`texts` from their beginning, in up to `PIECES` pieces of at most `most` characters: sentences stay whole where
    they fit, and short texts and sentences share a piece."""
    return list(islice(_filled(_parts(texts, most), most), PIECES))


def grouped(groups: Iterable[list[str]]) -> tuple[list[str], list[slice]]:
    """All members in one list, and where those of each group stand in it."""
    held = list(groups)
    ends = list(accumulate(map(len, held)))
    return [each for group in held for each in group], [
        slice(end - len(group), end) for group, end in zip(held, ends, strict=True)
    ]


def _filled(parts: Iterable[str], most: int) -> Iterator[str]:
    piece = ""
    for part in parts:
        if piece and len(piece) + 1 + len(part) <= most:
            piece += f"\n{part}"
        else:
            if piece:
                yield piece
            piece = part
    if piece:
        yield piece


def _parts(texts: Iterable[str], most: int) -> Iterator[str]:
    for text in texts:
        for sentence in _ENDS.split(text):
            left = sentence.strip()
            while len(left) > most:
                # Scripts without blanks are cut where the piece is full.
                cut = left.rfind(" ", 1, most + 1)
                cut = cut if cut > 0 else most
                yield left[:cut].rstrip()
                left = left[cut:].lstrip()
            if left:
                yield left
