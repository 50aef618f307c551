"""Live streams of events: one reader for each tenant follows what is published and hands it to all who listen.

Places in the log become visible in their order (docs/decisions/0021-live-stream.md), so whoever knows the last place
they have heard of misses nothing behind it, at this edge or another.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import aclosing
from typing import Final, TypeAlias

import structlog

from deployments.events.contracts import Event, EventsApi, FollowEvents, StreamEvents
from deployments.events.showing import View, may_see, shown, view_of
from deployments.kit.cache import Changes
from deployments.kit.errors import DomainError, Forbidden, NotFound, TooManyRequests, Unauthenticated
from deployments.kit.principal import PLATFORM_TENANT, Principal

Renew: TypeAlias = Callable[[], Awaitable[Principal]]
"""The caller as they are now; raises Unauthenticated, Forbidden or NotFound when they may not listen any more."""

OPENING: Final = b":\n"
HEARTBEAT: Final = b":\n"
"""A comment: readers skip it, and whoever is in between sees that the connection is in use."""
CUT: Final = b": cut for falling behind; ask again with Last-Event-ID\n"

_TICK_S = 10.0
_POLL_S = 5.0
_PAUSE_S: Final = 0.02
_RETRY_S: Final = 1.0
_GRACE_S: Final = 10.0
_STRETCH: Final = 200
_ROOM: Final = 1_000
_ROOM_BYTES: Final = 1024 * 1024
_ALL: Final = View(audit=True, people=True, personal=True)

log = structlog.get_logger(__name__)


class TooManyListeners(TooManyRequests):
    """The tenant has as many listeners at this edge as it may."""

    code, title = "events.too_many_listeners", "Too many are listening already"


class Told:
    """An event on its way to many: what it looks like is worked out once for all who see the same of it."""

    __slots__ = ("_frames", "event", "place", "size")

    def __init__(self, place: int, event: Event) -> None:
        self.place = place
        self.event = event
        self._frames: dict[View, bytes] = {}
        self.size = len(self.frame(_ALL))

    def frame(self, view: View) -> bytes:
        """The event as server-sent event."""
        frame = self._frames.get(view)
        if frame is None:
            event = shown(self.event, view)
            head = f"id: {event.id}\nevent: {event.type}\ndata: "
            frame = self._frames[view] = head.encode() + event.model_dump_json().encode() + b"\n\n"
        return frame


class Listener:
    """One who listens. What they have not taken yet is bounded: who falls behind is cut, and resumes."""

    def __init__(
        self, hub: "LiveEvents", principal: Principal, renew: Renew, wanted: StreamEvents, ends: float
    ) -> None:
        self._hub = hub
        self._principal = principal
        self._renew = renew
        self._wanted = wanted
        self._ends = ends
        # The caller was let in a moment ago; what was heard of them since then counts.
        self._checked_at = float("-inf")
        self._place = 0
        self._waiting: deque[Told] = deque()
        self._size = 0
        self._awake = asyncio.Event()
        self._is_cut = False

    @property
    def types(self) -> frozenset[str] | None:
        """The types of events that they want to hear of, None for all."""
        return self._wanted.types

    def offer(self, told: Told) -> None:
        """Here is the next event of the tenant."""
        if told.place <= self._place or self._is_cut or not self._is_wanted(told.event):
            return
        self._waiting.append(told)
        self._size += told.size
        if len(self._waiting) > _ROOM or self._size > _ROOM_BYTES:
            self._is_cut = True
            self._waiting.clear()
        self._awake.set()

    def wake(self) -> None:
        """Look whether there is anything to do."""
        self._awake.set()

    async def pieces(self, place: int) -> AsyncGenerator[bytes, None]:
        """What was published behind `place`, then what is published from now on, until the listener's rights, time or
        edge ends. Raises DomainError when the past cannot be read."""
        self._place = place
        yield OPENING
        async for piece in self._past(None):
            yield piece
        # From here on everything comes by `offer`; the reader may be ahead of what was read last.
        async for piece in self._past(self._hub.attach(self._principal.tenant_id, self, self._place)):
            yield piece
        while await self._may_go_on():
            if self._is_cut:
                yield CUT
                return
            self._awake.clear()
            if self._waiting:
                waiting, self._waiting, self._size = self._waiting, deque(), 0
                self._place = waiting[-1].place
                if piece := self._frames(waiting):
                    yield piece
            elif not await self._woken():
                yield HEARTBEAT

    async def _past(self, until: int | None) -> AsyncGenerator[bytes, None]:
        more = until is None or until > self._place
        reader = Principal.system(self._principal.tenant_id, "stream")
        while more and await self._may_go_on():
            stretch = await self._hub.api.follow(
                reader,
                FollowEvents(
                    after=self._place, until=until, types=self._wanted.types, forms=self._forms(), limit=_STRETCH
                ),
            )
            self._place, more = stretch.last, stretch.more
            if piece := self._frames(Told(place, event) for place, event in stretch.events):
                yield piece

    def _forms(self) -> frozenset[str] | None:
        if self._wanted.form_id is not None:
            return frozenset({self._wanted.form_id})
        return None if may_see(self._principal, None) else self._principal.forms_granted("events:read")

    def _frames(self, events: Iterable[Told]) -> bytes:
        return b"".join(
            told.frame(view_of(self._principal, told.event.form_id))
            for told in events
            if self._is_wanted(told.event) and may_see(self._principal, told.event.form_id)
        )

    def _is_wanted(self, event: Event) -> bool:
        wanted = self._wanted
        return (wanted.types is None or event.type in wanted.types) and (
            wanted.form_id is None or event.form_id == wanted.form_id
        )

    async def _woken(self) -> bool:
        """Whether something happened before it was time for a heartbeat."""
        now = time.monotonic()
        try:
            async with asyncio.timeout(max(0.0, min(_TICK_S, self._ends - now))):
                await self._awake.wait()
        except TimeoutError:
            return False
        return True

    async def _may_go_on(self) -> bool:
        """Whether the listener may hear more. Asked again when their tenant changes, and from time to time; while
        nobody can tell, they hear nothing, and after a while the stream ends."""
        began = time.monotonic()
        while not self._hub.closed and (now := time.monotonic()) < self._ends:
            if self._hub.latest_change(self._principal.tenant_id) < self._checked_at > now - _TICK_S:
                return True
            try:
                self._principal = await self._renew()
            except (Unauthenticated, Forbidden, NotFound):
                return False
            except DomainError as error:
                if now - began > _GRACE_S:
                    return False
                log.info("rights of a listener are not known", error=error.detail)
                await asyncio.sleep(_RETRY_S)
                continue
            self._checked_at = now
            if self._wanted.form_id is not None and not may_see(self._principal, self._wanted.form_id):
                return False
        return False


class _Feed:
    """The reader of one tenant: it runs while somebody listens."""

    def __init__(self, api: EventsApi, tenant_id: str) -> None:
        self._api = api
        self._reader = Principal.system(tenant_id, "stream")
        self._place = 0
        self._awake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.listeners: set[Listener] = set()
        self.entered = 0

    def attach(self, listener: Listener, place: int) -> int:
        """Hand the listener what is behind the place that this returns; they have heard everything up to `place`."""
        self.listeners.add(listener)
        if self._task is None:
            self._place = place
            self._task = asyncio.create_task(self._run())
        return self._place

    def wake(self) -> None:
        """There may be something to read."""
        self._awake.set()

    def stop(self) -> None:
        """Read no more."""
        if self._task is not None:
            self._task.cancel()

    async def _run(self) -> None:
        while True:
            try:
                more = await self._read()
            except DomainError as error:
                log.info("live events wait", tenant=self._reader.tenant_id, error=error.detail)
                await asyncio.sleep(_RETRY_S)
                continue
            except Exception:
                log.exception("live events wait", tenant=self._reader.tenant_id)
                await asyncio.sleep(_RETRY_S)
                continue
            # Nudges come in swarms; what they are about is read together.
            await asyncio.sleep(_PAUSE_S)
            if not more:
                await self._woken()

    async def _read(self) -> bool:
        """Hand on what is new; whether there is more."""
        self._awake.clear()
        types = self._wanted_types()
        wanted = FollowEvents(after=self._place, types=types, limit=_STRETCH)
        stretch = await self._api.follow(self._reader, wanted)
        wanted_now = self._wanted_types()
        if types is not None and (wanted_now is None or not wanted_now <= types):
            return True  # Somebody came meanwhile, who wants of this stretch what was not asked for.
        for place, event in stretch.events:
            told = Told(place, event)
            for listener in self.listeners:
                listener.offer(told)
        self._place = stretch.last
        return stretch.more

    def _wanted_types(self) -> frozenset[str] | None:
        """What anybody listens to, None for everything: what nobody wants is not read."""
        wanted: set[str] = set()
        for listener in self.listeners:
            if listener.types is None:
                return None
            wanted |= listener.types
        return frozenset(wanted)

    async def _woken(self) -> None:
        try:
            async with asyncio.timeout(_POLL_S):
                await self._awake.wait()
        except TimeoutError:
            pass  # a nudge may have been lost


class LiveEvents:
    """Everybody who listens at this edge. `most` may listen for one tenant."""

    def __init__(self, api: EventsApi, changes: Changes, most: int) -> None:
        self.api = api
        self.closed = False
        self._changes = changes
        self._most = most
        self._feeds: dict[str, _Feed] = {}

    @property
    def listeners(self) -> int:
        """How many listen."""
        return sum(feed.entered for feed in self._feeds.values())

    def wake(self, tenants: Iterable[str]) -> None:
        """Events of these tenants were published."""
        for tenant_id in tenants:
            if (feed := self._feeds.get(tenant_id)) is not None:
                feed.wake()

    def recheck(self, tenant_id: str) -> None:
        """Rights may have changed in the tenant, as `changes` knows."""
        feeds = self._feeds.values() if tenant_id == PLATFORM_TENANT else (self._feeds.get(tenant_id),)
        for feed in feeds:
            for listener in feed.listeners if feed is not None else ():
                listener.wake()

    def close(self) -> None:
        """End every stream: its listener goes on elsewhere."""
        self.closed = True
        for feed in self._feeds.values():
            for listener in feed.listeners:
                listener.wake()

    def latest_change(self, tenant_id: str) -> float:
        """When (of `time.monotonic`) rights in the tenant last changed, as far as is known here."""
        return max(self._changes.latest(tenant_id), self._changes.latest(PLATFORM_TENANT))

    def attach(self, tenant_id: str, listener: Listener, place: int) -> int:
        """See `_Feed.attach`."""
        return self._feeds[tenant_id].attach(listener, place)

    async def stream(
        self, principal: Principal, renew: Renew, wanted: StreamEvents, seconds: float | None
    ) -> AsyncGenerator[bytes, None]:
        """The stream for one caller, for so long if a time is given. Raises TooManyListeners, or what `begin` of the
        context raises, before its first piece."""
        tenant_id = principal.tenant_id
        feed = self._feeds.get(tenant_id)
        if feed is not None and feed.entered >= self._most:
            raise TooManyListeners(
                f"The tenant has {self._most} listeners here, and may have no more.", retry_after=5.0
            )
        if feed is None:
            feed = self._feeds[tenant_id] = _Feed(self.api, tenant_id)
        feed.entered += 1
        ends = float("inf") if seconds is None else time.monotonic() + seconds
        listener = Listener(self, principal, renew, wanted, ends)
        try:
            place = await self.api.begin(principal, wanted)
            async with aclosing(listener.pieces(place)) as pieces:
                async for piece in pieces:
                    yield piece
        finally:
            feed.listeners.discard(listener)
            feed.entered -= 1
            if not feed.entered:
                feed.stop()
                del self._feeds[tenant_id]
