"""Spans of the edge: a request, and each call that it makes to a context."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, Final

from sanic import Request

from deployments.kit.calls import CALLER
from deployments.kit.principal import Principal
from serve_app.edge.addresses import Handler
from serve_app.edge.answer import Answer
from serve_app.edge.apis import Apis
from serve_app.edge.correlation import correlation_id
from serve_app.edge.operations import Operation
from serve_app.tracing.calls import Calls

if TYPE_CHECKING:
    from serve_app.tracing.tracer import Tracer

_HEADER: Final = "traceparent"
_NOT_TRACED: Final = ("/health", "/metrics")
_NO_CONTEXTS: Final = frozenset({"probes", "lanes", "views", "caches", "processes"})


def traced_operations(tracer: Tracer) -> Callable[[Operation, Handler], Handler]:
    """What is put around the handler of each operation. Where nobody traces there is nothing around it."""

    def around(operation: Operation, handler: Handler) -> Handler:
        if operation.path.startswith(_NOT_TRACED):
            return handler
        name = f"{operation.method} {operation.path}"

        async def handle(request: Request, **path: str) -> Answer | None:
            given = request.headers.getone(_HEADER, "")
            facts = {
                "http.request.method": request.method,
                "http.route": operation.path,
                "formstream.operation": operation.id,
                "formstream.request_id": correlation_id(request),
            }
            with tracer.request(name, given, facts) as span:
                # What comes after reads it there, as it would read the client's own.
                request.headers[_HEADER] = span.traceparent
                answer = await handler(request, **path)
                status = answer.status if answer is not None else operation.status
                span.note(**{"http.response.status_code": status})
                caller = CALLER.get()
                if isinstance(caller, Principal):
                    span.note(**{"formstream.tenant": caller.tenant_id})
                if status >= 500:
                    span.fail(str(status))
            return answer

        return handle

    return around


def traced_apis(apis: Apis, tracer: Tracer) -> Apis:
    """The same contexts, each call of which is a span that goes with it."""
    contexts: dict[str, Any] = {
        field.name: Calls(field.name, getattr(apis, field.name), tracer, leaving=True)
        for field in fields(Apis)
        if field.name not in _NO_CONTEXTS
    }
    return replace(apis, **contexts)
