"""Texts as heads take them: what is beyond some length does not count, and few long ones at once."""

from collections.abc import Iterator, Sequence
from typing import Final

MAX_CHARACTERS: Final = 2_000
"""Of a text, for what reads the text itself; an encoder has a bound of its own."""

_BATCH_CHARACTERS: Final = 200_000


def cut(texts: Sequence[str]) -> Iterator[list[str]]:
    """The texts without what does not count, in batches: a batch is padded to its longest text."""
    batch: list[str] = []
    longest = 0
    for text in texts:
        short = text[:MAX_CHARACTERS]
        longest = max(longest, len(short))
        if batch and longest * (len(batch) + 1) > _BATCH_CHARACTERS:
            yield batch
            batch, longest = [], len(short)
        batch.append(short)
    if batch:
        yield batch
