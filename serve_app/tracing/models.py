"""Spans of models, on both sides of a handle: a call, and in the replica the batch that answered it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING

from deployments.kit.calls import Failed, Outcome
from deployments.kit.spans import Fact, Span, untraced

if TYPE_CHECKING:
    from serve_app.tracing.tracer import Tracer


class ModelSpans:
    """The spans of a process that asks models or hosts them; none without a tracer."""

    def __init__(self, tracer: Tracer | None) -> None:
        self._tracer = tracer

    def leaving(self, method: str) -> AbstractContextManager[Span]:
        """A call, on the side of who asks: its `traceparent` goes along."""
        if self._tracer is None:
            return untraced("", "", {})
        from opentelemetry.trace import SpanKind

        return self._tracer.here(f"call models.{method}", _facts(method), SpanKind.CLIENT)

    def answering(self, method: str, traceparent: str) -> AbstractContextManager[Span]:
        """The same call in the replica, with the wait for its batch."""
        if self._tracer is None:
            return untraced("", traceparent, {})
        from opentelemetry.trace import SpanKind

        return self._tracer.within(f"models.{method}", traceparent, _facts(method), SpanKind.SERVER)

    @contextmanager
    def together(self, method: str, calls: Sequence[Span]) -> Iterator[Span]:
        """What is computed once for these calls: in the trace of the first one that is kept, linked to each of them."""
        for call in calls:
            call.note(**{_SIZE: len(calls)})
        if self._tracer is None:
            with untraced("", "", {}) as span:
                yield span
            return
        facts: dict[str, Fact] = {"rpc.method": method, _SIZE: len(calls)}
        with self._tracer.batch("models batch", [call.traceparent for call in calls], facts) as span:
            yield span


def tell(span: Span, outcome: Outcome) -> None:
    """Note on a span which model answered, in which version, or what kept it from that."""
    if isinstance(outcome, Failed):
        reason = type(outcome.error).__qualname__
        span.note(**{"error.type": reason})
        if outcome.error.status >= 500:
            span.fail(reason)
    elif model := getattr(outcome.value, "model", ""):
        span.note(**{"gen_ai.response.model": model})


_SIZE = "formstream.batch_size"


def _facts(method: str) -> dict[str, Fact]:
    return {"rpc.system": "ray", "rpc.service": "models", "rpc.method": method}
