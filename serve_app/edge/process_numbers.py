"""What processes tell of themselves, for the metrics of an edge."""

import asyncio
from collections.abc import Iterable, Mapping

from prometheus_client.metrics_core import Metric

from deployments.kit.process_numbers import ProcessNumbers
from serve_app.edge.apis import Process
from serve_app.edge.measured import Measured
from serve_app.edge.measures import MODEL_SECONDS, POOL_IN_USE, POOL_SIZE, family


class ProcessFigures(Measured[Mapping[str, Process], dict[str, ProcessNumbers]]):
    """The numbers of one process of each application: the one that the question comes to."""

    asked_s = 5.0

    async def ask(self, api: Mapping[str, Process]) -> dict[str, ProcessNumbers]:
        """Ask every application. One that is away tells of nothing."""
        answers = await asyncio.gather(*(ask() for ask in api.values()), return_exceptions=True)
        return {
            place: numbers
            for place, numbers in zip(api, answers, strict=True)
            if not isinstance(numbers, BaseException)
        }

    def collect(self) -> Iterable[Metric]:
        size, in_use, took = family(POOL_SIZE), family(POOL_IN_USE), family(MODEL_SECONDS)
        for place, numbers in (self.measures or {}).items():
            for pool in numbers.pools:
                size.add_metric([place, pool.role], pool.size)
                in_use.add_metric([place, pool.role], pool.in_use)
            for each in numbers.models:
                took.add_metric([place, each.method, each.outcome], each.calls, each.duration_s)
        yield from (size, in_use, took)
