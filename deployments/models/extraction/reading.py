"""A text as patterns read it: the same places, in plain small letters."""

import unicodedata
from typing import Final

_LIKE: Final = {
    "\N{EN DASH}": "-",
    "\N{EM DASH}": "-",
    "\N{MINUS SIGN}": "-",
    "\N{NON-BREAKING HYPHEN}": "-",
    "\N{HYPHEN}": "-",
    "\N{RIGHT SINGLE QUOTATION MARK}": "'",
    "\N{LEFT SINGLE QUOTATION MARK}": "'",
    "\N{MODIFIER LETTER APOSTROPHE}": "'",
    "\N{FULLWIDTH COLON}": ":",
    "\N{NUMERO SIGN}": "#",
    "ß": "s",
    "ø": "o",
    "ł": "l",
    "æ": "a",
    "œ": "o",
    "ı": "i",
    "€": "\x01",
    "£": "\x02",
    "¥": "\x03",
    "₹": "\x04",
    "₽": "\x05",
    "₺": "\x06",
    "₩": "\x07",
    "₪": "\x08",
    "₫": "\x0e",
    "₴": "\x0f",
    "₱": "\x10",
    "₦": "\x11",
    "฿": "\x12",
    # Capitals stand for signs of their own: no small letter is folded into one.
    "年": "Y",
    "月": "M",
    "日": "D",
    "号": "D",
    "號": "D",
    "点": "H",
    "點": "H",
    "时": "H",
    "時": "H",
    "分": "N",
}
SYMBOLS: Final = {sign: read for sign, read in _LIKE.items() if read < " "}


class _Table(dict[int, str]):
    """One character for one character, found when it is first met."""

    def __missing__(self, code: int) -> str:
        read = self[code] = _read(chr(code))
        return read


def _read(character: str) -> str:
    if character in _LIKE:
        return _LIKE[character]
    if character.isspace():
        return "\n" if character in "\n\r\u2028\u2029" else " "
    if character < " ":
        return "\x7f"
    if character.isdecimal():
        return str(unicodedata.decimal(character))
    first = unicodedata.normalize("NFKD", character)[:1].lower()
    first = _LIKE.get(first, first)
    if " " < first < "\x7f":
        return first
    # An unknown letter is a letter still: words do not end before it. What is joined to letters does not end them.
    return "_" if character.isalnum() or unicodedata.combining(character) else "\x7f"


_TABLE: Final = _Table()


def folded(text: str) -> str:
    """The text in small ASCII letters without accents and in ASCII digits, each character in its place."""
    return text.translate(_TABLE)


class Reading:
    """A text and how patterns read it. Places in `shadow` are places in `text`: a byte for each code point."""

    __slots__ = ("shadow", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.shadow = folded(text).encode("ascii")
