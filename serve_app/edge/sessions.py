"""How a new session reaches its owner: as tokens in the body, or in cookies where the client asks for them."""

from collections.abc import Awaitable, Callable

from deployments.identity.contracts import Refresh, Session
from deployments.kit.errors import Unauthenticated
from serve_app.edge.cookies import Headers
from serve_app.edge.operations import Exchange, Reply


async def begin(x: Exchange, log_in: Callable[[], Awaitable[Session]]) -> Reply:
    """Log in, and hand the session over. Raises CsrfFailed when another site's page asks for cookies."""
    if not x.cookies.wanted(x.request):
        return Reply(await log_in())
    x.cookies.require_same_origin(x.request)
    return in_cookies(x, await log_in())


def in_cookies(x: Exchange, session: Session) -> Reply:
    """The session in cookies."""
    begun, headers = x.cookies.begun(session)
    return Reply(begun, headers=headers)


def to_end(x: Exchange) -> tuple[Refresh, Headers]:
    """The session that is to end, by the body or else by the cookie, and the headers that take the cookies away.

    Raises CsrfFailed, and Unauthenticated when neither has one.
    """
    if x.body.refresh_token is not None:
        return Refresh(refresh_token=x.body.refresh_token), ()
    return from_cookie(x), x.cookies.ended()


def from_cookie(x: Exchange) -> Refresh:
    """The refresh token of the cookie. Raises CsrfFailed, and Unauthenticated without one."""
    token = x.cookies.refresh_token(x.request)
    if token is None:
        raise Unauthenticated("Send a refresh token.")
    return Refresh(refresh_token=token)
