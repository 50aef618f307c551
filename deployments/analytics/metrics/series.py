"""From counts by the quarter of an hour to the points of a series. Pure."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from deployments.analytics.metric_contracts import Bucket, Measure, SeriesPoint
from deployments.analytics.metrics import buckets
from deployments.analytics.metrics.cells import moment_of
from deployments.analytics.metrics.figures import median_seconds


@dataclass(frozen=True, slots=True)
class Asked:
    """One measure in the buckets between `edges`."""

    measure: Measure
    bucket: Bucket
    zone: ZoneInfo
    edges: Sequence[datetime]
    compare: bool

    @property
    def prefixes(self) -> tuple[str, ...]:
        """What the names of the counts begin with that the measure is made of."""
        if self.measure == "completion_rate":
            return "starts", "submissions"
        return ("seconds:",) if self.measure == "median_seconds" else (self.measure,)

    def edges_before(self) -> list[datetime]:
        """The edges of as many buckets before; none when they were not asked for."""
        if not self.compare:
            return []
        return buckets.edges_before(self.bucket, self.zone, self.edges[0], len(self.edges) - 1)


def points_of(measure: Measure, edges: Sequence[datetime], counts: Iterable[tuple[int, str, int]]) -> list[SeriesPoint]:
    """A point for each bucket; `counts` are moment, name and how often, and may lie outside."""
    found: list[Counter[str]] = [Counter() for _ in edges[1:]]
    for moment, name, count in counts:
        place = bisect_right(edges, moment_of(moment)) - 1
        if 0 <= place < len(found):
            found[place][name] += count
    return [SeriesPoint(start=start, value=_value(measure, each)) for start, each in zip(edges, found, strict=False)]


def _value(measure: Measure, counts: Counter[str]) -> float | None:
    if measure == "median_seconds":
        return median_seconds(counts)
    if measure == "completion_rate":
        return min(1.0, counts["submissions"] / counts["starts"]) if counts["starts"] else None
    return float(counts[measure])
