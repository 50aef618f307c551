"""Where a request comes from, and the id under which it is found again in answers, events and logs."""

import re

import uuid_utils
from sanic import Request

from deployments.kit.calls import Origin

_WELL_FORMED = re.compile(r"[A-Za-z0-9._-]{8,128}")
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_HEADERS = ("x-correlation-id", "x-request-id")
_AGENT_LENGTH = 256


def correlation_id(request: Request) -> str:
    """The client's id when it is well-formed, else a new one; the same for the whole request."""
    ctx = request.ctx
    try:
        found: str = ctx.correlation_id
    except AttributeError:
        found = ctx.correlation_id = _given(request) or uuid_utils.uuid7().hex
    return found


def origin(request: Request) -> Origin:
    """The request's circumstances, for events and limits."""
    headers = request.headers
    trace = headers.getone("traceparent", "")
    # Looking for forwarded addresses is worth its time only where a trusted proxy writes them.
    forwarded = request.remote_addr if request.app.config.PROXIES_COUNT else ""
    return Origin(
        correlation_id(request),
        forwarded or request.ip or "",
        _printable(headers.getone("user-agent", "")),
        trace if trace and _TRACEPARENT.fullmatch(trace) else "",
    )


def _given(request: Request) -> str | None:
    for name in _HEADERS:
        value = request.headers.getone(name, None)
        if value is not None and _WELL_FORMED.fullmatch(value):
            return str(value)
    return None


def _printable(text: str) -> str:
    return text if text.isascii() and text.isprintable() and len(text) <= _AGENT_LENGTH else _cleaned(text)


def _cleaned(text: str) -> str:
    return "".join(c for c in text[:_AGENT_LENGTH] if c.isascii() and c.isprintable())
