"""A consumer in a process of its own that kills itself at a point of its work: `before`, `inside`, `after`, or never.

`python -m tests.faults.consumer_process <database url> <nats url> <point> <number of the event>`
"""

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from typing import Any

from db.session import Database, UnitOfWork
from db.settings import DatabaseSettings
from eventing.connection import connect
from eventing.consumer import Consumer
from eventing.effects import Effects
from eventing.events.envelope import Event
from eventing.settings import EventingSettings
from eventing.subscription import Subscription
from tests.eventing.test_consumer import write_effect

QUICK: dict[str, Any] = {"ack_wait_s": 1.0, "poll_interval_s": 0.2, "fetch_batch": 16, "retry_delays_s": (0.2,)}


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


async def main(database_url: str, nats_url: str, point: str, number: int) -> None:
    settings = EventingSettings(nats_url=nats_url, **QUICK)
    database = Database(DatabaseSettings(url=database_url))
    client = await connect(settings, "consumer")
    done = 0

    async def handle(unit: UnitOfWork, events: Sequence[Event]) -> None:
        nonlocal done
        for event in events:
            if point == "before" and done == number:
                die()
            await write_effect(unit, event)
            done += 1
            if point == "inside" and done >= number:
                await unit.session.flush()
                die()

    apply = Effects.apply

    async def applied(self: Effects, events: Sequence[Event]) -> None:
        await apply(self, events)
        if point == "after" and done >= number:
            die()

    Effects.apply = applied  # type: ignore[method-assign]
    await Consumer(database, client, settings, Subscription("effects", ("form.deleted",), handle)).run()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])))
