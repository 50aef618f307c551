"""Which web pages of other origins may use the API (Fetch standard, "CORS protocol")."""

from collections.abc import Collection
from typing import TypeAlias

from sanic import Request

from serve_app.edge.settings import EdgeSettings

Headers: TypeAlias = tuple[tuple[str, str], ...]

_ALLOWED_HEADERS = (
    "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, Last-Event-ID, "
    "X-Tenant-ID, X-Correlation-ID, X-CSRF-Token, X-Session, "
    "Tus-Resumable, Upload-Length, Upload-Metadata, Upload-Offset, Upload-Checksum"
)
_EXPOSED = (
    "RateLimit, RateLimit-Policy, Retry-After, ETag, Location, X-Correlation-ID, "
    "Tus-Resumable, Upload-Offset, Upload-Length, Upload-Expires, Content-Disposition, Content-Range, "
    "Deprecation, Sunset, Link"
)
_MAX_AGE_S = "600"


class Cors:
    """The answer to an Origin header. Only the platform's console origins may use cookies."""

    def __init__(self, settings: EdgeSettings) -> None:
        self._console = settings.console_origins

    def headers(self, request: Request, allowed: Collection[str], *, anonymous: bool) -> Headers:
        """The headers for the answer to a request with an Origin; `allowed` are the tenant's origins.

        `*` among them counts for requests without a credential only, and `null` never does.
        """
        granted = self._granted(str(request.headers.getone("origin", "")), allowed, anonymous=anonymous)
        return (*granted, ("access-control-expose-headers", _EXPOSED)) if granted else ()

    def preflight(self, request: Request, methods: str, allowed: Collection[str]) -> Headers:
        """The headers for the answer to an OPTIONS request; without a permitted origin it only names the methods."""
        origin = str(request.headers.getone("origin", ""))
        granted = self._granted(origin, allowed, anonymous=True) if origin else ()
        if not granted:
            return (("allow", methods),)
        return (
            ("allow", methods),
            *granted,
            ("access-control-allow-methods", methods),
            ("access-control-allow-headers", _ALLOWED_HEADERS),
            ("access-control-max-age", _MAX_AGE_S),
        )

    def _granted(self, origin: str, allowed: Collection[str], *, anonymous: bool) -> Headers:
        if origin == "null":
            return ()
        if origin in self._console:
            return (("access-control-allow-origin", origin), ("access-control-allow-credentials", "true"))
        if origin in allowed:
            return (("access-control-allow-origin", origin),)
        if anonymous and "*" in allowed:
            return (("access-control-allow-origin", "*"),)
        return ()
