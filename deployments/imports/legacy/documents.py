"""Documents one after another, from BSON or JSON, in bounded memory. One that is broken costs no other."""

import gzip
import hashlib
import json
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import IO, Any, Final, cast

import bson
import orjson
from bson.binary import UuidRepresentation
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.errors import BSONError

from deployments.imports.errors import FileUnreadable
from deployments.imports.json_values import read_values
from deployments.imports.legacy.reading import Members
from deployments.imports.legacy.values import ENCODING, id_of, measured, plain

MAX_DOCUMENT: Final = 48 << 20
"""Bytes; MongoDB itself has 16 MiB, and a document may be longer as JSON."""

_LEAST: Final = 5
_STRICT: Final[CodecOptions[dict[str, Any]]] = CodecOptions(
    tz_aware=True,
    uuid_representation=UuidRepresentation.UNSPECIFIED,
    datetime_conversion=DatetimeConversion.DATETIME_AUTO,
)
_LENIENT: Final = _STRICT.with_options(unicode_decode_error_handler="replace")
_COMPRESSED: Final = (EOFError, zlib.error, gzip.BadGzipFile)


@dataclass(slots=True)
class Document:
    """A document. `place` is its file with its number in it, `sha256` the checksum of what it says, and `size` how many
    bytes that is as JSON.

    With a `problem` it is none, and `source_id` is made of its place. `notes` tell by pointer what was not as it should
    be.
    """

    collection: str
    place: str
    source_id: str
    sha256: str
    body: dict[str, Any]
    notes: dict[str, str] = field(default_factory=dict)
    problem: str = ""
    size: int = 0
    _members: Members | None = None

    @property
    def members(self) -> Members:
        """The members of the body; what one reader takes is taken for all."""
        if self._members is None:
            self._members = Members(self.body)
        return self._members


@dataclass(frozen=True, slots=True)
class Raw:
    """A document as it was read, or the reason why it cannot be."""

    number: int
    body: dict[str, Any] = field(default_factory=dict)
    note: str = ""
    problem: str = ""


def read_documents(collection: str, path: Path) -> Iterator[Document]:
    """Every document of a file, and every place where one is broken, in their order."""
    for raw in read_raw(path):
        place = f"{path.name}#{raw.number}"
        if raw.problem:
            broken = hashlib.sha256(raw.problem.encode()).hexdigest()
            yield Document(collection, place, f"#{raw.number}", broken, {}, problem=raw.problem)
            continue
        notes = {"": raw.note} if raw.note else {}
        try:
            body = plain(raw.body, notes)
            checksum, size = measured(body)
        except (RecursionError, orjson.JSONEncodeError):
            yield Document(collection, place, f"#{raw.number}", "", {}, problem="The document is nested too deep.")
            continue
        source_id = id_of(body.get("_id", body.get("id")))
        yield Document(collection, place, source_id or f"sha256:{checksum}", checksum, body, notes, size=size)


def read_raw(path: Path) -> Iterator[Raw]:
    """The same without a look into the documents."""
    with opened(path) as file:
        name = path.name.removesuffix(".gz")
        yield from _bson(file) if name.endswith(".bson") else _json(file)


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """The file's bytes, uncompressed."""
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        if not packed:
            yield file
            return
        with gzip.GzipFile(fileobj=file) as unpacked:
            yield cast(IO[bytes], unpacked)


def take(file: IO[bytes], size: int) -> bytes:
    """Up to `size` bytes: fewer at the end of the file, be it the end or a compressed file that is cut off."""
    try:
        return file.read(size)
    except _COMPRESSED:
        return b""


def _bson(file: IO[bytes]) -> Iterator[Raw]:
    number = 0
    while head := take(file, 4):
        number += 1
        size = struct.unpack("<i", head)[0] if len(head) == 4 else 0
        if len(head) == 4 and not _LEAST <= size <= MAX_DOCUMENT:
            yield Raw(number, problem="No document begins here; the rest of the file is not read.")
            return
        rest = take(file, size - 4) if size else b""
        if len(rest) != size - 4:
            yield Raw(number, problem="The file ends within this document.")
            return
        yield _decoded(number, head + rest)


def _decoded(number: int, content: bytes) -> Raw:
    try:
        return Raw(number, bson.decode(content, _STRICT))
    except (BSONError, ValueError, OverflowError):
        pass
    try:
        return Raw(number, bson.decode(content, _LENIENT), note=ENCODING)
    except (BSONError, ValueError, OverflowError) as error:
        return Raw(number, problem=f"The document is no BSON: {_sentence(error)}")


def _json(file: IO[bytes]) -> Iterator[Raw]:
    lines = _lines(file)
    first = next((line for line in lines if line.strip()), b"")
    start = first.removeprefix(b"\xef\xbb\xbf").strip()
    if start[:1] == b"[" or start == b"{":
        yield from _values(file)
        return
    number = 0
    for line in chain((start,), lines):
        text = line.strip()
        if text:
            number += 1
            yield _parsed(number, text)


def _lines(file: IO[bytes]) -> Iterator[bytes]:
    while True:
        try:
            line = file.readline(MAX_DOCUMENT)
        except _COMPRESSED:
            yield b"{"
            return
        if not line:
            return
        yield line


def _values(file: IO[bytes]) -> Iterator[Raw]:
    """The documents of an array, or those that are spread over lines."""
    number = 0
    file.seek(0)
    try:
        for number, (_, value) in enumerate(read_values(file, frozenset(("", "item"))), 1):
            yield Raw(number, value) if isinstance(value, dict) else Raw(number, problem="This is no document.")
    except (FileUnreadable, *_COMPRESSED) as error:
        detail = error.detail if isinstance(error, FileUnreadable) else "The file is cut off."
        yield Raw(number + 1, problem=f"{detail} The rest of the file is not read.")


def _parsed(number: int, text: bytes) -> Raw:
    note = ""
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        # NaN, halves of surrogate pairs and broken UTF-8 are what older tools wrote.
        decoded = text.decode("utf-8", "replace")
        note = ENCODING if "\ufffd" in decoded else ""
        try:
            value = json.loads(decoded)
        except (ValueError, RecursionError) as error:
            return Raw(number, problem=f"The line is no JSON: {_sentence(error)}")
    return Raw(number, value, note=note) if isinstance(value, dict) else Raw(number, problem="This is no document.")


def _sentence(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
