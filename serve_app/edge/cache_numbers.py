"""What the caches of the platform's processes did, for `/health/cache` and the metrics of an edge."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Final

from prometheus_client.metrics_core import Metric

from deployments.kit.cache import CacheNumbers, Caches
from serve_app.edge.apis import Numbers
from serve_app.edge.measured import Measured
from serve_app.edge.measures import CACHE_BYTES, CACHE_ENTRIES, CACHE_EVICTIONS, CACHE_READS, family

EDGE: Final = "edge"
_READS: Final = ("hits", "renewed", "shared", "absent", "waits", "misses")


class CacheFigures(Measured[Mapping[str, Numbers], dict[str, list[CacheNumbers]]]):
    """The numbers of this edge, and of one process of each application: the one that the question comes to."""

    asked_s = 1.0

    def __init__(self, own: Caches) -> None:
        super().__init__()
        self._own = own

    async def ask(self, api: Mapping[str, Numbers]) -> dict[str, list[CacheNumbers]]:
        """Ask every application. One that is away tells of nothing."""
        answers = await asyncio.gather(*(ask() for ask in api.values()), return_exceptions=True)
        return {
            place: numbers
            for place, numbers in zip(api, answers, strict=True)
            if not isinstance(numbers, BaseException)
        }

    def places(self) -> dict[str, list[CacheNumbers]]:
        """The numbers by process: the edge, and the applications."""
        return {EDGE: self._own.numbers()} | (self.measures or {})

    def report(self) -> dict[str, object]:
        """The numbers as they are shown. They name no tenant: anybody may read them."""
        shown = {
            place: {each.name: each.model_dump(exclude={"name"}) | {"hit_rate": each.hit_rate} for each in numbers}
            for place, numbers in self.places().items()
        }
        every = [each for numbers in self.places().values() for each in numbers]
        reads = sum(getattr(each, name) for each in every for name in _READS)
        asked = sum(each.misses + each.waits for each in every)
        return {"hit_rate": (reads - asked) / reads if reads else None, "reads": reads, "caches": shown}

    def collect(self) -> Iterable[Metric]:
        reads, evictions = family(CACHE_READS), family(CACHE_EVICTIONS)
        entries, size = family(CACHE_ENTRIES), family(CACHE_BYTES)
        for place, numbers in self.places().items():
            for each in numbers:
                for name in _READS:
                    reads.add_metric([place, each.name, name], getattr(each, name))
                evictions.add_metric([place, each.name], each.evictions)
                entries.add_metric([place, each.name], each.entries)
                size.add_metric([place, each.name], each.bytes)
        yield from (reads, evictions, entries, size)
