"""Noticing that the stream was lost, and putting back into the outbox what somebody may still need of it."""

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

import structlog
from nats.js import JetStreamContext
from nats.js.api import ConsumerInfo
from nats.js.errors import NotFoundError

from db.repositories import stream_state
from db.repositories.stream_state import Known, Settled
from db.session import Database
from db.types import utc_now
from eventing.errors import StreamAbandoned
from eventing.settings import EventingSettings
from eventing.streams import EVENTS, ensure_stream, remove_stream

_BATCH: Final = 1_000
# Clocks of several hosts differ, and one may be set back; what is told again for nothing is dropped by inboxes.
_MARGIN: Final = timedelta(hours=1)

_log = structlog.get_logger(__name__)


class StreamMemory:
    """What the database knows of EVENTS. The relay asks it whether the stream is still the one that it published to.

    The stream is lost when one of the same name was made later, or when it is shorter than what it acknowledged. When
    the database was restored, it is removed: then it is lost, too.
    """

    def __init__(self, database: Database, settings: EventingSettings) -> None:
        self._database = database
        self._settings = settings
        self.restored = 0
        """Events that went back to the outbox because the stream was lost."""

    async def recognise(self, js: JetStreamContext) -> int:
        """Declare the stream, and see whether it is the one of before; its last sequence.

        When it is not, what some consumer may not have had goes back to the outbox. Again after a crash on the way it
        does the rest. Raises as `ensure_stream`, and DatabaseUnavailable.
        """
        now = utc_now()
        # Asked first: another relay may publish in between, and the stream only grows.
        known = await self._database.view(partial(stream_state.known, name=EVENTS))
        if known is not None and known.last_seq == stream_state.ABANDONED:
            # Its consumers have had what the database does not know any more, and wait for what it never knew.
            await remove_stream(js)
        info = await ensure_stream(js, self._settings)
        made_at = info.created or datetime.fromtimestamp(0, UTC)
        last_seq = info.state.last_seq
        if known is not None and known.created_at == made_at and known.last_seq <= last_seq:
            return last_seq
        if known is None:
            needed_since = now - timedelta(seconds=self._settings.max_age_s)
            is_lost = last_seq == 0 and await self._database.view(
                partial(stream_state.was_published, since=needed_since)
            )
        else:
            needed_since, is_lost = known.needed_since, True
        if is_lost:
            _log.error("the event stream was lost, and is made again from the database", since=needed_since.isoformat())
            restored = await rebuild(self._database, since=needed_since)
            _log.error("events are published again", events=restored)
            self.restored += restored
        seen = Known(made_at, last_seq, needed_since)
        await self._database.transact(partial(stream_state.remember, name=EVENTS, stream=seen))
        return last_seq

    async def observe(self, js: JetStreamContext) -> None:
        """Note how far every consumer is, so that a rebuild need not tell what all of them have had.

        Raises nats.errors.Error when JetStream does not answer, DatabaseUnavailable.
        """
        asked_at = utc_now()
        consumers = await js.consumers_info(EVENTS)
        done = [await _done_until(js, info, asked_at) for info in consumers]
        known_moments = [moment for moment in done if moment is not None]
        if not known_moments or len(known_moments) < len(done):
            return
        moment = min(known_moments) - _MARGIN
        await self._database.transact(partial(stream_state.need_since, name=EVENTS, moment=moment))


async def require_own_stream(database: Database) -> None:
    """See that the stream is of the database's history. After a restore it is not before a relay has made it anew.

    Raises StreamAbandoned, DatabaseUnavailable.
    """
    known = await database.view(partial(stream_state.known, name=EVENTS))
    if known is not None and known.last_seq == stream_state.ABANDONED:
        raise StreamAbandoned("the database was restored, and the relay has not made the stream anew yet")


async def rebuild(
    database: Database, *, since: datetime | None, consumers: Collection[str] = (), needed_since: datetime | None = None
) -> int:
    """Put the events back into the outbox that were published at or after `since` (None: all there are); how many. The
    relay publishes them in their order, and inboxes drop what a consumer has had.

    What was published before `needed_since` is old to `consumers`: it has no effect on them that it did not have. May
    be called again at any time. Raises DatabaseUnavailable.
    """
    settled = None if needed_since is None else Settled(tuple(consumers), needed_since)
    after: tuple[str, str] | None = ("", "")
    total = 0
    while after is not None:
        some = partial(stream_state.publish_again, since=since, after=after, limit=_BATCH, settled=settled)
        restored = await database.transact(some)
        total, after = total + restored.count, restored.after
    return total


async def _done_until(js: JetStreamContext, info: ConsumerInfo, asked_at: datetime) -> datetime | None:
    """Until when the consumer has acknowledged everything that was published; None when that cannot be told."""
    if not info.num_pending and not info.num_ack_pending:
        return asked_at
    floor = info.ack_floor.stream_seq if info.ack_floor is not None else 0
    try:
        if floor == 0:
            floor = (await js.stream_info(EVENTS)).state.first_seq
        message = await js.get_msg(EVENTS, floor)
        # The time of the event, by our clocks; it was published later, and what follows it later still.
        return datetime.fromisoformat((message.headers or {})["ce-time"])
    except (NotFoundError, KeyError, ValueError):
        return None
