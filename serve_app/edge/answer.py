"""A response with the headers that every answer carries, encoded once."""

from collections.abc import Iterable, Iterator
from typing import Any

from sanic.response import HTTPResponse

API_VERSION = "1"
CACHE_CONTROL = "cache-control"

# An API answers with data, never with something to render: nothing may be sniffed, framed or run.
_FIXED = (
    (b"x-api-version", API_VERSION.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    # Which pages may read an answer is said per origin, so no cache may mix them up (Fetch standard).
    (b"vary", b"Origin"),
)
_POLICY = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")
_RESOURCE = (b"cross-origin-resource-policy", b"same-origin")
_PRIVATE = (CACHE_CONTROL.encode(), b"private, no-store")


class Answer(HTTPResponse):
    """A response of the edge. Header names are lower case; without a `cache-control` of its own it is not stored.

    It builds its headers without the framework's case-insensitive multi-dictionary, which costs more than
    everything else that happens to a submission's answer.
    """

    __slots__ = ("_correlation_id", "_own_headers")

    def __init__(
        self,
        status: int,
        body: bytes,
        media_type: str,
        correlation_id: str,
        headers: Iterable[tuple[str, str]] = (),
    ) -> None:
        self.asgi = False
        self.body = body
        self.content_type = media_type
        self.stream = None
        self.status = status
        # What the server itself sets: length or encoding, connection.
        self.headers: Any = {}
        self._cookies = None
        self._correlation_id = correlation_id
        self._own_headers = headers

    def add(self, headers: Iterable[tuple[str, str]]) -> None:
        """Headers beside its own."""
        self._own_headers = (*self._own_headers, *headers)

    @property
    def processed_headers(self) -> Iterator[tuple[bytes, bytes]]:
        """Every header, encoded."""
        yield from _FIXED
        yield b"x-correlation-id", self._correlation_id.encode("ascii")
        if self.status not in (204, 304):
            yield b"content-type", (self.content_type or "application/octet-stream").encode("ascii")
        for name, value in self.headers.items():
            # The server announces HTTP/3 with an empty value when it has none.
            if value != "":
                yield name.encode("ascii"), str(value).encode("latin-1", "replace")
        private, policy, resource = True, True, True
        for name, value in self._own_headers:
            private = private and name != CACHE_CONTROL
            policy = policy and name != "content-security-policy"
            resource = resource and name != "cross-origin-resource-policy"
            # A line break in a value would begin a header of the sender's choosing.
            yield name.encode("ascii"), self._sanitize_header_value(value).encode("latin-1", "replace")
        if private:
            yield _PRIVATE
        if policy:
            yield _POLICY
        if resource:
            yield _RESOURCE
