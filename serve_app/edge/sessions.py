"""How a new session reaches its owner: as tokens in the body, or in cookies where the client asks for them."""

from collections.abc import Awaitable, Callable

from deployments.identity.contracts import Session
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
