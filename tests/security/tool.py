"""What the tool has to be told: how to send media types, and that not every text is an address."""

from typing import Any

import schemathesis
from schemathesis.engine import observations

_path_of = observations._same_origin_path


def path_of(value: str, origin: tuple[str, str]) -> str | None:
    """The path of an address of the API in an answer. The tool itself fails at texts like `http://[`, which people may
    write."""
    try:
        return _path_of(value, origin)
    except ValueError:
        return None


observations._same_origin_path = path_of


@schemathesis.serializer("application/offset+octet-stream")
def piece(_context: Any, value: Any) -> bytes:
    """A piece of an upload is sent as it is."""
    return value if isinstance(value, bytes) else str(value).encode()


@schemathesis.serializer("message/rfc822")
def message(_context: Any, value: Any) -> bytes:
    """A message that came back is handed in as it is."""
    return value if isinstance(value, bytes) else str(value).encode()
