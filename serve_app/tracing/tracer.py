"""Spans, and their way to the collector: OpenTelemetry's SDK, sending OTLP over HTTP from a thread of its own.

A span has ids, names, sizes and outcomes. Neither answers nor addresses nor secrets, and of an exception only its type:
messages of the database quote what was to be stored.
"""

import asyncio
import os
import re
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

from opentelemetry import context as contexts
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    StatusCode,
    TraceFlags,
    get_current_span,
    set_span_in_context,
)
from opentelemetry.trace import Span as OtelSpan

from deployments.kit.errors import DomainError
from deployments.kit.spans import Fact
from eventing.events.envelope import Origin

_TRACEPARENT: Final = re.compile(r"00-(?P<trace>[0-9a-f]{32})-(?P<span>[0-9a-f]{16})-(?P<flags>[0-9a-f]{2})")
_NOWHERE: Final = Context()
_STOP_S: Final = 2.0


class Recorded:
    """A span that is kept."""

    def __init__(self, span: OtelSpan, traceparent: str | None = None) -> None:
        self._span = span
        self.traceparent = written(span.get_span_context()) if traceparent is None else traceparent

    def note(self, **facts: Fact) -> None:
        """See `Span`."""
        for name, value in facts.items():
            self._span.set_attribute(name, value)

    def fail(self, reason: str) -> None:
        """See `Span`."""
        self._span.set_status(StatusCode.ERROR, reason)


class Tracer:
    """The spans of one process, which is called `service`.

    `ratio` is the share of traces that are kept, decided by the trace's id. What a client says about that only counts
    when it says no: otherwise anybody could fill the collector. All behind the edge follow what it decided.
    """

    def __init__(self, endpoint: str, headers: Mapping[str, str], ratio: float, service: str) -> None:
        resource = Resource.create(
            {
                "service.namespace": "formstream",
                "service.name": f"formstream-{service}",
                "service.instance.id": f"{socket.gethostname()}:{os.getpid()}",
            }
        )
        share = TraceIdRatioBased(ratio)
        self._exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces", headers=dict(headers))
        self._door = TracerProvider(ParentBased(share, remote_parent_sampled=share), resource, shutdown_on_exit=False)
        self._rooms = TracerProvider(ParentBased(share), resource, shutdown_on_exit=False)
        self._processor = BatchSpanProcessor(self._exporter)
        for provider in (self._door, self._rooms):
            provider.add_span_processor(self._processor)
        self._at_door = self._door.get_tracer("formstream")
        self._tracer = self._rooms.get_tracer("formstream")

    async def stop(self, timeout_s: float = _STOP_S) -> None:
        """Send what waits; a collector that is away loses it, and holds nobody up."""
        ending = asyncio.ensure_future(asyncio.to_thread(self._processor.shutdown))
        await asyncio.wait({ending}, timeout=timeout_s)
        if not ending.done():
            # Ends its waiting for another try.
            self._exporter.shutdown()  # type: ignore[no-untyped-call]
        await ending

    @contextmanager
    def request(self, name: str, traceparent: str, facts: Mapping[str, Fact]) -> Iterator[Recorded]:
        """A request from outside: continues the client's trace, or begins one. What is sent on says whether it is kept;
        "" when it is not and the client has none."""
        parent = _parent(traceparent)
        span = self._at_door.start_span(name, parent or _NOWHERE, SpanKind.SERVER, _known(facts))
        if span.is_recording():
            with self._current(span) as recorded:
                yield recorded
        else:
            passed_on = f"{traceparent[:-2]}00" if parent is not None else ""
            yield Recorded(NonRecordingSpan(span.get_span_context()), passed_on)

    @contextmanager
    def within(
        self,
        name: str,
        traceparent: str,
        facts: Mapping[str, Fact],
        kind: SpanKind = SpanKind.INTERNAL,
        links: Sequence[SpanContext] = (),
    ) -> Iterator[Recorded]:
        """Work in the trace that `traceparent` tells of; no span when there is none, or it is not kept."""
        parent = _kept(traceparent)
        if parent is None:
            yield Recorded(NonRecordingSpan(SpanContext(0, 0, is_remote=False)), traceparent)
            return
        chain = [Link(each) for each in links if each.is_valid and each.trace_flags.sampled]
        with self._current(self._tracer.start_span(name, parent, kind, _known(facts), chain)) as recorded:
            yield recorded

    @contextmanager
    def here(self, name: str, facts: Mapping[str, Fact], kind: SpanKind = SpanKind.INTERNAL) -> Iterator[Recorded]:
        """Work in the trace of what runs; no span when that has none."""
        with self.within(name, written(current()), facts, kind) as recorded:
            yield recorded

    @contextmanager
    def effect(self, name: str, traceparent: str, facts: Mapping[str, Fact]) -> Iterator[Recorded]:
        """What leaves the platform; see `deployments.kit.spans.Tracing`."""
        with self.within(name, traceparent, facts, SpanKind.CLIENT, [current()]) as recorded:
            yield recorded

    @contextmanager
    def task(self, name: str, origin: Origin, facts: Mapping[str, Fact]) -> Iterator[Recorded]:
        """Work for a request: in its trace, if it has one; in one of its own when it is for no request."""
        if origin.traceparent or origin.request_id:
            with self.within(name, origin.traceparent, facts, SpanKind.CONSUMER) as recorded:
                yield recorded
        else:
            span = self._tracer.start_span(name, _NOWHERE, SpanKind.CONSUMER, _known(facts))
            with self._current(span) as recorded:
                yield recorded

    @contextmanager
    def together(self, name: str, callers: Sequence[SpanContext], facts: Mapping[str, Fact]) -> Iterator[None]:
        """What is done once for several callers: a span in the trace of each, linked to the first one's, which holds
        what happens in it."""
        kept = [each for each in callers if each.is_valid and each.trace_flags.sampled]
        if not kept:
            token = contexts.attach(_NOWHERE)  # not in the trace of whoever came first, for ever
            try:
                yield
            finally:
                contexts.detach(token)
            return
        first = self._tracer.start_span(name, _at(kept[0]), SpanKind.CLIENT, _known(facts))
        link = [Link(first.get_span_context())]
        others = [self._tracer.start_span(name, _at(each), SpanKind.CLIENT, _known(facts), link) for each in kept[1:]]
        try:
            with self._current(first):
                yield
        finally:
            for span in others:
                span.end()

    @contextmanager
    def batch(self, name: str, traceparents: Sequence[str], facts: Mapping[str, Fact]) -> Iterator[Recorded]:
        """What is done once for several requests: one span, in the trace of the first that is kept, with a link to the
        span of each."""
        kept = [get_current_span(parent).get_span_context() for each in traceparents if (parent := _kept(each))]
        if not kept:
            yield Recorded(NonRecordingSpan(SpanContext(0, 0, is_remote=False)))
            return
        links = [Link(each) for each in kept]
        with self._current(
            self._tracer.start_span(name, _at(kept[0]), SpanKind.INTERNAL, _known(facts), links)
        ) as recorded:
            yield recorded

    def past(self, name: str, traceparent: str, facts: Mapping[str, Fact], started_ns: int) -> None:
        """A message that was handed over between `started_ns` and now."""
        parent = _kept(traceparent)
        if parent is not None:
            self._tracer.start_span(name, parent, SpanKind.PRODUCER, _known(facts), start_time=started_ns).end()

    @contextmanager
    def _current(self, span: OtelSpan) -> Iterator[Recorded]:
        token = contexts.attach(set_span_in_context(span, _NOWHERE))
        recorded = Recorded(span)
        try:
            yield recorded
        except BaseException as error:
            span.set_attribute("error.type", type(error).__qualname__)
            # What a customer did wrong is an answer like another.
            if not isinstance(error, DomainError) or error.status >= 500:
                recorded.fail(type(error).__qualname__)
            raise
        finally:
            contexts.detach(token)
            span.end()


def current() -> SpanContext:
    """The span of what runs; an invalid one when there is none."""
    return get_current_span().get_span_context()


def written(span: SpanContext) -> str:
    """As W3C's header says it; "" for none."""
    return f"00-{span.trace_id:032x}-{span.span_id:016x}-{span.trace_flags:02x}" if span.is_valid else ""


def _parent(traceparent: str) -> Context | None:
    found = _TRACEPARENT.fullmatch(traceparent)
    if found is None:
        return None
    flags = TraceFlags(int(found["flags"], 16))
    parent = SpanContext(int(found["trace"], 16), int(found["span"], 16), is_remote=True, trace_flags=flags)
    return _at(parent) if parent.is_valid else None


def _kept(traceparent: str) -> Context | None:
    parent = _parent(traceparent)
    return parent if parent is not None and get_current_span(parent).get_span_context().trace_flags.sampled else None


def _at(span: SpanContext) -> Context:
    return set_span_in_context(NonRecordingSpan(span), _NOWHERE)


def _known(facts: Mapping[str, Fact]) -> dict[str, Fact]:
    return {name: value for name, value in facts.items() if value != ""}
