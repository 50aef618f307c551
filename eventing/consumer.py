"""The consumer: pulls the events of one subscription from JetStream and acknowledges what is durably dealt with."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache
from itertools import chain
from typing import Final

import nats.errors
import structlog
from nats.aio.client import Client as NatsClient
from nats.aio.msg import Msg
from nats.js.api import Header

from db.session import Database
from eventing.effects import Counters, Effects
from eventing.events.envelope import Event
from eventing.loops import ended
from eventing.pace import Pace
from eventing.pull import Pull
from eventing.rebuild import require_own_stream
from eventing.settings import EventingSettings
from eventing.streams import ConsumerSpec, ensure_consumer, ensure_stream
from eventing.subjects import event_filter
from eventing.subscription import Poison, Subscription

__all__ = ["Consumer", "Poison", "Subscription"]

_STOP_S: Final = 10.0
_EVENTS_KEPT: Final = 512
_LANES: Final = 2
"""One tenant's batch at a time: what another has meanwhile goes by the other lane."""

_SUSPECT_DELIVERIES: Final = 3
"""A message that comes for this time may be what ended those who had it before."""

_log = structlog.get_logger(__name__)


class Consumer:
    """One replica of a subscription's durable pull consumer; any number of them share its events.

    At least once from JetStream, effects once (inbox). An event that fails waits in the database for its next
    attempt and never holds back events of other entities. While the database is away nothing is acknowledged.
    """

    def __init__(
        self, database: Database, client: NatsClient, settings: EventingSettings, subscription: Subscription
    ) -> None:
        self._database = database
        self._client = client
        self._settings = settings
        self._subscription = subscription
        self._effects = Effects(database, subscription, settings)
        self._spec = ConsumerSpec(
            subscription.name,
            tuple(event_filter(kind) for kind in subscription.types),
            ack_wait_s=settings.ack_wait_s,
            max_ack_pending=settings.max_ack_pending,
        )
        # What a handler gets seldom and much at once, it gets from one.
        lanes = 1 if subscription.pause_s else _LANES
        self._lanes = [Pace(settings.poll_interval_s) for _ in range(lanes)]
        self._retry_pace = Pace(settings.poll_interval_s)
        self._pull = Pull(client, subscription.name, 2 * settings.fetch_batch)
        self._at_work: dict[Pace, Sequence[Msg]] = {}
        self._binding = asyncio.Lock()
        self._bound_at_reconnect = -1
        self._loops: set[asyncio.Task[None]] = set()
        self._pulled_at = self._retried_at = time.monotonic()

    @property
    def counters(self) -> Counters:
        """What became of the events so far."""
        return self._effects.counters

    @property
    def last_progress(self) -> float:
        """Monotonic time at which the staler of the two loops last turned; both turn about once a second.

        A batch may take `ack_wait_s`, so call it stale only well past that.
        """
        return min(self._pulled_at, self._retried_at)

    async def run(self) -> None:
        """Consume until `stop`. Keeps trying, with back-off, while NATS or the database is away."""
        self._loops = {asyncio.create_task(self._pull_loop()), asyncio.create_task(self._retry_loop())}
        await ended(self._loops)

    async def stop(self, timeout_s: float = _STOP_S) -> None:
        """Fetch no more, finish what was fetched within `timeout_s`, else leave it for redelivery."""
        for pace in (*self._lanes, self._retry_pace):
            pace.stop()
        self._pull.end()
        if self._loops:
            _, late = await asyncio.wait(self._loops, timeout=timeout_s)
            for loop in late:
                loop.cancel()
            if late:
                await asyncio.wait(late, timeout=timeout_s)

    async def _pull_loop(self) -> None:
        alive = asyncio.create_task(self._keep_alive())
        try:
            async with asyncio.TaskGroup() as lanes:
                for pace in self._lanes:
                    lanes.create_task(self._lane(pace))
            await self._finish()
        finally:
            alive.cancel()
            # Else the server would go on sending to nobody.
            with suppress(nats.errors.Error, OSError):
                await self._pull.close()
            await asyncio.wait({alive})

    async def _lane(self, pace: Pace) -> None:
        """One batch after the other; what another lane has of a tenant is dealt with before this one takes more."""
        limit = self._settings.fetch_batch
        while not pace.is_stopped:
            try:
                await self._bind()
                messages = await self._pull.take(limit, self._settings.poll_interval_s)
                self._pulled_at = time.monotonic()
                if messages:
                    await self._work(messages, pace)
                    # Let more come together before the next batch, which costs much of what its events do.
                    if self._subscription.pause_s and not self._pull.has(limit):
                        await asyncio.sleep(self._subscription.pause_s)
                pace.succeed()
            except Exception as error:  # noqa: BLE001 - a consumer that ends is worse than one that tries again
                _log.warning("consumer cannot fetch", consumer=self._subscription.name, error=_sentence(error))
                self._bound_at_reconnect = -1
                await pace.back_off()
            if not self._client.is_closed:  # a client closed for good needs a new process: let the check find out
                self._pulled_at = time.monotonic()

    async def _bind(self) -> None:
        # Once per connection and after every failure: the server may have come back without its store.
        async with self._binding:
            reconnects = self._client.stats["reconnects"]
            if self._bound_at_reconnect != reconnects:
                stream = self._client.jetstream(timeout=self._settings.publish_timeout_s)
                await require_own_stream(self._database)
                await ensure_stream(stream, self._settings)
                await ensure_consumer(stream, self._spec)
                await self._pull.open()
                self._bound_at_reconnect = reconnects

    async def _finish(self) -> None:
        """Deal with what came and was not taken yet: for others it would be late."""
        try:
            await self._pull.close()
            while messages := await self._pull.take(self._settings.fetch_batch, 0):
                await self._work(messages, self._lanes[0])
        except Exception as error:  # noqa: BLE001 - they are delivered again
            _log.info("events are left", consumer=self._subscription.name, error=_sentence(error))

    async def _work(self, messages: Sequence[Msg], pace: Pace) -> None:
        self._at_work[pace] = messages
        try:
            await self._deal_with(messages, pace)
        finally:
            del self._at_work[pace]
            is_busy = len(messages) >= self._settings.busy_batch and not self._pull.has(self._settings.fetch_batch)
            rests = is_busy and not self._subscription.pause_s and not pace.is_stopped
            self._pull.done(messages, self._settings.busy_pause_s if rests else 0.0)

    async def _deal_with(self, messages: Sequence[Msg], pace: Pace) -> None:
        events: dict[int, Event] = {}
        broken: dict[int, str] = {}
        suspects = {i for i, message in enumerate(messages) if _deliveries(message) >= _SUSPECT_DELIVERIES}
        for index, message in enumerate(messages):
            try:
                events[index] = _decode(message)
            except ValueError as error:
                broken[index] = str(error)
        while True:
            try:
                if suspects:
                    reason = f"was delivered {_SUSPECT_DELIVERIES} times without an answer"
                    await self._effects.suspect([events[i] for i in events if i in suspects], reason)
                await self._effects.apply([events[i] for i in events if i not in suspects])
                for index, reason in broken.items():
                    await self._bury(messages[index], reason)
                break
            except Exception as error:  # noqa: BLE001 - the database is away; the messages stay ours meanwhile
                _log.warning("consumer waits", consumer=self._subscription.name, error=_sentence(error))
                self._pulled_at = time.monotonic()
                if pace.is_stopped:
                    return
                await pace.back_off()
        await self._acknowledge([messages[index] for index in events], [messages[index] for index in broken])

    async def _keep_alive(self) -> None:
        """Say of what is at work and of what waits for it that it is not forgotten."""
        while True:
            await asyncio.sleep(self._settings.ack_wait_s / 3)
            for message in (*chain.from_iterable(self._at_work.values()), *self._pull.held):
                try:
                    await message.in_progress()
                except Exception as error:  # noqa: BLE001 - redelivered at worst, and the inbox knows it
                    _log.info("heartbeat not sent", consumer=self._subscription.name, error=_sentence(error))
                    break

    async def _bury(self, message: Msg, reason: str) -> None:
        """A message that is no event of its subject's tenant; kept under that tenant."""
        _, tenant_id, event_type = message.subject.split(".", 2)
        event_id = (message.headers or {}).get(Header.MSG_ID.value) or f"seq_{message.metadata.sequence.stream}"
        text = message.data.decode(errors="replace").replace("\0", "�")
        _log.error("undecodable event", consumer=self._subscription.name, tenant=tenant_id, reason=reason)
        await self._effects.bury(tenant_id, event_id, event_type, text, reason)

    async def _acknowledge(self, done: Sequence[Msg], broken: Sequence[Msg]) -> None:
        """Tell JetStream, and wait until it has heard: acknowledgements on one connection arrive in order."""
        try:
            for message in broken:
                await message.term()
            if done:
                for message in done[:-1]:
                    await message.ack()
                await done[-1].ack_sync(timeout=self._settings.publish_timeout_s)
        except (nats.errors.Error, OSError) as error:
            # Redelivered then, and the inbox knows them.
            _log.info("acknowledgement lost", consumer=self._subscription.name, error=_sentence(error))

    async def _retry_loop(self) -> None:
        while not self._retry_pace.is_stopped:
            try:
                if not await self._effects.retry_due():
                    await self._retry_pace.rest()
            except Exception as error:  # noqa: BLE001
                _log.warning("retries wait", consumer=self._subscription.name, error=_sentence(error))
                await self._retry_pace.back_off()
            self._retried_at = time.monotonic()


def _deliveries(message: Msg) -> int:
    return message.metadata.num_delivered or 1


def _decode(message: Msg) -> Event:
    """The event of a message. Raises ValueError when there is none, or one of another tenant."""
    event = _event(message.data)
    if message.subject.split(".", 2)[1] != event.tenant_id:
        raise ValueError("the event names another tenant than its subject")
    return event


@lru_cache(_EVENTS_KEPT)
def _event(text: bytes) -> Event:
    """The same for all consumers of this process, none of which may change it."""
    return Event.decode(text)


def _sentence(error: Exception) -> str:
    return str(error) or type(error).__name__
