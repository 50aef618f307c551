"""The relay: takes committed events from the database to JetStream, at least once, in order per entity."""

import asyncio
import secrets
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from functools import partial
from typing import Final

import nats.errors
import orjson
import structlog
from nats.aio.client import Client as NatsClient
from nats.js.api import Header

from db.models.events import DeadLetter
from db.repositories.inbox import InboxRepository
from db.repositories.outbox import Outgoing, Unpublished, mark_arrived, oldest_unpublished_at, unpublished
from db.session import Database
from db.sharing import Sharing
from db.types import new_id, utc_now
from eventing.errors import ConnectFailed
from eventing.events.envelope import Event
from eventing.headway import Headway
from eventing.leadership import LEASE_S, Leadership
from eventing.pace import Pace
from eventing.rebuild import StreamMemory
from eventing.settings import EventingSettings
from eventing.streams import EVENTS, make_room
from eventing.subjects import NUDGE_PUBLISHED, event_subject

RELAY: Final = "relay"
_LANES: Final = 2
"""One tenant's events at a time: what another has meanwhile goes by the other lane."""

_FEW_TENANTS: Final = 2
_BACKLOG_S: Final = 1.0
_STOP_S: Final = 5.0
_MAX_BACKOFF_S: Final = 2.0
_OBSERVE_S: Final = 15.0
_FEW: Final = 8
_HELD_S: Final = 0.02
# What no later attempt can cure: the row itself is wrong. ValueError: no event, or names no subject may contain.
_UNPUBLISHABLE: Final = (ValueError, nats.errors.BadSubjectError, nats.errors.MaxPayloadError)

_NO_TRACE: Final = '"traceparent":""'
_BATCH_ID: Final = "Nats-Batch-Id"
_BATCH_SEQUENCE: Final = "Nats-Batch-Sequence"
_BATCH_COMMIT: Final = "Nats-Batch-Commit"

_log = structlog.get_logger(__name__)


class Relay:
    """Publishes the outbox of one database. Several are harmless; the lease keeps one at work.

    A copy sent twice has the same message id, which JetStream drops inside its duplicate window and the
    consumers' inboxes drop after it. A stream that was lost is filled again before anything else is published.
    """

    def __init__(
        self,
        database: Database,
        client: NatsClient,
        settings: EventingSettings,
        *,
        lease_s: float = LEASE_S,
        watch: Callable[[Sequence[Unpublished], int], None] | None = None,
    ) -> None:
        """`watch` is told what was published, and since when that was tried, in nanoseconds of the epoch."""
        self._watch = watch
        self._database = database
        self._client = client
        self._stream = client.jetstream(timeout=settings.publish_timeout_s)
        self._settings = settings
        self._leadership = Leadership(database, RELAY, lease_s=lease_s)
        self._lanes = [Pace(settings.poll_interval_s, max_backoff_s=_MAX_BACKOFF_S) for _ in range(_LANES)]
        self._choosing = asyncio.Lock()
        self._under_way: set[str] = set()
        self._sharing = Sharing()
        self._finished = asyncio.Event()
        self._finished.set()
        self._stream_seen_at_reconnect = -1
        self._memory = StreamMemory(database, settings)
        self._last_seq = 0
        self._after = ""
        self._full_at = float("-inf")
        self._headway = Headway(settings.fetch_batch)
        self._observed_at = float("-inf")
        self.published = 0
        self.rejected = 0
        self.failure = ""
        """Why nothing can be published at the moment; empty while it can."""

    @property
    def restored(self) -> int:
        """How many events were published again because the stream was lost."""
        return self._memory.restored

    @property
    def is_leader(self) -> bool:
        """Whether this relay is the one at work."""
        return self._leadership.is_held

    def nudge(self) -> None:
        """There may be something to publish."""
        # One of those that rest is enough. Who is at work looks again afterwards: it may be of a tenant of theirs.
        resting = [pace for pace in self._lanes if pace.is_resting]
        for pace in self._lanes:
            if pace not in resting[1:]:
                pace.wake()

    async def oldest_unpublished_age(self) -> float:
        """Seconds that the oldest unpublished event waits; 0 when there is none. Raises DatabaseUnavailable."""
        oldest = await self._database.view(oldest_unpublished_at)
        return 0.0 if oldest is None else max(0.0, (utc_now() - oldest) / timedelta(seconds=1))

    async def run(self) -> None:
        """Publish until `stop`. Never raises because of NATS or the database: it keeps trying, with back-off."""
        self._finished.clear()
        try:
            async with asyncio.TaskGroup() as lanes:
                for pace in self._lanes:
                    lanes.create_task(self._lane(pace))
        finally:
            self._finished.set()

    async def stop(self, timeout_s: float = _STOP_S) -> None:
        """Publish what is there, within `timeout_s`, give the lease back and end `run`."""
        for pace in self._lanes:
            pace.stop()
        try:
            async with asyncio.timeout(timeout_s):
                await self._finished.wait()
                while self._leadership.is_held:
                    async with self._published(self._settings.relay_batch) as taken:
                        if not taken.more:
                            break
        except Exception as error:  # noqa: BLE001 - whatever it is, the next leader publishes the rest
            _log.warning("relay stopped with events left", error=str(error) or type(error).__name__)
        if self._leadership.is_held:
            try:
                await self._leadership.release()
            except Exception as error:  # noqa: BLE001 - the lease runs out by itself
                _log.warning("relay lease not released", error=str(error) or type(error).__name__)

    async def _lane(self, pace: Pace) -> None:
        """One batch after the other; of a tenant that another lane has, nothing."""
        while not pace.is_stopped:
            if await self._turn(pace):
                await pace.rest()

    async def _turn(self, pace: Pace) -> bool:
        """Publish one batch; whether there is time to rest."""
        try:
            if not await self._leads():
                self.failure = ""
                return True
            has_backlog = time.monotonic() - self._full_at < _BACKLOG_S
            is_held = has_backlog and await self._headway.is_used_up(self._stream)
            # While consumers are behind, few of each: who has no more is not behind another who has.
            async with self._published(_FEW if is_held else self._sharing.share(self._settings.relay_batch)) as taken:
                self.failure = ""
                pace.succeed()
                await self._pause(taken, is_held)
        except Exception as error:  # noqa: BLE001 - a relay that ends is worse than one that tries again
            self.failure = str(error) or type(error).__name__
            _log.warning("relay failed", error=self.failure)
            await pace.back_off()
            return False
        return not taken.more

    async def _leads(self) -> bool:
        """Whether we are the one at work; if so, the stream is as it should be, as far as can be known now."""
        async with self._choosing:
            if not await self._leadership.acquire():
                return False
            if self._client.is_connected:
                await self._ensure_stream()
                await self._observe()
            return True

    async def _pause(self, taken: Outgoing, is_held: bool) -> None:
        """Let more of these tenants come together, or their consumers catch up."""
        seconds = 0.0
        if is_held and taken.more:
            seconds = _HELD_S
        elif len(taken.events) >= self._settings.busy_batch and not taken.more:
            # Where there is a backlog the next batch is full anyhow, and somebody may wait for a place in it.
            seconds = self._settings.busy_pause_s
        if len({event.tenant_id for event in taken.events}) <= _FEW_TENANTS:
            await asyncio.sleep(seconds)
            return
        # Where many make the load, each alone would make a batch.
        async with self._choosing:
            await asyncio.sleep(seconds)

    @asynccontextmanager
    async def _published(self, share: int) -> AsyncIterator[Outgoing]:
        """Take one batch, at most `share` of a tenant, to the stream and mark what arrived; until the end no other lane
        has any of its tenants.

        Raises when something of it did not arrive.
        """
        taken = await self._take(share)
        try:
            if taken.events:
                await self._deliver(taken.events)
            yield taken
        finally:
            self._under_way.difference_update(event.tenant_id for event in taken.events)

    async def _take(self, share: int) -> Outgoing:
        async with self._choosing:
            limit = self._settings.relay_batch
            take = partial(unpublished, limit=limit, share=share, after=self._after, but=self._under_way)
            taken = await self._database.view(take)
            if taken.events:
                restored = self.restored
                await self._ensure_stream()
                if self.restored > restored:
                    # What came back is older than what was taken.
                    taken = await self._database.view(take)
            self._under_way.update(event.tenant_id for event in taken.events)
            self._sharing.see(len(self._under_way))
            self._after = taken.after
            if taken.more:
                self._full_at = time.monotonic()
            return taken

    async def _deliver(self, events: Sequence[Unpublished]) -> None:
        delivery, started = _Delivery(), time.time_ns()
        try:
            for batch in _by_size(events):
                if not await self._publish_together(batch, delivery):
                    await self._publish_apart(batch, delivery)
        finally:
            if 0 < delivery.last_seq <= self._last_seq:
                # Either it had them already, or it is a new one that somebody made meanwhile: look again.
                self._stream_seen_at_reconnect = -1
            self._last_seq = max(self._last_seq, delivery.last_seq)
            await asyncio.shield(self._mark(delivery))
            if self._watch is not None:
                self._watch(delivery.published, started)
        if delivery.error is not None:
            self._stream_seen_at_reconnect = -1
            raise delivery.error

    async def _publish_together(self, batch: Sequence[Unpublished], delivery: "_Delivery") -> bool:
        """Publish all as one atomic batch (NATS ADR-50): one acknowledgement and one fsync for all of them.

        Whether it arrived. It does not when one of them is in the stream already or cannot be published, and its
        outcome is unknown when no answer comes; published apart, each finds its own.
        """
        if len(batch) == 1:
            return False
        batch_id = secrets.token_hex(16)
        try:
            messages = [(event_subject(event.tenant_id, event.type), event) for event in batch]
            for number, (subject, event) in enumerate(messages[:-1], start=1):
                headers = _headers(event) | {_BATCH_ID: batch_id, _BATCH_SEQUENCE: str(number)}
                await self._client.publish(subject, event.envelope.encode(), headers=headers)
            subject, event = messages[-1]
            headers = _headers(event) | {_BATCH_ID: batch_id, _BATCH_SEQUENCE: str(len(batch)), _BATCH_COMMIT: "1"}
            answer = await self._client.request(
                subject, event.envelope.encode(), timeout=self._settings.publish_timeout_s, headers=headers
            )
            acknowledgement = orjson.loads(answer.data)
        except (*_UNPUBLISHABLE, nats.errors.Error, OSError) as error:
            _log.info("events are published apart", error=str(error) or type(error).__name__)
            return False
        if acknowledgement.get("count") != len(batch):
            _log.info("events are published apart", error=acknowledgement.get("error"))
            return False
        delivery.published.extend(batch)
        delivery.last_seq = int(acknowledgement.get("seq", 0))
        return True

    async def _publish_apart(self, batch: Sequence[Unpublished], delivery: "_Delivery") -> None:
        """Publish each with its own acknowledgement, concurrently, the events of one entity in sequence."""
        chains: defaultdict[tuple[str, str], list[Unpublished]] = defaultdict(list)
        for event in batch:
            chains[event.tenant_id, event.entity_id].append(event)
        async with asyncio.TaskGroup() as group:
            for chain in chains.values():
                group.create_task(self._publish_chain(chain, delivery))

    async def _ensure_stream(self) -> None:
        if not self._client.is_connected:
            raise ConnectFailed("NATS is away; events wait in the database")
        # Once per connection: a server that came back may have lost its store.
        reconnects = self._client.stats["reconnects"]
        if self._stream_seen_at_reconnect != reconnects:
            self._last_seq = await self._memory.recognise(self._stream)
            self._stream_seen_at_reconnect = reconnects

    async def _observe(self) -> None:
        """From time to time, look whether the stream is still there and how far its consumers are."""
        now = time.monotonic()
        if now - self._observed_at >= _OBSERVE_S:
            self._observed_at = now
            await self._memory.recognise(self._stream)
            await self._memory.observe(self._stream)
            await make_room(self._client, self._settings)

    async def _publish_chain(self, chain: Sequence[Unpublished], delivery: "_Delivery") -> None:
        """Publish the events of one entity one after the other; a failure holds the later ones back."""
        for event in chain:
            try:
                delivery.last_seq = max(delivery.last_seq, await self._publish(event))
            except _UNPUBLISHABLE as error:
                delivery.rejected.append((event, str(error) or type(error).__name__))
            except Exception as error:  # noqa: BLE001 - of this entity only: the others must not wait for it
                delivery.error = error
                return
            else:
                delivery.published.append(event)

    async def _publish(self, event: Unpublished) -> int:
        """The event's sequence in the stream."""
        # `publish` waits for its own acknowledgement with a deadline of its own. The client's pipelined
        # `publish_async` would leave futures pending for ever when the server dies.
        acknowledged = await self._stream.publish(
            event_subject(event.tenant_id, event.type),
            event.envelope.encode(),
            timeout=self._settings.publish_timeout_s,
            stream=EVENTS,
            headers=_headers(event),
        )
        return acknowledged.seq

    async def _mark(self, delivery: "_Delivery") -> None:
        if not delivery.published and not delivery.rejected:
            return
        now = utc_now()
        done = [event.key for event in (*delivery.published, *(event for event, _ in delivery.rejected))]
        if delivery.rejected:
            await self._bury(delivery.rejected, now)
        await self._database.transact(
            partial(mark_arrived, keys=done, at=now, stream=EVENTS, last_seq=delivery.last_seq)
        )
        self.published += len(delivery.published)
        self._headway.went(len(delivery.published))
        self.rejected += len(delivery.rejected)
        await self._tell(sorted({tenant_id for tenant_id, _ in done}))

    async def _tell(self, tenants: Sequence[str]) -> None:
        """Wake who follows these tenants' events. A hint: what is lost of it, polls make good."""
        try:
            await self._client.publish(NUDGE_PUBLISHED, orjson.dumps(tenants))
        except (nats.errors.Error, OSError) as error:
            _log.info("nudge not sent", error=str(error) or type(error).__name__)

    async def _bury(self, rejected: Sequence[tuple[Unpublished, str]], now: datetime) -> None:
        async with self._database.unscoped_write() as unit:
            for event, reason in rejected:
                _log.error("event cannot be published", tenant=event.tenant_id, event_id=event.id, reason=reason)
                letter = DeadLetter(
                    tenant_id=event.tenant_id,
                    id=new_id("dlq"),
                    consumer=RELAY,
                    event_id=event.id,
                    event_type=event.type,
                    reason=reason,
                    attempts=1,
                    envelope=event.envelope,
                    created_at=now,
                )
                await InboxRepository(unit.session, event.tenant_id, RELAY).bury(letter)


class _Delivery:
    """What became of a batch."""

    def __init__(self) -> None:
        self.published: list[Unpublished] = []
        self.rejected: list[tuple[Unpublished, str]] = []
        self.error: Exception | None = None
        self.last_seq = 0


def _by_size(events: Sequence[Unpublished]) -> list[Sequence[Unpublished]]:
    """The events of those who have few before those of who has many, each in their order."""
    counted = Counter(event.tenant_id for event in events)
    few = [event for event in events if counted[event.tenant_id] <= _FEW]
    many = [event for event in events if counted[event.tenant_id] > _FEW]
    return [batch for batch in (few, many) if batch]


def _headers(event: Unpublished) -> dict[str, str]:
    """The CloudEvents 1.0 attributes (NATS protocol binding, binary mode), message id and trace context."""
    headers = {
        str(Header.MSG_ID.value): event.id,
        "content-type": "application/json",
        "ce-specversion": "1.0",
        "ce-id": event.id,
        "ce-type": event.type,
        "ce-source": f"/tenants/{event.tenant_id}",
        "ce-subject": event.entity_id,
        "ce-time": event.occurred_at.isoformat(),
    }
    # Most events come without a trace; decoding each to see that would cost more than publishing it.
    if _NO_TRACE not in event.envelope and (traceparent := Event.decode(event.envelope).origin.traceparent):
        # As the message's own, and as CloudEvents' extension for distributed tracing.
        headers["traceparent"] = headers["ce-traceparent"] = traceparent
    return headers
