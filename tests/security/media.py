"""Media types that the tool has to be told how to send."""

from typing import Any

import schemathesis


@schemathesis.serializer("application/offset+octet-stream")
def piece(_context: Any, value: Any) -> bytes:
    """A piece of an upload is sent as it is."""
    return value if isinstance(value, bytes) else str(value).encode()
