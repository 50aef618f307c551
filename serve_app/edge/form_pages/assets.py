"""The files beside the page. Their addresses name their content, so that browsers keep them."""

import gzip
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
    packed = "gzip" in (x.header("accept-encoding") or "")
    digest = _digest(found)
    tag = f'"{digest}-gzip"' if packed else f'"{digest}"'
    headers: Headers = (
        ("etag", tag),
        ("cache-control", _KEPT if x.request.query_string == f"v={digest}" else "public, no-cache"),
        ("vary", "Accept-Encoding"),
        # Pages of other origins embed the script.
        ("cross-origin-resource-policy", "cross-origin"),
    )
    if matches(x.header("if-none-match"), tag):
        return Reply(status=304, headers=headers)
    if packed:
        return Reply(_packed(name), media_type=_media_type(name), headers=(*headers, ("content-encoding", "gzip")))
    return Reply(found, media_type=_media_type(name), headers=headers)


@cache
def _packed(name: str) -> bytes:
    return gzip.compress(content(name) or b"", mtime=0)


def _media_type(name: str) -> str:
    return _TYPES[PurePath(name).suffix]


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
