"""Opaque keyset cursors, bound to the sort they were made for."""

import base64
import binascii
from typing import Any

import orjson

from deployments.kit.errors import Invalid


def encode_cursor(sort: str, values: list[Any]) -> str:
    """A URL-safe cursor that continues after the row with these sort values."""
    return base64.urlsafe_b64encode(orjson.dumps([sort, *values])).decode().rstrip("=")


def decode_cursor(cursor: str, sort: str, length: int) -> list[Any]:
    """The sort values of a cursor. Raises Invalid when it is forged or was made for another sort."""
    try:
        found, *values = orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, binascii.Error, TypeError):
        found, values = None, []
    if (
        found != sort
        or len(values) != length
        or not all(isinstance(value, str) and "\0" not in value for value in values)
    ):
        raise Invalid.at("/cursor", "cursor.invalid", "the cursor does not belong to this list and sort")
    return list(values)
