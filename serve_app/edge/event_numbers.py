"""How the transport of events is, for readiness and the metrics of an edge."""

from collections.abc import Awaitable, Iterable

from prometheus_client.metrics_core import Metric

from deployments.events.contracts import EventsApi
from deployments.events.recovery_contracts import EventMeasures
from serve_app.edge.measured import Measured
from serve_app.edge.measures import (
    DEAD_LETTERS,
    DRILL_FINDINGS,
    HEALTHY,
    LAST_BACKUP,
    LAST_DRILL,
    OLDEST_UNPUBLISHED,
    PENDING_EVENTS,
    WAITING_EVENTS,
    family,
)


class EventNumbers(Measured[EventsApi, EventMeasures]):
    """The numbers of events."""

    asked_s = 2.0

    def ask(self, events: EventsApi) -> Awaitable[EventMeasures]:
        return events.measure()

    @property
    def degraded(self) -> list[str]:
        """The parts that do not work, while requests can be taken."""
        if self.measures is None:
            return ["events"]
        return [part.name for part in self.measures.components if not part.healthy]

    @property
    def oldest_unpublished_s(self) -> float | None:
        """The age of the oldest event that is not in the stream; None when it is not known."""
        return None if self.measures is None else round(self.measures.oldest_unpublished_s, 3)

    def collect(self) -> Iterable[Metric]:
        healthy, oldest = family(HEALTHY), family(OLDEST_UNPUBLISHED)
        pending, waiting, dead = family(PENDING_EVENTS), family(WAITING_EVENTS), family(DEAD_LETTERS)
        backup, drill, findings = family(LAST_BACKUP), family(LAST_DRILL), family(DRILL_FINDINGS)
        if self.measures is not None:
            oldest.add_metric([], self.measures.oldest_unpublished_s)
            for metric, value in (
                (backup, self.measures.last_backup),
                (drill, self.measures.last_drill),
                (findings, self.measures.drill_findings),
            ):
                if value is not None:
                    metric.add_metric([], value)
            for part in self.measures.components:
                healthy.add_metric([part.name], part.healthy)
            for each in self.measures.consumers:
                pending.add_metric([each.consumer], each.pending)
                waiting.add_metric([each.consumer], each.waiting)
                dead.add_metric([each.consumer], each.dead_letters)
        yield from (healthy, oldest, pending, waiting, dead, backup, drill, findings)
