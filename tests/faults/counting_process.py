"""The consumer of live figures, and the keeper beside it, in a process of their own that kills itself at a point of its
work: `before` a piece is counted, `inside` of the transaction, `after` its commit, or never.

`python -m tests.faults.counting_process <database url> <nats url> <point> <number of the piece>`
"""

import asyncio
import sys
from collections.abc import Mapping, Sequence

from db.repositories.metrics import MetricRepository
from db.session import Database
from db.settings import DatabaseSettings
from deployments.analytics.metrics.keeping import Counting, MetricKeeper, Nudges
from eventing.connection import connect
from eventing.consumer import Consumer
from eventing.effects import Effects
from eventing.events.envelope import Event
from eventing.settings import EventingSettings
from tests.faults.consumer_process import QUICK, die

PIECE = 50


async def main(database_url: str, nats_url: str, point: str, number: int) -> None:
    settings = EventingSettings(nats_url=nats_url, **QUICK)
    database = Database(DatabaseSettings(url=database_url))
    client = await connect(settings, "consumer")
    put, apply, done = MetricRepository._put_parts, Effects.apply, 0

    async def counted(self: MetricRepository, generation: int, parts: Mapping[str, bytes]) -> None:
        nonlocal done
        done += 1
        if point == "before" and done == number:
            die()
        await put(self, generation, parts)
        if point == "inside" and done == number:
            await self._session.flush()
            die()

    async def applied(self: Effects, events: Sequence[Event]) -> None:
        await apply(self, events)
        if point == "after" and done >= number:
            die()

    MetricRepository._put_parts = counted  # type: ignore[method-assign]
    Effects.apply = applied  # type: ignore[method-assign]
    (subscription,) = Nudges(Counting(database, piece=PIECE)).subscriptions()
    consumer = Consumer(database, client, settings, subscription)
    await asyncio.gather(consumer.run(), MetricKeeper(database, piece=PIECE).run())


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])))
