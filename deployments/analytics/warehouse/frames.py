"""How a warehouse and its processes speak: a head in JSON, then a body of bytes, each behind its length."""

import json
import struct
from typing import IO, Any, Final

LENGTHS: Final = struct.Struct("!II")


def packed(head: dict[str, Any], body: bytes = b"") -> bytes:
    """The bytes of one message."""
    content = json.dumps(head).encode()
    return b"".join((LENGTHS.pack(len(content), len(body)), content, body))


def read(source: IO[bytes]) -> tuple[dict[str, Any], bytes] | None:
    """The next message, None at the end."""
    lengths = source.read(LENGTHS.size)
    if len(lengths) < LENGTHS.size:
        return None
    head, body = LENGTHS.unpack(lengths)
    return json.loads(source.read(head)), source.read(body)
