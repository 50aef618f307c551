"""How webhooks fare, for the metrics of an edge."""

from collections.abc import Awaitable, Iterable

from prometheus_client.metrics_core import Metric

from deployments.webhooks.contracts import WebhookMeasures, WebhooksApi
from serve_app.edge.measured import Measured
from serve_app.edge.measures import (
    WEBHOOK_ENDPOINTS,
    WEBHOOKS_DUE,
    WEBHOOKS_ENDED,
    WEBHOOKS_OLDEST,
    WEBHOOKS_RESTING,
    family,
)


class WebhookFigures(Measured[WebhooksApi, WebhookMeasures]):
    """The numbers of webhooks."""

    asked_s = 15.0

    def ask(self, webhooks: WebhooksApi) -> Awaitable[WebhookMeasures]:
        return webhooks.measure()

    def collect(self) -> Iterable[Metric]:
        due, oldest, resting = family(WEBHOOKS_DUE), family(WEBHOOKS_OLDEST), family(WEBHOOKS_RESTING)
        ended, endpoints = family(WEBHOOKS_ENDED), family(WEBHOOK_ENDPOINTS)
        if self.measures is not None:
            due.add_metric([], self.measures.due)
            oldest.add_metric([], self.measures.oldest_s)
            resting.add_metric([], self.measures.resting)
            for state, number in self.measures.ended.items():
                ended.add_metric([state], number)
            for state, number in self.measures.endpoints.items():
                endpoints.add_metric([state], number)
        yield from (due, oldest, resting, ended, endpoints)
