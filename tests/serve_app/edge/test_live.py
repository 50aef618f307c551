"""E6: the fan-out of live events, one event loop and a log in memory: every order of things can be had here."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

from deployments.events.contracts import Event, FollowEvents, StreamEvents, Stretch
from deployments.kit.cache import Changes
from deployments.kit.errors import Unauthenticated, Unavailable
from deployments.kit.principal import Principal
from serve_app.edge import live
from serve_app.edge.live import CUT, HEARTBEAT, LiveEvents, TooManyListeners
from tests.eventing.harness import DEADLINE_S, eventually, is_true

OWNER = Principal("acme", "usr_1", "user", "owner", frozenset({"*"}))
EVERYTHING = StreamEvents()


def type_of(number: int) -> str:
    return "form.deleted" if number % 2 else "form.updated"


def an_event(number: int) -> Event:
    return Event(
        id=f"evt_{number}",
        type=type_of(number),
        version=1,
        timestamp=datetime(2026, 3, 1, tzinfo=UTC),
        tenant_id="acme",
        entity_id="frm_1",
        form_id="frm_1",
        actor="usr_1",
        request_id="",
        traceparent="",
        address="192.0.2.1",
        user_agent="agent",
        data={"form_id": "frm_1"},
    )


class Log:
    """The events of a tenant, as the context would tell them."""

    def __init__(self) -> None:
        self.last = 0
        self.reads = 0
        self.gates: list[asyncio.Event] = []
        self.asked: list[frozenset[str] | None] = []
        self.failure: Exception | None = None

    async def begin(self, principal: Principal, wanted: StreamEvents) -> int:
        return self.last if wanted.after is None else int(wanted.after.removeprefix("evt_"))

    async def follow(self, principal: Principal, wanted: FollowEvents) -> Stretch:
        self.reads += 1
        end = min(self.last, wanted.until) if wanted.until is not None else self.last
        wants = range(wanted.after + 1, end + 1)
        places = [place for place in wants if wanted.types is None or type_of(place) in wanted.types][: wanted.limit]
        self.asked.append(wanted.types)
        await asyncio.sleep(0.001)
        if self.gates:
            await self.gates.pop(0).wait()
        if self.failure is not None:
            raise self.failure
        more = len(places) == wanted.limit
        last = places[-1] if more else max(wanted.after, end)
        return Stretch(events=[(place, an_event(place)) for place in places], last=last, more=more)


class Scene:
    def __init__(self, most: int = 100) -> None:
        self.log = Log()
        self.changes = Changes(60)
        api: Any = self.log
        self.hub = LiveEvents(api, self.changes, most)
        self.now: Principal | Exception = OWNER
        self.asked = 0

    async def renew(self) -> Principal:
        self.asked += 1
        if isinstance(self.now, Exception):
            raise self.now
        return self.now

    def publish(self, number: int = 1) -> None:
        self.log.last += number
        self.hub.wake(["acme"])

    def change(self) -> None:
        self.changes.note("acme")
        self.hub.recheck("acme")

    @property
    def attached(self) -> int:
        """How many the reader serves."""
        return len(self.hub._feeds["acme"].listeners) if "acme" in self.hub._feeds else 0

    @property
    def handed_on(self) -> int:
        """The place up to which the reader has handed events on, and the listeners have taken them."""
        feed = self.hub._feeds["acme"]
        return -1 if any(listener._waiting for listener in feed.listeners) else feed._place

    async def takes_one(self, stream: AsyncGenerator[bytes, None]) -> None:
        """Publish the first event, and let it be the last that is taken from a live stream."""
        await anext(stream)
        taking = asyncio.ensure_future(anext(stream))
        others = self.hub.listeners - 1
        await eventually(lambda: is_true(lambda: self.attached > others))
        self.publish()
        assert ids([await taking]) == [1]

    @asynccontextmanager
    async def listening(
        self, after: str | None = None, *types: str, form_id: str | None = None
    ) -> AsyncIterator[list[bytes]]:
        heard: list[bytes] = []

        async def listen() -> None:
            wanted = StreamEvents(after=after, types=frozenset(types) or None, form_id=form_id)
            async with aclosing(self.hub.stream(OWNER, self.renew, wanted, None)) as pieces:
                async for piece in pieces:
                    heard.append(piece)
            heard.append(b"over")

        task = asyncio.create_task(listen())
        try:
            await eventually(lambda: is_true(lambda: heard))
            yield heard
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def ids(heard: list[bytes]) -> list[int]:
    lines = b"".join(heard).decode().splitlines()
    return [int(line.removeprefix("id: evt_")) for line in lines if line.startswith("id: ")]


async def test_whenever_somebody_joins_they_hear_each_event_once_and_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """E6: joining while events are published, behind, at and before the reader; no gap and no double at the seam."""
    monkeypatch.setattr(live, "_STRETCH", 3)
    monkeypatch.setattr(live, "_PAUSE_S", 0.0)
    scene = Scene()
    scene.log.last = 20

    async def publishes() -> None:
        for _ in range(200):
            scene.publish()
            await asyncio.sleep(0.0005)

    async def joins(start: int) -> None:
        await asyncio.sleep(start / 200)
        async with scene.listening(f"evt_{start}") as heard:
            await eventually(lambda: is_true(lambda: ids(heard)[-1:] == [220]))
            assert ids(heard) == list(range(start + 1, 221))

    async with scene.listening(), asyncio.TaskGroup() as group:
        group.create_task(publishes())
        for start in (0, 1, 7, 15, 19, 20):
            group.create_task(joins(start))
    assert scene.hub.listeners == 0


async def test_who_listens_to_one_form_hears_of_no_other() -> None:
    """E6: neither of what was before they came nor of what comes then, whatever others hear."""
    scene = Scene()
    scene.log.last = 2
    async with scene.listening("evt_0") as everything, scene.listening("evt_0", form_id="frm_2") as other:
        await eventually(lambda: is_true(lambda: scene.attached == 2))
        scene.publish(3)
        await eventually(lambda: is_true(lambda: ids(everything) == [1, 2, 3, 4, 5] and scene.handed_on == 5))
        assert ids(other) == []


async def test_what_nobody_wants_is_not_read_and_who_joins_a_reader_at_work_gets_theirs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """E6: a listener of other types that comes while a stretch is on its way misses nothing of it."""
    scene = Scene()
    idle, past, stretch = asyncio.Event(), asyncio.Event(), asyncio.Event()
    woken = live._Feed._woken

    async def waits(feed: live._Feed) -> None:
        idle.set()
        await woken(feed)

    monkeypatch.setattr(live._Feed, "_woken", waits)
    async with scene.listening("evt_0", "form.updated") as even:
        await asyncio.wait_for(idle.wait(), DEADLINE_S)
        assert scene.attached == 1
        scene.log.gates = [past]
        async with scene.listening("evt_0", "form.deleted") as odd:
            # Their past is read, and on its way; then something happens, which the reader has read before they join.
            await eventually(lambda: is_true(lambda: not scene.log.gates))
            scene.log.gates = [stretch]
            scene.publish(2)
            await eventually(lambda: is_true(lambda: not scene.log.gates))
            past.set()
            await eventually(lambda: is_true(lambda: scene.attached == 2))
            stretch.set()
            await eventually(lambda: is_true(lambda: (ids(even), ids(odd)) == ([2], [1])))
    assert None not in scene.log.asked


async def test_one_reader_serves_all_listeners() -> None:
    """E6: what is read does not grow with the number of those who listen."""
    scene = Scene()
    async with scene.listening() as first:
        others = [scene.listening() for _ in range(50)]
        heard = [await other.__aenter__() for other in others]
        before = scene.log.reads
        scene.publish(3)
        await eventually(lambda: is_true(lambda: all(ids(each) == [1, 2, 3] for each in (first, *heard))))
        assert scene.log.reads - before <= 3
        for other in others:
            await other.__aexit__(None, None, None)


async def test_who_falls_behind_is_cut_and_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """E6: what waits for one listener is bounded in number and in bytes; the others do not notice."""
    for name, most in (("_ROOM", 4), ("_ROOM_BYTES", 1_500)):
        with monkeypatch.context() as patch:
            patch.setattr(live, name, most)
            scene = Scene()
            slow = scene.hub.stream(OWNER, scene.renew, EVERYTHING, None)
            async with aclosing(slow), scene.listening() as quick:
                await scene.takes_one(slow)
                for number in range(2, 22):
                    scene.publish()
                    await eventually(lambda number=number: is_true(lambda: ids(quick)[-1:] == [number]))
                assert [piece async for piece in slow] == [CUT]
            assert ids(quick) == list(range(1, 22))


async def test_nothing_is_heard_after_the_news_that_rights_are_gone() -> None:
    """E6: what was published at that moment, and waits, is not sent any more."""
    scene = Scene()
    stream = scene.hub.stream(OWNER, scene.renew, EVERYTHING, None)
    async with aclosing(stream), scene.listening() as witness:
        await scene.takes_one(stream)
        scene.publish()
        await eventually(lambda: is_true(lambda: ids(witness) == [1, 2]))
        scene.now = Unauthenticated()
        scene.change()
        assert [piece async for piece in stream] == []
        await eventually(lambda: is_true(lambda: witness[-1] == b"over"))


async def test_a_listener_hears_with_the_rights_of_now() -> None:
    """E6: a grant for one form that is left shows that form's events, without what an auditor sees."""
    scene = Scene()
    async with scene.listening() as heard:
        scene.publish()
        await eventually(lambda: is_true(lambda: ids(heard) == [1]))
        assert b"192.0.2.1" in heard[-1]
        scene.now = Principal("acme", "usr_1", "user", grants={"frm_1": frozenset({"events:read"})})
        scene.change()
        scene.publish()
        await eventually(lambda: is_true(lambda: ids(heard) == [1, 2]))
        assert b"192.0.2.1" not in heard[-1]
        asked = scene.asked
        scene.now = Principal("acme", "usr_1", "user", grants={"frm_2": frozenset({"events:read"})})
        scene.change()
        scene.publish()
        await eventually(lambda: is_true(lambda: scene.handed_on == 3 and scene.asked == asked + 1))
        scene.now = OWNER
        scene.change()
        scene.publish()
        await eventually(lambda: is_true(lambda: ids(heard)[-1:] == [4]))
        assert ids(heard) == [1, 2, 4]


async def test_while_nobody_can_tell_the_rights_nothing_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    """E6: it goes on when they are known again, and ends when that takes too long."""
    monkeypatch.setattr(live, "_RETRY_S", 0.01)
    scene = Scene()
    async with scene.listening() as heard:
        scene.now = Unavailable("away")
        scene.change()
        scene.publish()
        await asyncio.sleep(0.1)
        assert ids(heard) == []
        scene.now = OWNER
        await eventually(lambda: is_true(lambda: ids(heard) == [1]))
        monkeypatch.setattr(live, "_GRACE_S", 0.05)
        scene.now = Unavailable("away")
        scene.change()
        await eventually(lambda: is_true(lambda: heard[-1] == b"over"))


async def test_a_reader_outlives_its_failures(monkeypatch: pytest.MonkeyPatch) -> None:
    """E6: also those that nobody thought of; and without any nudge events are found in time."""
    monkeypatch.setattr(live, "_RETRY_S", 0.01)
    monkeypatch.setattr(live, "_POLL_S", 0.05)
    scene = Scene()
    async with scene.listening() as heard:
        for failure in (Unavailable("away"), RuntimeError("unthought of")):
            scene.log.failure = failure
            scene.publish()
            await asyncio.sleep(0.05)
            scene.log.failure = None
        scene.log.last += 1  # and nobody says so
        await eventually(lambda: is_true(lambda: ids(heard) == [1, 2, 3]))


async def test_a_quiet_stream_shows_that_it_is_alive_and_ends_on_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "_TICK_S", 0.01)
    scene = Scene()
    pieces = [piece async for piece in scene.hub.stream(OWNER, scene.renew, EVERYTHING, 0.1)]
    assert set(pieces) == {HEARTBEAT}
    assert len(pieces) > 3


async def test_limits_and_the_end_of_the_edge() -> None:
    scene = Scene(most=2)
    async with scene.listening() as first, scene.listening() as second:
        with pytest.raises(TooManyListeners):
            await anext(scene.hub.stream(OWNER, scene.renew, EVERYTHING, None))
        scene.hub.close()
        await eventually(lambda: is_true(lambda: (first[-1], second[-1]) == (b"over", b"over")))
    assert scene.hub.listeners == 0
