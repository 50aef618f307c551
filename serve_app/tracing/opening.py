"""Whether this process traces."""

from __future__ import annotations

from typing import TYPE_CHECKING

from serve_app.settings import Settings

if TYPE_CHECKING:
    from serve_app.tracing.tracer import Tracer


def open_tracer(settings: Settings, service: str) -> Tracer | None:
    """The tracer of a process with this name; None where no collector is configured, and nothing is loaded then."""
    if not settings.otlp_endpoint:
        return None
    from serve_app.tracing.tracer import Tracer

    return Tracer(settings.otlp_endpoint, settings.otlp_header_pairs(), settings.trace_ratio, service)
