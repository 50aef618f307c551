"""Sessions of browsers in cookies, and the proof that a request with one was meant (CSRF)."""

import secrets
from typing import TypeAlias
from urllib.parse import urlsplit

from sanic import Request

from deployments.identity.contracts import Session
from deployments.kit.contract import Contract
from deployments.kit.errors import Forbidden, Unauthenticated
from deployments.kit.secret_keys import RotatingKey
from serve_app.edge.settings import EdgeSettings

Headers: TypeAlias = tuple[tuple[str, str], ...]

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_REFRESH_PATH = "/api/v1/auth"


class CsrfFailed(Forbidden):
    """The request came with a session cookie, but nothing shows that its user meant it."""

    code, title = "csrf.failed", "The request is not proved to come from the session's own page"


class CookieSession(Contract):
    """A session in cookies: its tokens are not for the page to read. `csrf_token` goes into X-CSRF-Token."""

    csrf_token: str
    expires_in: int


class CookieSessions:
    """Writes and reads the cookies. Over HTTPS their names carry the prefixes that bind them to this host
    (RFC 6265bis §4.1.3); without it, on a developer's machine, browsers would refuse those."""

    def __init__(self, settings: EdgeSettings) -> None:
        url = urlsplit(settings.public_url)
        secure = url.scheme == "https"
        self._access = "__Host-formstream_session" if secure else "formstream_session"
        self._refresh = "__Secure-formstream_refresh" if secure else "formstream_refresh"
        self._attributes = "; HttpOnly; Secure" if secure else "; HttpOnly"
        self._scheme = url.scheme or "http"
        self._own = {f"{url.scheme}://{url.netloc}"} if url.netloc else set()
        self._trusted = settings.console_origins
        self._key = settings.session_key or RotatingKey.of(secrets.token_hex(32))

    @staticmethod
    def wanted(request: Request) -> bool:
        """Whether the client asks for cookies instead of tokens, by `X-Session: cookie`.

        A page of another origin cannot send that header without being allowed to, so nobody can be logged in
        unawares.
        """
        return str(request.headers.getone("x-session", "")).lower() == "cookie"

    def begun(self, session: Session) -> tuple[CookieSession, Headers]:
        """What the page gets of a new session, and the cookies that hold the rest."""
        access, refresh = session.access_token, session.refresh_token
        headers: Headers = (
            ("set-cookie", f"{self._access}={access}; Path=/; SameSite=Lax{self._attributes}"),
            ("set-cookie", f"{self._refresh}={refresh}; Path={_REFRESH_PATH}; SameSite=Strict{self._attributes}"),
        )
        return CookieSession(csrf_token=self._token(access), expires_in=session.expires_in), headers

    def ended(self) -> Headers:
        """The headers that remove both cookies."""
        return (
            ("set-cookie", f"{self._access}=; Path=/; Max-Age=0; SameSite=Lax{self._attributes}"),
            ("set-cookie", f"{self._refresh}=; Path={_REFRESH_PATH}; Max-Age=0; SameSite=Strict{self._attributes}"),
        )

    def access_token(self, request: Request) -> str | None:
        """The access token of the request's cookie. Raises CsrfFailed when an unsafe method is not proved meant."""
        if "cookie" not in request.headers:
            return None
        token = self._cookie(request, self._access)
        if token is not None and request.method not in _SAFE:
            self._require_meant(request, token)
        return token

    def refresh_token(self, request: Request) -> str | None:
        """The refresh token of the request's cookie. Raises CsrfFailed."""
        token = self._cookie(request, self._refresh) if "cookie" in request.headers else None
        if token is not None:
            self._require_meant(request, self._cookie(request, self._access) or "")
        return token

    def require_same_origin(self, request: Request) -> None:
        """Raise CsrfFailed when the browser says that another site's page has sent the request."""
        headers = request.headers
        origin = headers.getone("origin", None)
        if origin in self._trusted:
            return
        if headers.getone("sec-fetch-site", "none") not in ("same-origin", "none"):
            raise CsrfFailed
        if origin is not None and origin not in self._own:
            host = str(headers.getone("host", "")).lower()
            if not host or origin != f"{self._scheme}://{host}":
                raise CsrfFailed

    def _require_meant(self, request: Request, token: str) -> None:
        self.require_same_origin(request)
        given = str(request.headers.getone("x-csrf-token", ""))
        if not token or not self._key.made(token.encode(), given):
            raise CsrfFailed

    def _token(self, access_token: str) -> str:
        return self._key.mac(access_token.encode())

    def _cookie(self, request: Request, name: str) -> str | None:
        found = [value for key, value in _pairs(request) if key == name]
        if len(found) > 1:
            # A cookie of a neighbouring host or path; which one is ours cannot be told.
            raise Unauthenticated
        return found[0] or None if found else None


def _pairs(request: Request) -> list[tuple[str, str]]:
    pairs = []
    for header in request.headers.getall("cookie", ()):
        for part in header.split(";"):
            name, _, value = part.strip().partition("=")
            pairs.append((name, value))
    return pairs
