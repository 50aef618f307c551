"""The pages that links in letters lead to. The token stands in the fragment: no request and no log holds it."""

from functools import cache, partial
from importlib import resources
from pathlib import PurePath

from serve_app.edge.operations import Access, Exchange, Operation, Reply

# Nothing but our own script, style and API; nobody may put the page into a frame of theirs.
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)

_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
}
_FILES = (
    ("/account/verify", "verify.html"),
    ("/account/reset", "reset.html"),
    ("/account/invitation", "invitation.html"),
    ("/account/account.js", "account.js"),
    ("/account/account.css", "account.css"),
)


@cache
def _file(name: str) -> bytes:
    return resources.files("serve_app.web").joinpath("account", name).read_bytes()


async def show(name: str, _: Exchange) -> Reply:
    """One of the files."""
    headers = (("cache-control", "public, no-cache"), ("content-security-policy", PAGE_POLICY))
    return Reply(_file(name), media_type=_TYPES[PurePath(name).suffix], headers=headers)


ACCOUNT_PAGES = tuple(
    Operation(
        id=f"account_{name.replace('.', '_')}",
        method="GET",
        path=path,
        summary=name,
        tag="Platform",
        scope=Access.PUBLIC,
        handler=partial(show, name),
        response=str,
        response_media_type="*/*",
        documented=False,
    )
    for path, name in _FILES
)
"""The pages and what they need, at the addresses that `deployments.identity.letters` writes into letters."""
