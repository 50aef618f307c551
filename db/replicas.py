"""Read replicas of PostgreSQL: which of them holds enough to answer a read that may be a little late.

How late a replica is, no clock of its own tells: the time of its last transaction grows while nobody writes, and what
it has received stands still while it is cut off. So the primary's place in the log is noted with the time of this
process, and a replica that has replayed it holds all that was committed before that time.
"""

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Final

import structlog
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from db.engine import postgres_engine
from db.settings import DatabaseSettings

_BEAT_S: Final = 0.1
_ANSWER_S: Final = 1.0
_REST_S: Final = 1.0
_MARKS: Final = 600
_PINS_S: Final = 60.0
_NEVER: Final = float("-inf")

# What is acknowledged is flushed.
_WRITTEN = text("SELECT pg_wal_lsn_diff(pg_current_wal_flush_lsn(), '0/0')::bigint")
_REPLAYED = text(
    "SELECT CASE WHEN pg_is_in_recovery() THEN pg_wal_lsn_diff(pg_last_wal_replay_lsn(), '0/0')::bigint END"
)

log = structlog.get_logger(__name__)


class Replica:
    """One replica: `as_of` is the time (of the clock) up to which it is known to hold everything."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine
        self.as_of = _NEVER
        self.rests_until = _NEVER


class Replicas:
    """The replicas of one database. They are watched from the first question on, all the time, and not by each read."""

    def __init__(
        self, settings: DatabaseSettings, primary: AsyncEngine, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock = clock
        self._primary = primary
        self._lag_s = settings.replica_lag_s
        self._all = [
            Replica(postgres_engine(settings.model_copy(update={"url": url}))) for url in settings.replica_urls
        ]
        self._marks: deque[tuple[float, int]] = deque(maxlen=_MARKS)
        self._pins: OrderedDict[str, float] = OrderedDict()
        self._next = 0
        self._watching: asyncio.Task[None] | None = None
        self._closed = False

    def choose(self, tenant_id: str) -> Replica | None:
        """A replica that holds what this process has heard of the tenant, and all but the last moment of the rest."""
        if self._watching is None:
            self._watching = asyncio.create_task(self._watch())
        now = self._clock()
        least = max(now - self._lag_s, self._pins.get(tenant_id, _NEVER))
        usable = [replica for replica in self._all if replica.as_of >= least and replica.rests_until <= now]
        if not usable:
            return None
        self._next += 1
        return usable[self._next % len(usable)]

    def pin(self, tenant_ids: Iterable[str]) -> None:
        """The tenants were written to until now: only who holds that may answer for them."""
        now = self._clock()
        for tenant_id in tenant_ids:
            self._pins.pop(tenant_id, None)
            self._pins[tenant_id] = now
        while self._pins and next(iter(self._pins.values())) < now - _PINS_S:
            self._pins.popitem(last=False)

    def rest(self, replica: Replica) -> None:
        """Leave a replica alone for a second: it has failed."""
        replica.rests_until = self._clock() + _REST_S
        replica.as_of = _NEVER

    async def close(self) -> None:
        """Close every connection."""
        # A connection that is being given up swallows the cancellation.
        self._closed = True
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.wait({self._watching})
        for replica in self._all:
            await replica.engine.dispose()

    async def beat(self) -> None:
        """See once how far everybody is."""
        at = self._clock()
        place = await self._ask(self._primary, _WRITTEN)
        if place is not None:
            self._marks.append((at, place))
        await asyncio.gather(*(self._look_at(replica) for replica in self._all))

    async def _look_at(self, replica: Replica) -> None:
        if replica.rests_until > self._clock():
            return
        place = await self._ask(replica.engine, _REPLAYED)
        if place is None:
            # Away, or no replica any more: one that was promoted goes its own way.
            replica.as_of = _NEVER
            return
        replica.as_of = max((at for at, written in self._marks if written <= place), default=_NEVER)

    async def _ask(self, engine: AsyncEngine, question: object) -> int | None:
        with suppress(SQLAlchemyError, OSError, TimeoutError):
            async with asyncio.timeout(_ANSWER_S), engine.connect() as connection:
                place: int | None = await connection.scalar(question)  # type: ignore[call-overload]
                return place
        return None

    async def _watch(self) -> None:
        while not self._closed:
            try:
                await self.beat()
            except Exception:
                log.exception("replicas are not watched")
            await asyncio.sleep(_BEAT_S)
