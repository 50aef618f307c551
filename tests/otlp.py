"""A collector on loopback that speaks OTLP over HTTP, and keeps the spans that it was sent."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from tests.http_server import answering


@dataclass(frozen=True)
class Received:
    """A span as it came over the wire, ids in hexadecimal."""

    service: str
    name: str
    trace_id: str
    span_id: str
    parent_id: str
    kind: int
    status: int
    facts: Mapping[str, Any]
    links: tuple[str, ...]


@dataclass
class Collector:
    """What has come so far."""

    port: int = 0
    spans: list[Received] = field(default_factory=list)
    headers: list[Mapping[str, str]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def of(self, trace_id: str) -> dict[str, Received]:
        """The spans of a trace by name."""
        return {span.name: span for span in self.spans if span.trace_id == trace_id}

    def take(self, body: bytes) -> None:
        request = ExportTraceServiceRequest()
        request.ParseFromString(body)
        for resource in request.resource_spans:
            service = next(
                each.value.string_value for each in resource.resource.attributes if each.key == "service.name"
            )
            for scope in resource.scope_spans:
                self.spans += [_received(service, span) for span in scope.spans]


def _received(service: str, span: Any) -> Received:
    return Received(
        service=service,
        name=span.name,
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        kind=span.kind,
        status=span.status.code,
        facts={each.key: getattr(each.value, each.value.WhichOneof("value")) for each in span.attributes},
        links=tuple(link.span_id.hex() for link in span.links),
    )


@contextmanager
def collecting() -> Iterator[Collector]:
    """Collect on 127.0.0.1."""
    collector = Collector()

    def answer(path: str, headers: Mapping[str, str], body: bytes) -> tuple[int, bytes]:
        is_ours = path == "/v1/traces" and headers["content-type"] == "application/x-protobuf"
        if is_ours:
            collector.headers.append(headers)
            collector.bodies.append(body)
            collector.take(body)
        return 200 if is_ours else 404, ExportTraceServiceResponse().SerializeToString()

    with answering(answer) as collector.port:
        yield collector
