"""From the bytes of a request to validated values, or one `Invalid` that names every fault."""

import asyncio
import re
from typing import Any, TypeVar, cast
from urllib.parse import parse_qsl

import orjson
from pydantic import BaseModel, TypeAdapter, ValidationError
from sanic import Request
from sanic.http import Http

from deployments.kit.errors import Fault, Invalid, PayloadTooLarge, UnsupportedMediaType
from deployments.kit.problems import faults_of, pointer
from serve_app.edge.errors import MalformedJson, RequestTimeout

MAX_DEPTH = 64
MAX_NODES = 50_000
MAX_QUERY_FIELDS = 100
_KEY = re.compile(r"[\x21-\x7e]{1,255}")

Model = TypeVar("Model", bound=BaseModel)


def stream_of(request: Request) -> Http | None:
    """The connection's reader, while the request has a body that is not read yet."""
    stream = cast("Http | None", request.stream)
    return stream if stream is not None and stream.request_body else None


async def read_body(request: Request, limit: int, timeout_s: float) -> bytes:
    """The whole body. Raises PayloadTooLarge above `limit` bytes, RequestTimeout after `timeout_s` seconds."""
    stream = stream_of(request)
    if stream is None:
        return b""
    declared = stream.request_bytes_left or 0
    if declared > limit:
        raise PayloadTooLarge(f"The body may have at most {limit} bytes.")
    if 0 < declared <= len(stream.recv_buffer):
        # The usual case: everything came with the headers, so there is nothing to wait for.
        body = await stream.read() or b""
        await stream.read()  # nothing is left; this is how the server learns it
        return body
    pieces: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(timeout_s):
            async for piece in stream:
                size += len(piece)
                if size > limit:
                    raise PayloadTooLarge(f"The body may have at most {limit} bytes.")
                pieces.append(piece)
    except TimeoutError:
        raise RequestTimeout(f"The body did not arrive within {timeout_s:g} s.") from None
    return b"".join(pieces)


def require_json(request: Request) -> None:
    """Raise UnsupportedMediaType unless the body says that it is JSON in UTF-8."""
    given = request.headers.getone("content-type", "")
    if given != "application/json":
        media_type, *parameters = [part.strip().lower() for part in given.split(";")]
        charsets = [p.partition("=")[2].strip('"') for p in parameters if p.startswith("charset=")]
        if media_type != "application/json" or any(c not in ("utf-8", "utf8", "us-ascii") for c in charsets):
            raise UnsupportedMediaType("The body must be application/json in UTF-8.")
    if request.headers.getone("content-encoding", "identity") != "identity":
        raise UnsupportedMediaType("The body must not be compressed.")


def parse_json(body: bytes, adapter: TypeAdapter[Any]) -> Any:
    """The validated value of a JSON body. Raises MalformedJson, or Invalid with every fault."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        if not body:
            raise MalformedJson("A JSON body is required.") from None
        raise MalformedJson(f"The body is not valid JSON: {error.msg} at line {error.lineno}.") from None
    # A few searches at the speed of memchr decide whether the tree has to be walked at all.
    if body.count(b"[") + body.count(b"{") > MAX_DEPTH or body.count(b",") > MAX_NODES or b"\\u0000" in body:
        faults = _structural_faults(document)
        if faults:
            raise Invalid(faults=tuple(faults))
    try:
        return adapter.validate_python(document)
    except ValidationError as error:
        raise Invalid(faults=faults_of(error)) from None


def parse_query(request: Request, model: type[Model]) -> Model:
    """The validated query parameters. Raises Invalid with every fault; pointers begin with the parameter's name."""
    try:
        pairs = parse_qsl(
            request.query_string, keep_blank_values=True, errors="strict", max_num_fields=MAX_QUERY_FIELDS
        )
    except (ValueError, UnicodeDecodeError):
        raise Invalid.at("", "query.syntax", "The query string cannot be read.") from None
    values: dict[str, str] = {}
    faults: list[Fault] = []
    for name, value in pairs:
        if name in values:
            faults.append(Fault(pointer((name,)), "duplicate", "The parameter is given more than once."))
        if "\0" in value:
            faults.append(Fault(pointer((name,)), "text.nul", "The character U+0000 is not allowed."))
        values[name] = value
    try:
        parsed = model.model_validate(values)
    except ValidationError as error:
        raise Invalid(faults=(*faults, *faults_of(error))) from None
    if faults:
        raise Invalid(faults=tuple(faults))
    return parsed


def idempotency_key(request: Request) -> str | None:
    """The request's Idempotency-Key. Raises Invalid when it is not 1–255 visible ASCII characters."""
    key: str | None = request.headers.getone("idempotency-key", None)
    if key is not None and not _KEY.fullmatch(key):
        raise Invalid.at("", "idempotency_key.format", "The Idempotency-Key must be 1 to 255 visible ASCII characters.")
    return key


def _structural_faults(document: Any) -> list[Fault]:
    """Nesting deeper than MAX_DEPTH, more than MAX_NODES values, and U+0000 in texts, found without recursion."""
    faults: list[Fault] = []
    seen = 0
    waiting: list[tuple[tuple[str | int, ...], Any]] = [((), document)]
    while waiting:
        path, value = waiting.pop()
        seen += 1
        if isinstance(value, str):
            if "\0" in value:
                faults.append(Fault(pointer(path), "text.nul", "The character U+0000 is not allowed."))
        elif isinstance(value, dict | list):
            if len(path) >= MAX_DEPTH:
                return [Fault(pointer(path[:4]), "json.depth", f"Nested deeper than {MAX_DEPTH} levels.")]
            if seen + len(waiting) + len(value) > MAX_NODES:
                return [Fault("", "json.size", f"More than {MAX_NODES} values.")]
            members = value.items() if isinstance(value, dict) else enumerate(value)
            for name, member in members:
                if isinstance(name, str) and "\0" in name:
                    faults.append(Fault(pointer(path), "text.nul", "The character U+0000 is not allowed in a name."))
                waiting.append(((*path, name), member))
    return faults
