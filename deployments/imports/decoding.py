"""From the bytes of a file to UTF-8 text, whatever wrote it; what cannot be decoded is replaced and counted.

A file is UTF-8 unless its bytes say otherwise: a byte order mark, the zero bytes of UTF-16, or broken sequences that
make sense in a legacy encoding. A few broken bytes in a UTF-8 file stay a few: each becomes U+FFFD.
"""

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from charset_normalizer import from_bytes

from deployments.imports.errors import FileUnreadable

REPLACEMENT: Final = "\ufffd"
MAX_LINES: Final = 100
"""The most line numbers that a decoding keeps."""

_CHUNK: Final = 1 << 20
_SAMPLE: Final = 1 << 16

# No decoder yields a lone surrogate, so it marks what was replaced, apart from any U+FFFD of the file itself.
_MARK: Final = "\udcff"
_BROKEN: Final = re.compile(r"[\udcff\0]")
_LINE_END: Final = re.compile(r"\r\n|\r|\n")

_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_LEGACY: Final = ["cp1250", "cp1251", "cp1253", "cp1254", "mac_roman", "shift_jis", "gb18030", "big5", "euc_kr"]
_ENOUGH: Final = 16
"""Non-ASCII bytes that a statistical guess needs; with fewer, every encoding looks right."""

# In Western text, a byte above 127 is a letter that touches a plain letter, or typographic punctuation. The few letters
# of Windows below 160 are left out, save the French one: on a Mac these bytes are the usual accented letters. A capital
# after a small letter is none: on a Mac the byte of the capital is a no-break space.
_SMALL: Final = rb"[\x9c\xdf-\xf6\xf8-\xff]"
_CAPITAL: Final = rb"(?<![a-z])[\xc0-\xd6\xd8-\xde]"
_WESTERN: Final = re.compile(
    rb"(?<=[A-Za-z])"
    + _SMALL
    + rb"|"
    + _SMALL
    + rb"(?=[A-Za-z])|(?<=[A-Z])"
    + _CAPITAL
    + rb"|"
    + _CAPITAL
    + rb"(?=[A-Za-z])"
)
_TYPOGRAPHIC: Final = re.compile(rb"[\x80\x85\x91-\x97\x99\xa0\xa1\xa3\xa7-\xab\xae\xb0\xb4\xb7\xba-\xbf\xd7]")
_STRAY: Final = 8
"""Control characters that a text may have however short it is."""

_HIGH: Final = re.compile(rb"[\x80-\xff]")
_CONTROL: Final = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")


def _mark(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return _MARK, error.end


codecs.register_error("formstream.mark", _mark)


@dataclass(frozen=True, slots=True)
class Decoding:
    """How a file was read: encoding, number of broken bytes or sequences, and the first lines that have them."""

    encoding: str
    replaced: int
    lines: tuple[int, ...]


def decode(source: IO[bytes], target: Path) -> Decoding:
    """Write the text of `source` to `target` as UTF-8, line ends as they are, each broken byte as U+FFFD.

    The same bytes always give the same text. Memory is bounded. Raises FileUnreadable when `source` is empty or no
    text at all.
    """
    source.seek(0)
    head = source.read(_SAMPLE)
    if not head.strip():
        raise FileUnreadable("The file is empty.")
    if head.lstrip()[:9].lower().startswith((b"<!doctype", b"<html", b"<?xml")):
        raise FileUnreadable("The file is a web page or XML. Export the responses as CSV and send that file.")
    encoding, skip = _declared(head)
    if encoding is not None:
        return _transcode(source, target, encoding, skip)[0]
    controls = len(_CONTROL.findall(head))
    if controls > _STRAY and controls * 50 > len(head):
        raise FileUnreadable("The file is not text. Export the responses as CSV and send that file, not a ZIP archive.")
    decoding, multibyte = _transcode(source, target, "utf-8", 0)
    if decoding.replaced > multibyte and (legacy := _legacy(source)) is not None:
        return _transcode(source, target, legacy, 0)[0]
    return decoding


def _declared(head: bytes) -> tuple[str | None, int]:
    """The encoding that a byte order mark or the zero bytes of ASCII text in UTF-16 give away."""
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return encoding, len(mark)
    pairs = len(head) // 2
    even, odd = head[0 : 2 * pairs : 2].count(0), head[1 : 2 * pairs : 2].count(0)
    if odd * 10 > pairs * 4 and even * 20 < pairs:
        return "utf-16-le", 0
    if even * 10 > pairs * 4 and odd * 20 < pairs:
        return "utf-16-be", 0
    return None, 0


def _transcode(source: IO[bytes], target: Path, encoding: str, skip: int) -> tuple[Decoding, int]:
    """The decoding, and how many characters outside ASCII it has that are not replacements."""
    replaced = other = 0
    line, lines = 1, list[int]()
    after_return = False
    with target.open("w", encoding="utf-8", newline="") as out:
        for text in _texts(source, encoding, skip):
            if not text.isascii() or "\0" in text:
                marks = list(_BROKEN.finditer(text))
                other += len(text) - len(text.encode("ascii", "ignore")) - sum(mark[0] == _MARK for mark in marks)
                replaced += len(marks)
                lines.extend(_lines(text, line, after_return, marks, MAX_LINES - len(lines)))
                text = _BROKEN.sub(REPLACEMENT, text)
            # A pair of CR and LF that two chunks share is one line end.
            line += len(_LINE_END.findall(text)) - (after_return and text.startswith("\n"))
            after_return = text.endswith("\r")
            out.write(text)
    return Decoding(encoding, replaced, tuple(dict.fromkeys(lines))), other


def _lines(text: str, line: int, after_return: bool, marks: list["re.Match[str]"], room: int) -> Iterator[int]:
    line -= after_return and text.startswith("\n")
    position = 0
    for mark in marks[:room]:
        line += len(_LINE_END.findall(text, position, mark.start()))
        position = mark.start()
        yield line


def _texts(source: IO[bytes], encoding: str, skip: int) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder(encoding)("formstream.mark")
    source.seek(skip)
    while chunk := source.read(_CHUNK):
        yield decoder.decode(chunk)
    yield decoder.decode(b"", final=True)


def _legacy(source: IO[bytes]) -> str | None:
    """The legacy encoding that the lines outside ASCII are in; None when they are rather broken than in any."""
    sample = bytearray()
    source.seek(0)
    while len(sample) < _SAMPLE and (chunk := source.read(_CHUNK)):
        for line in chunk.splitlines(keepends=True):
            if not line.isascii() and len(sample) < _SAMPLE:
                sample += line[:_SAMPLE]
    high = len(_HIGH.findall(sample))
    western = len(_WESTERN.findall(sample)) + len(_TYPOGRAPHIC.findall(_WESTERN.sub(b"", sample)))
    if western * 10 >= high * 9:
        return "cp1252"
    if high < _ENOUGH:
        return None
    guess = from_bytes(bytes(sample), cp_isolation=_LEGACY, preemptive_behaviour=False).best()
    return None if guess is None else guess.encoding
