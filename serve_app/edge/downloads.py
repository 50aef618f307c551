"""Handing out bytes of strangers: by ranges (RFC 9110 §14), named safely (RFC 6266), never to be rendered."""

import re
from collections.abc import AsyncIterator
from urllib.parse import quote

from deployments.files.errors import FileNotFound
from deployments.kit.downloads import OpenedFile
from serve_app.edge.operations import IF_NONE_MATCH, Exchange, HeaderParameter, Headers, Reply

READ_HEADERS = (
    IF_NONE_MATCH,
    HeaderParameter("Range", "One range of bytes, as in RFC 9110; several are answered with the whole file."),
    HeaderParameter("If-Range", "Entity tag that the range belongs to; the whole file is sent when it is another."),
)
"""What the request for a download may say."""

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")
_PLAIN = re.compile(r"[^A-Za-z0-9 ._()-]")


def attachment(name: str) -> str:
    """The Content-Disposition that saves a file under its name: in ASCII, and as it is for those who know RFC 8187."""
    return f"attachment; filename=\"{_PLAIN.sub('_', name)}\"; filename*=UTF-8''{quote(name, safe='')}"


def download(x: Exchange, file: OpenedFile) -> Reply:
    """The answer to a GET or HEAD: the file, the range that was asked for, or 304 and 416 where these apply."""
    tag = f'"{file.sha256}"'
    headers: Headers = (
        ("etag", tag),
        ("accept-ranges", "bytes"),
        ("content-disposition", attachment(file.name)),
        ("content-security-policy", "sandbox; default-src 'none'; frame-ancestors 'none'"),
        ("cache-control", "private, no-cache"),
    )
    if _matches(x.header("if-none-match"), tag):
        return Reply(status=304, headers=headers)
    start, end = 0, file.size
    status = 200
    wanted = _range(x, file.size) if x.header("if-range") in (None, tag) else None
    if wanted is not None:
        start, end = wanted
        if start >= end:
            return Reply(status=416, headers=(("content-range", f"bytes */{file.size}"),))
        status = 206
        headers = (*headers, ("content-range", f"bytes {start}-{end - 1}/{file.size}"))
    reply = Reply(status=status, headers=headers, media_type=file.type, length=end - start)
    if x.request.method != "HEAD":
        reply.stream = _pieces(x, file.object, start, end)
    return reply


def _range(x: Exchange, size: int) -> tuple[int, int] | None:
    """Start and end of the single range that is wanted; None for no range, or one that may be ignored."""
    found = _RANGE.fullmatch((x.header("range") or "").replace(" ", ""))
    if found is None or x.request.method == "HEAD":
        return None
    first, last = found[1], found[2]
    if not first:
        return (max(0, size - int(last)), size) if last else None
    if last and int(last) < int(first):
        return None
    return int(first), min(int(last) + 1, size) if last else size


async def _pieces(x: Exchange, key: str, start: int, end: int) -> AsyncIterator[bytes]:
    try:
        async for piece in x.objects.read_range(key, start, end):
            yield piece
    except FileNotFoundError as error:
        # It was removed since we asked.
        raise FileNotFound from error


def _matches(given: str | None, tag: str) -> bool:
    return given is not None and (
        given.strip() == "*" or tag in [part.strip().removeprefix("W/") for part in given.split(",")]
    )
