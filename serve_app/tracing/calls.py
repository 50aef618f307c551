"""Spans of calls, on both sides of a handle. The span goes along in the circumstances of the first argument, where the
request's own trace context is: the wire is the same whether anybody traces or not."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias

from deployments.kit.calls import CALLER, Origin
from deployments.kit.principal import Principal

if TYPE_CHECKING:
    from serve_app.tracing.tracer import Tracer

_Method: TypeAlias = Callable[..., Coroutine[Any, Any, Any]]


class Calls:
    """A context whose methods are spans: `leaving` on the side of who calls, else on the side of who answers."""

    def __init__(self, name: str, target: object, tracer: Tracer, *, leaving: bool) -> None:
        self._name = name
        self._target = target
        self._tracer = tracer
        self._leaving = leaving

    def __getattr__(self, method: str) -> _Method:
        traced = self._traced(method, getattr(self._target, method))
        setattr(self, method, traced)  # found there the next time
        return traced

    def _traced(self, method: str, call: _Method) -> _Method:
        from opentelemetry.trace import SpanKind

        name = f"{'call ' if self._leaving else ''}{self._name}.{method}"
        kind = SpanKind.CLIENT if self._leaving else SpanKind.SERVER
        facts = {"rpc.system": "ray", "rpc.service": self._name, "rpc.method": method}

        async def traced(*arguments: Any, **named: Any) -> Any:
            first = arguments[0] if arguments else None
            if not isinstance(first, Principal | Origin):
                with self._tracer.here(name, facts, kind):
                    return await call(*arguments, **named)
            given = first.origin if isinstance(first, Principal) else first
            with self._tracer.within(name, given.traceparent, facts, kind) as span:
                if span.traceparent != given.traceparent:
                    origin = replace(given, traceparent=span.traceparent)
                    first = replace(first, origin=origin) if isinstance(first, Principal) else origin
                    if not self._leaving:
                        CALLER.set(first)
                return await call(first, *arguments[1:], **named)

        return traced


def traced_contexts(contexts: Mapping[str, object], tracer: Tracer | None) -> Mapping[str, object]:
    """The contexts of a process, for its callers; as they are where nobody traces."""
    if tracer is None:
        return contexts
    return {name: Calls(name, target, tracer, leaving=False) for name, target in contexts.items()}
