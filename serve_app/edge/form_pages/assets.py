"""The files beside the page. Their addresses name their content, so that browsers keep them."""

import hashlib
from functools import cache, partial
from importlib import resources
from pathlib import PurePath
from typing import Final

from serve_app.edge.operations import IF_NONE_MATCH, Access, Exchange, Headers, Operation, Reply
from serve_app.edge.revisions import matches

_TYPES: Final = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8"}
_KEPT: Final = "public, max-age=31536000, immutable"
_FILES: Final = {
    "/form/form.css": "form.css",
    "/form/form.js": "form.js",
    "/form/logic.js": "logic.js",
    "/embed.js": "embed.js",
}


@cache
def content(name: str) -> bytes | None:
    """The content of a file of `serve_app/web/form`."""
    file = resources.files("serve_app.web").joinpath("form", name)
    return file.read_bytes() if file.is_file() else None


@cache
def address(path: str) -> str:
    """The address of a file with its content's digest; empty when there is no such file."""
    found = content(_FILES[path])
    return "" if found is None else f"{path}?v={_digest(found)}"


async def show(name: str, x: Exchange) -> Reply:
    """One of the files."""
    found = content(name) or b""
    tag = f'"{_digest(found)}"'
    asked = x.request.query_string == f"v={_digest(found)}"
    headers: Headers = (
        ("etag", tag),
        ("cache-control", _KEPT if asked else "public, no-cache"),
        # Pages of other origins embed the script.
        ("cross-origin-resource-policy", "cross-origin"),
    )
    if matches(x.header("if-none-match"), tag):
        return Reply(status=304, headers=headers)
    return Reply(found, media_type=_TYPES[PurePath(name).suffix], headers=headers)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


FORM_ASSETS: Final = tuple(
    Operation(
        id=f"form_{name.replace('.', '_')}",
        method="GET",
        path=path,
        summary=name,
        tag="Platform",
        scope=Access.PUBLIC,
        handler=partial(show, name),
        response=str,
        response_media_type="*/*",
        headers=(IF_NONE_MATCH,),
        documented=False,
    )
    for path, name in _FILES.items()
    if content(name) is not None
)
