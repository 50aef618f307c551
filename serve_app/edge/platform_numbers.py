"""How much there is on the platform, for the metrics of an edge."""

from collections.abc import Awaitable, Iterable

from prometheus_client.metrics_core import Metric

from deployments.tenancy.contracts import PlatformMeasures, TenancyApi
from serve_app.edge.measured import Measured
from serve_app.edge.measures import FORMS, PEOPLE, RESPONSES, TENANTS, family


class PlatformFigures(Measured[TenancyApi, PlatformMeasures]):
    """The numbers of the whole platform."""

    asked_s = 60.0

    def ask(self, tenancy: TenancyApi) -> Awaitable[PlatformMeasures]:
        return tenancy.measure()

    def collect(self) -> Iterable[Metric]:
        tenants, forms = family(TENANTS), family(FORMS)
        responses, people = family(RESPONSES), family(PEOPLE)
        if self.measures is not None:
            for state, number in self.measures.tenants.items():
                tenants.add_metric([state], number)
            for state, number in self.measures.forms.items():
                forms.add_metric([state], number)
            responses.add_metric([], self.measures.responses)
            people.add_metric([], self.measures.people)
        yield from (tenants, forms, responses, people)
