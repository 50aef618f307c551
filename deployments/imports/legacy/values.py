"""The values of documents, whichever way they were written: what JSON knows, and moments in UTC.

A dump in BSON and an export in extended JSON (version 1 or 2, canonical or relaxed) of the same document come to the
same values, so their checksums agree.
"""

import base64
import hashlib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from math import isfinite
from typing import Any, Final
from uuid import UUID

import orjson
from bson import (
    Binary,
    Code,
    DatetimeMS,
    DBRef,
    Decimal128,
    Int64,
    MaxKey,
    MinKey,
    ObjectId,
    Regex,
    Timestamp,
    json_util,
)
from bson.binary import UuidRepresentation
from bson.codec_options import DatetimeConversion
from bson.errors import BSONError

NUL: Final = "text.nul"
ENCODING: Final = "text.encoding"
NOT_FINITE: Final = "number.not_finite"
TOO_GREAT: Final = "number.too_great"
UNUSUAL: Final = "value.unusual"

_EXACT: Final = 2**53
_BITS: Final = 2**63
_EXTENDED: Final = json_util.JSONOptions(
    tz_aware=True,
    tzinfo=UTC,
    uuid_representation=UuidRepresentation.UNSPECIFIED,
    datetime_conversion=DatetimeConversion.DATETIME_AUTO,
)


def plain(value: Any, notes: dict[str, str], pointer: str = "") -> Any:
    """The value in JSON's types, with moments as they are. `notes` gets a code for each place that had to change."""
    kind = type(value)
    if kind is str:
        return value if value.isascii() and "\0" not in value else _text(value, notes, pointer)
    if value is None or kind is bool:
        return value
    if kind is int or kind is Int64:
        return _whole(int(value), notes, pointer)
    if kind is dict:
        return _members(value, notes, pointer)
    if kind is list:
        return [plain(item, notes, f"{pointer}/{index}") for index, item in enumerate(value)]
    if kind is ObjectId:
        return str(value)
    if kind is datetime:
        return value if value.tzinfo is not None else value.replace(tzinfo=UTC)
    if kind is float:
        return _fraction(value, notes, pointer)
    return _rare(value, notes, pointer)


def digest(value: Any) -> str:
    """The checksum of plain values; the order of members does not count."""
    return measured(value)[0]


def measured(value: Any) -> tuple[str, int]:
    """The same, and how many bytes they are as JSON."""
    content = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(content).hexdigest(), len(content)


def id_of(value: Any) -> str:
    """The text by which documents name the one that has this plain value for its `_id`; empty for none."""
    if isinstance(value, dict):
        # As in a DBRef, or a document that was put in the place of its id.
        value = next((value[name] for name in ("$id", "_id", "id", "oid") if name in value), None)
    if value is None or value == "" or isinstance(value, bool | list | dict):
        return ""
    text = value.isoformat() if isinstance(value, datetime) else str(value).strip()
    # An address would be personal data, and an index takes no text of any length.
    return text if len(text) <= 64 and "@" not in text else f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def _members(value: dict[str, Any], notes: dict[str, str], pointer: str) -> Any:
    if len(value) <= 4 and next(iter(value), "")[:1] == "$":
        try:
            found = _extended(value)
        except (ValueError, TypeError, KeyError, OverflowError, ArithmeticError, BSONError):
            found = value
            notes[pointer] = UNUSUAL
        if type(found) is not dict:
            return plain(found, notes, pointer)
    members = {}
    for name, member in value.items():
        own = name if name.isascii() and "\0" not in name else _text(name, notes, pointer)
        members[own] = plain(member, notes, f"{pointer}/{own}")
    return members


def _extended(value: Any) -> Any:
    """What extended JSON means, from the inside out."""
    if type(value) is not dict:
        return value
    return json_util.object_hook({name: _extended(member) for name, member in value.items()}, _EXTENDED)


def _text(value: str, notes: dict[str, str], pointer: str) -> str:
    if "\0" in value:
        # PostgreSQL has no room for it.
        value = value.replace("\0", "\ufffd")
        notes[pointer] = NUL
    try:
        value.encode()
    except UnicodeEncodeError:
        notes[pointer] = ENCODING
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return value


def _whole(value: int, notes: dict[str, str], pointer: str) -> int | str:
    if -_BITS <= value < _BITS:
        return value
    notes[pointer] = TOO_GREAT
    return str(value)


def _fraction(value: float, notes: dict[str, str], pointer: str) -> Any:
    if not isfinite(value):
        notes[pointer] = NOT_FINITE
        return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"
    if value.is_integer():
        # JSON has one kind of numbers: 5.0 in BSON is 5 in an export.
        return _whole(int(value), notes, pointer)
    return value


def _rare(value: Any, notes: dict[str, str], pointer: str) -> Any:
    if isinstance(value, Decimal128):
        return _decimal(value.to_decimal(), notes, pointer)
    for kinds, said in _READ:
        if isinstance(value, kinds):
            return said(value)
    if isinstance(value, DBRef):
        return plain(value.id, notes, pointer)
    notes[pointer] = UNUSUAL
    for kinds, said in _UNUSUAL:
        if isinstance(value, kinds):
            return said(value)
    return plain(dict(value) if isinstance(value, Mapping) else str(value), notes, pointer)


def _bytes(value: bytes) -> str:
    if isinstance(value, Binary) and value.subtype in (3, 4) and len(value) == 16:
        return str(UUID(bytes=bytes(value)))
    return base64.b64encode(value).decode()


_READ: Final[tuple[tuple[type, Callable[[Any], Any]], ...]] = (
    (bytes, _bytes),
    (UUID, str),
    (Timestamp, Timestamp.as_datetime),
)
_UNUSUAL: Final[tuple[tuple[type, Callable[[Any], Any]], ...]] = (
    (DatetimeMS, int),
    (Regex, lambda value: str(value.pattern)),
    (MinKey, lambda _: None),
    (MaxKey, lambda _: None),
    (Code, str),
)


def _decimal(value: Decimal, notes: dict[str, str], pointer: str) -> Any:
    if not value.is_finite():
        return _fraction(float(value), notes, pointer)
    if value == value.to_integral_value():
        return _whole(int(value), notes, pointer)
    # As a number where nothing is lost, else as its text.
    return float(value) if Decimal(repr(float(value))) == value else str(value)
