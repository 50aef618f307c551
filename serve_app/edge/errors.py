"""Failures as `application/problem+json` (RFC 9457): one shape for ours, for the framework's and for defects."""

import http.client
import math
from typing import Any

import orjson
import structlog
from sanic import Request
from sanic.exceptions import RequestCancelled, SanicException
from sanic.handlers import ErrorHandler

from deployments.kit.errors import BadRequest, DeadlineExceeded, DomainError
from serve_app.edge.answer import Answer
from serve_app.edge.correlation import correlation_id

log = structlog.get_logger(__name__)

MEDIA_TYPE = "application/problem+json"
# Nobody reads more, and a small request must not make an answer a hundred times its size.
_MOST_FAULTS = 1_000
_FRAMEWORK_CODES = {
    400: "bad_request",
    404: "not_found",
    405: "method_not_allowed",
    408: "request_timeout",
    413: "payload_too_large",
    417: "expectation_failed",
    431: "head_too_large",
    503: "unavailable",
}
_SENTENCES = {
    400: "The request could not be read.",
    404: "There is nothing at this address.",
    405: "The address does not take this method; see the Allow header.",
    408: "The request did not arrive in time.",
    413: "The request is too large.",
    431: "Address and header fields are too large.",
    503: "The request took too long.",
}


class RequestTimeout(DomainError):
    """The body did not arrive in time."""

    status, code, title = 408, "request_timeout", "The request did not arrive in time"


class MalformedJson(BadRequest):
    """The body is not JSON text (RFC 8259) in UTF-8."""

    code, title = "json.syntax", "The body is not valid JSON"


def problem(error: DomainError, request: Request) -> Answer:
    """The answer for a failure of ours, with the headers that its status asks for."""
    headers: list[tuple[str, str]] = []
    if error.status == 401:
        headers.append(("www-authenticate", 'Bearer realm="formstream"'))
    if error.retry_after is not None or error.status in (429, 503):
        headers.append(("retry-after", str(max(1, math.ceil(error.retry_after or 1)))))
    document = _document(request, error.status, error.code, error.title, error.detail)
    if error.faults:
        document["errors"] = error.faults[:_MOST_FAULTS]
        if len(error.faults) > _MOST_FAULTS:
            document["detail"] = f"{error.detail} These are the first {_MOST_FAULTS} of {len(error.faults)} errors."
    document = {**error.members, **document}
    return _answer(request, error.status, document, headers)


class ProblemHandler(ErrorHandler):
    """What the framework raises on its own: unknown routes, bad request lines, timeouts; and defects of ours."""

    def default(self, request: Request, exception: Exception) -> Answer:
        """The answer for an exception that reached the framework."""
        if isinstance(exception, RequestCancelled):
            # The client left; the answer is for nobody.
            return problem(DeadlineExceeded(), request)
        if not isinstance(exception, SanicException) or exception.status_code == 500:
            log.error("request failed", request_id=correlation_id(request), path=_path(request), exc_info=exception)
            return problem(DomainError(), request)
        if not isinstance(exception, RequestCancelled):
            log.info("request refused", request_id=correlation_id(request), status=exception.status_code)
        return framework_problem(exception, request)


def framework_problem(exception: SanicException, request: Request) -> Answer:
    """The answer for a failure that the framework names, without its own sentence: that may repeat the request."""
    status = exception.status_code
    if status == 413 and _path(request) == "*":
        # Too large before there was an address: that is the head (RFC 6585 §5), not the body.
        status = 431
    code = _FRAMEWORK_CODES.get(status, "bad_request" if status < 500 else "internal")
    title = http.client.responses.get(status, "Request refused")
    headers = [(name.lower(), str(value)) for name, value in (exception.headers or {}).items()]
    if status == 405 and not any(name == "allow" for name, _ in headers):
        path = _path(request)
        addresses = request.app.ctx.addresses
        headers.append(("allow", next((allow for address, allow in addresses if address.fullmatch(path)), "")))
    if status == 503:
        headers.append(("retry-after", "1"))
    return _answer(request, status, _document(request, status, code, title, _SENTENCES.get(status, title)), headers)


def _document(request: Request, status: int, code: str, title: str, detail: str) -> dict[str, Any]:
    return {
        "type": f"urn:formstream:problem:{code}",
        "title": title,
        "status": status,
        "detail": detail,
        "instance": _path(request),
        "code": code,
        "correlation_id": correlation_id(request),
    }


def _path(request: Request) -> str:
    try:
        return request.path[:2048]
    except (SanicException, ValueError, AttributeError):
        return "*"


def _answer(request: Request, status: int, document: dict[str, Any], headers: list[tuple[str, str]]) -> Answer:
    return Answer(status, orjson.dumps(document), MEDIA_TYPE, correlation_id(request), headers)
