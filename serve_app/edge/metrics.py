"""What the edge counts, for Prometheus.

Each replica counts for itself, and a scrape through the shared port reaches any one of them: with several
replicas, scrape each by its own address, or read `formstream_edge_replica` to tell them apart.
"""

import os
from collections.abc import Callable, Iterable, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from deployments.kit.cache import Caches
from serve_app.edge.cache_numbers import CacheFigures
from serve_app.edge.dispatch import Dispatcher
from serve_app.edge.event_numbers import EventNumbers
from serve_app.edge.job_numbers import JobNumbers
from serve_app.edge.measures import (
    BATCHES,
    CALLS,
    IN_FLIGHT,
    LISTENERS,
    REPLICA,
    REQUEST_SECONDS,
    REQUESTS,
    WAITING_CALLS,
    family,
)
from serve_app.edge.platform_numbers import PlatformFigures
from serve_app.edge.process_numbers import ProcessFigures
from serve_app.edge.webhook_numbers import WebhookFigures

_BUCKETS_S = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


class Metrics:
    """Counters of one edge replica. `observe` is on the path of every request, so its label look-ups are kept."""

    def __init__(self, lanes: Mapping[str, Dispatcher], listeners: Callable[[], int], caches: Caches) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(REQUESTS.name, REQUESTS.meaning, REQUESTS.labels, registry=self._registry)
        self._durations = Histogram(
            REQUEST_SECONDS.name,
            REQUEST_SECONDS.meaning,
            REQUEST_SECONDS.labels,
            buckets=_BUCKETS_S,
            registry=self._registry,
        )
        self._counters: dict[tuple[str, int], Counter] = {}
        self._histograms: dict[str, Histogram] = {}
        self.in_flight = 0
        Gauge(REPLICA.name, REPLICA.meaning, REPLICA.labels, registry=self._registry).labels(str(os.getpid())).set(1)
        self._registry.register(_Live(self, lanes, listeners))
        self.events = EventNumbers()
        self._registry.register(self.events)
        self.jobs = JobNumbers()
        self._registry.register(self.jobs)
        self.caches = CacheFigures(caches)
        self._registry.register(self.caches)
        self.processes = ProcessFigures()
        self._registry.register(self.processes)
        self.webhooks = WebhookFigures()
        self._registry.register(self.webhooks)
        self.platform = PlatformFigures()
        self._registry.register(self.platform)
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)

    def observe(self, operation: str, status: int, duration_s: float) -> None:
        """Count an answer."""
        counter = self._counters.get((operation, status))
        if counter is None:
            counter = self._counters[operation, status] = self._requests.labels(operation, str(status))
        counter.inc()
        histogram = self._histograms.get(operation)
        if histogram is None:
            histogram = self._histograms[operation] = self._durations.labels(operation)
        histogram.observe(duration_s)

    def render(self) -> bytes:
        """The text exposition format, version 0.0.4."""
        return generate_latest(self._registry)


class _Live(Collector):
    """What is read when asked, so that it costs nothing before."""

    def __init__(self, metrics: Metrics, lanes: Mapping[str, Dispatcher], listeners: Callable[[], int]) -> None:
        self._metrics = metrics
        self._listeners = listeners
        self._lanes = lanes

    def collect(self) -> Iterable[Metric]:
        in_flight, listeners = family(IN_FLIGHT), family(LISTENERS)
        in_flight.add_metric([], self._metrics.in_flight)
        listeners.add_metric([], self._listeners())
        waiting, calls, batches = family(WAITING_CALLS), family(CALLS), family(BATCHES)
        for name, lane in self._lanes.items():
            waiting.add_metric([name], lane.waiting)
            calls.add_metric([name], lane.calls)
            batches.add_metric([name], lane.batches)
        yield from (in_flight, listeners, waiting, calls, batches)
