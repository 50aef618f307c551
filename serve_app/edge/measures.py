"""Every metric of the platform, declared once: what is exported, what `docs/metrics.md` says, what rules and dashboards
may ask for.

No label names a tenant, a form or a person: each value of a label is a time series that is kept in memory here and in
Prometheus, and customers must not be able to make them; nor is `/metrics` a place to learn who the customers are. Who
wants numbers of one tenant asks analytics, which has the permission to.
"""

from typing import Any, Final, Literal, NamedTuple

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    SummaryMetricFamily,
)
from prometheus_client.metrics_core import Metric


class Measure(NamedTuple):
    """A metric. A counter's `name` is exported with `_total` behind it."""

    name: str
    kind: Literal["counter", "gauge", "histogram", "summary"]
    unit: str
    meaning: str
    labels: tuple[str, ...] = ()

    @property
    def exported(self) -> str:
        """The name as rules and dashboards ask for it."""
        return f"{self.name}_total" if self.kind == "counter" else self.name

    @property
    def series(self) -> frozenset[str]:
        """The names of its time series."""
        parts = {"histogram": ("_bucket", "_sum", "_count"), "summary": ("_sum", "_count")}.get(self.kind)
        return frozenset({self.exported} if parts is None else {f"{self.name}{part}" for part in parts})


LABELS: Final = {
    "operation": "operation of the API document; some hundreds, fixed by the code",
    "status": "status of the HTTP answer",
    "pid": "process of the edge replica that was asked",
    "lane": "application and kind of calls: hot for submissions, alone for what waits for others, calm for the rest",
    "process": "`edge`, or the application one process of which was asked",
    "cache": "what is remembered",
    "outcome": "how it ended",
    "component": "nats, events, smtp, disk, workers",
    "consumer": "durable name of a consumer; fixed by the code",
    "queue": "queue of jobs; fixed by the code",
    "kind": "kind of job; fixed by the code",
    "role": "`write`, `read`; on PostgreSQL one pool has both",
    "method": "what a model is asked for",
    "state": "state of a tenant, a form, an endpoint or a delivery; each a handful",
}
"""What each label can be."""

REQUESTS: Final = Measure(
    "formstream_http_requests", "counter", "requests", "Answered requests.", ("operation", "status")
)
REQUEST_SECONDS: Final = Measure(
    "formstream_http_request_duration_seconds",
    "histogram",
    "seconds",
    "From the parsed headers to the finished answer.",
    ("operation",),
)
IN_FLIGHT: Final = Measure(
    "formstream_http_requests_in_flight", "gauge", "requests", "Requests that are being answered."
)
REPLICA: Final = Measure("formstream_edge_replica", "gauge", "", "One, labelled with the process.", ("pid",))
LISTENERS: Final = Measure("formstream_live_listeners", "gauge", "streams", "Streams of events that are open.")
WAITING_CALLS: Final = Measure("formstream_dispatch_waiting_calls", "gauge", "calls", "Calls in the queue.", ("lane",))
CALLS: Final = Measure("formstream_dispatch_calls", "counter", "calls", "Calls sent.", ("lane",))
BATCHES: Final = Measure("formstream_dispatch_batches", "counter", "messages", "Batches sent.", ("lane",))

POOL_SIZE: Final = Measure(
    "formstream_db_pool_connections_max",
    "gauge",
    "connections",
    "Connections that a process may have at once.",
    ("process", "role"),
)
POOL_IN_USE: Final = Measure(
    "formstream_db_pool_connections_in_use",
    "gauge",
    "connections",
    "Connections that are in use; as many as there may be means that others wait.",
    ("process", "role"),
)

MODEL_SECONDS: Final = Measure(
    "formstream_model_duration_seconds",
    "summary",
    "seconds",
    "Calls of AI models that requests made, with their wait for a replica; those of jobs are in the jobs' durations.",
    ("process", "method", "outcome"),
)

CACHE_READS: Final = Measure(
    "formstream_cache_reads", "counter", "reads", "Reads by how they were answered.", ("process", "cache", "outcome")
)
CACHE_EVICTIONS: Final = Measure(
    "formstream_cache_evictions", "counter", "answers", "Answers that made room.", ("process", "cache")
)
CACHE_ENTRIES: Final = Measure(
    "formstream_cache_entries", "gauge", "answers", "Answers that are kept.", ("process", "cache")
)
CACHE_BYTES: Final = Measure("formstream_cache_bytes", "gauge", "bytes", "Their size, pickled.", ("process", "cache"))

HEALTHY: Final = Measure(
    "formstream_component_healthy",
    "gauge",
    "1 or 0",
    "Whether a part works, as a worker last saw it.",
    ("component",),
)
OLDEST_UNPUBLISHED: Final = Measure(
    "formstream_events_oldest_unpublished_seconds",
    "gauge",
    "seconds",
    "Age of the oldest event that is not in the stream.",
)
PENDING_EVENTS: Final = Measure(
    "formstream_consumer_pending_events", "gauge", "events", "In the stream, not acknowledged.", ("consumer",)
)
WAITING_EVENTS: Final = Measure(
    "formstream_consumer_waiting_events", "gauge", "events", "In the database, for the next attempt.", ("consumer",)
)
LAST_BACKUP: Final = Measure(
    "formstream_backup_last_success_timestamp_seconds",
    "gauge",
    "seconds since 1970",
    "When the last complete backup was taken; absent while there is none.",
)
LAST_DRILL: Final = Measure(
    "formstream_drill_last_success_timestamp_seconds",
    "gauge",
    "seconds since 1970",
    "When a drill last found nothing wrong; absent while none did.",
)
DRILL_FINDINGS: Final = Measure(
    "formstream_drill_findings", "gauge", "findings", "What the last drill found wrong; absent while there is none."
)
DEAD_LETTERS: Final = Measure(
    "formstream_consumer_dead_letters", "gauge", "events", "Given up, and kept.", ("consumer",)
)

JOBS_WAITING: Final = Measure(
    "formstream_jobs_waiting", "gauge", "jobs", "Due jobs that nobody holds, counted up to 10,000.", ("queue",)
)
JOBS_RUNNING: Final = Measure("formstream_jobs_running", "gauge", "jobs", "Jobs that run.", ("queue",))
JOBS_OLDEST: Final = Measure(
    "formstream_jobs_oldest_seconds", "gauge", "seconds", "How long the oldest due job waits.", ("queue",)
)
JOB_ATTEMPTS: Final = Measure(
    "formstream_job_attempts", "counter", "attempts", "Attempts that ended, of all workers.", ("kind", "outcome")
)
JOB_SECONDS: Final = Measure(
    "formstream_job_duration_seconds",
    "summary",
    "seconds",
    "From the start of an attempt to its end.",
    ("kind", "outcome"),
)
JOB_LAG: Final = Measure(
    "formstream_job_lag_seconds",
    "summary",
    "seconds",
    "From the moment a job was due to its start.",
    ("kind", "outcome"),
)

WEBHOOKS_DUE: Final = Measure(
    "formstream_webhook_deliveries_due",
    "gauge",
    "deliveries",
    "Due and not sent yet, at endpoints that do not fail and set no rate, counted up to 10,000.",
)
WEBHOOKS_OLDEST: Final = Measure(
    "formstream_webhook_deliveries_oldest_seconds",
    "gauge",
    "seconds",
    "How long the longest of those waits; retries count from the time that they are due.",
)
WEBHOOKS_ENDED: Final = Measure(
    "formstream_webhook_deliveries_ended",
    "gauge",
    "deliveries",
    "Deliveries that ended in the last five minutes, by how: delivered, or failed for good.",
    ("state",),
)
WEBHOOK_ENDPOINTS: Final = Measure(
    "formstream_webhook_endpoints", "gauge", "endpoints", "Endpoints of all tenants.", ("state",)
)
WEBHOOKS_RESTING: Final = Measure(
    "formstream_webhook_endpoints_resting", "gauge", "endpoints", "Endpoints that are spared after failures."
)

TENANTS: Final = Measure("formstream_tenants", "gauge", "tenants", "Customers, the platform's own apart.", ("state",))
FORMS: Final = Measure("formstream_forms", "gauge", "forms", "Forms that are not in the trash.", ("state",))
RESPONSES: Final = Measure("formstream_responses", "gauge", "responses", "Responses of all forms that are kept.")
PEOPLE: Final = Measure("formstream_users", "gauge", "people", "People who may log in.")

MEASURES: Final = (
    *(REQUESTS, REQUEST_SECONDS, IN_FLIGHT, REPLICA, LISTENERS, WAITING_CALLS, CALLS, BATCHES),
    *(POOL_SIZE, POOL_IN_USE, MODEL_SECONDS),
    *(CACHE_READS, CACHE_EVICTIONS, CACHE_ENTRIES, CACHE_BYTES),
    *(HEALTHY, OLDEST_UNPUBLISHED, PENDING_EVENTS, WAITING_EVENTS, DEAD_LETTERS),
    *(LAST_BACKUP, LAST_DRILL, DRILL_FINDINGS),
    *(JOBS_WAITING, JOBS_RUNNING, JOBS_OLDEST, JOB_ATTEMPTS, JOB_SECONDS, JOB_LAG),
    *(WEBHOOKS_DUE, WEBHOOKS_OLDEST, WEBHOOKS_ENDED, WEBHOOK_ENDPOINTS, WEBHOOKS_RESTING),
    *(TENANTS, FORMS, RESPONSES, PEOPLE),
)

_FAMILIES: Final[dict[str, type[Metric]]] = {
    "counter": CounterMetricFamily,
    "gauge": GaugeMetricFamily,
    "histogram": HistogramMetricFamily,
    "summary": SummaryMetricFamily,
}


def family(measure: Measure) -> Any:
    """The metric as a collector gives it, without values yet."""
    made: Any = _FAMILIES[measure.kind]
    return made(measure.name, measure.meaning, labels=measure.labels)
