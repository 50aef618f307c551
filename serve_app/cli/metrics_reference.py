"""The reference of all metrics, made from their declarations."""

from serve_app.edge.measures import LABELS, MEASURES, Measure

_HEAD = """# Metrics

What `/metrics` of an edge answers, in Prometheus' text format. This page is made by `formstream metrics` from
`serve_app/edge/measures.py`.

Each edge replica counts its own requests; what is said of the platform (events, jobs, webhooks, how much there is) is
the same whichever replica is asked, so take its `max`, not its `sum`. `process_*` and `python_info` beside these are
what every Prometheus client tells of its process. What Ray and Serve tell is at a port of its own, see
[observability](guides/observability.md).

No label names a tenant, a form or a person: each value is a time series that is kept in memory, and customers must not
be able to make them; nor is this a place to learn who the customers are. Numbers of one tenant are in analytics.

| Metric | Type | Unit | Labels | Meaning |
|---|---|---|---|---|
"""

_LABELS = """
## Labels

| Label | Values |
|---|---|
"""


def reference() -> str:
    """All metrics as a Markdown page."""
    rows = "".join(_row(measure) for measure in MEASURES)
    return _HEAD + rows + _LABELS + "".join(f"| `{name}` | {values} |\n" for name, values in LABELS.items())


def _row(measure: Measure) -> str:
    labels = ", ".join(f"`{label}`" for label in measure.labels)
    return f"| `{measure.exported}` | {measure.kind} | {measure.unit} | {labels} | {measure.meaning} |\n"
