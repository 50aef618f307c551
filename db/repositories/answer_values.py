"""How the value of an answer is written in the index, so that the text sorts and compares as the value does."""

import hashlib
import struct
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Final

LONGEST: Final = 64
"""Characters of a text that are in the index. Longer texts are found by these, then compared in full."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SIGN: Final = 1 << 63
_LAST: Final = "\U0010ffff"


class Kind(StrEnum):
    """What a value is. Texts compare by code point, numbers as 64-bit floats; a set has texts as members; of what is
    `ANY`, only whether it is there can be asked."""

    TEXT = "t"
    NUMBER = "n"
    BOOLEAN = "b"
    SET = "s"
    WORDS = "w"
    ANY = "a"


@lru_cache(maxsize=65_536)
def series_of(form_id: str, key: str, kind: Kind) -> int:
    """The number under which a form's values of one field and kind are in the index: 63 bits of a hash, to save room.

    The kind is part of it, so a field that once had another type has entries of its own for that time.
    """
    digest = hashlib.blake2b(f"{form_id}/{key}/{kind}".encode(), digest_size=8).digest()
    return int.from_bytes(digest) >> 1


def moment_of(at: datetime) -> int:
    """Microseconds since 1970."""
    return (at - _EPOCH) // timedelta(microseconds=1)


def number_text(value: float) -> str:
    """16 hexadecimal digits that sort as the number does."""
    (bits,) = struct.unpack(">Q", struct.pack(">d", float(value) + 0.0))  # + 0.0: there is one zero
    return f"{bits ^ (_SIGN * 2 - 1) if bits & _SIGN else bits | _SIGN:016x}"


def text_of(value: str | float | bool) -> str:
    """The index's text of a value."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value[:LONGEST] if isinstance(value, str) else number_text(value)


def is_exact(value: str | float | bool) -> bool:
    """Whether an entry with the value's text can only come from that value."""
    return not isinstance(value, str) or len(value) < LONGEST


def after_prefix(prefix: str) -> str:
    """A text that no text of the index with this prefix is above."""
    return (prefix + _LAST * LONGEST)[:LONGEST]
