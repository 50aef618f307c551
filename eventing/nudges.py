"""Nudges: what a commit brought wakes who waits for it, in this process at once and in others over core NATS."""

import asyncio
import secrets
from collections import defaultdict
from collections.abc import Awaitable, Callable
from typing import Final

import orjson
import structlog
from nats.aio.client import Client as NatsClient
from nats.aio.msg import Msg

from db.session import Database
from eventing.outbox import EVENTS_TOPIC
from eventing.subjects import NUDGE_CHANGED, NUDGE_RELAY, change_in, job_nudge

_JOBS: Final = "jobs."
_COOLDOWN_S: Final = 0.02
_START_S: Final = 5.0

_log = structlog.get_logger(__name__)


def _subject(topic: str) -> str:
    if topic == EVENTS_TOPIC:
        return NUDGE_RELAY
    if topic.startswith(_JOBS):
        return job_nudge(topic.removeprefix(_JOBS))
    raise ValueError(f"nobody can be nudged about {topic!r}")


class Nudges:
    """Carries the topics of `Database.listen`: "events", "jobs.<queue>" and what changed of tenants. Hints only, so
    failures are logged.

    Other processes hear of a topic at most once per 20 ms, and once more after the last commit. `changed` is called
    with what other processes changed; who commits tells their own process themselves.
    """

    def __init__(
        self, database: Database, client: NatsClient, changed: Callable[[frozenset[str]], None] | None = None
    ) -> None:
        self._client = client
        self._changed = changed
        self._name = secrets.token_hex(8)
        self._wakers: defaultdict[str, list[Callable[[], None]]] = defaultdict(list)
        self._pending: set[str] = set()
        self._sender: asyncio.Task[None] | None = None
        self._stopped = False
        database.listen(self._heard)

    def wake(self, topic: str, waker: Callable[[], None]) -> None:
        """Call `waker` about `topic`, whichever process the commit was in. Before `start`."""
        self._wakers[topic].append(waker)

    async def start(self) -> None:
        """Listen to other processes too. Raises nats.errors.Error when the connection is closed."""
        async with asyncio.timeout(_START_S):
            for topic in self._wakers:
                await self._client.subscribe(_subject(topic), cb=self._listener(topic))
            if self._changed is not None:
                await self._client.subscribe(NUDGE_CHANGED, cb=self._on_changed)

    async def stop(self) -> None:
        """Carry nothing any more; the connection belongs to the caller."""
        self._stopped = True
        if self._sender is not None:
            self._sender.cancel()
            await asyncio.wait({self._sender})

    def _heard(self, topics: frozenset[str]) -> None:
        if self._stopped:
            return
        for topic in topics:
            self._wake_here(topic)
        self._pending |= topics
        if self._pending and (self._sender is None or self._sender.done()):
            self._sender = asyncio.get_running_loop().create_task(self._send())

    def _listener(self, topic: str) -> Callable[[Msg], Awaitable[None]]:
        async def on_nudge(_message: Msg) -> None:
            if not self._stopped:
                self._wake_here(topic)

        return on_nudge

    async def _on_changed(self, message: Msg) -> None:
        try:
            sender, topics = orjson.loads(message.data)
            heard = frozenset(str(topic) for topic in topics)
        except (ValueError, TypeError):
            _log.warning("nudge is not readable")
            return
        if self._changed is not None and sender != self._name and not self._stopped:
            self._changed(heard)

    def _wake_here(self, topic: str) -> None:
        for waker in self._wakers.get(topic, ()):
            waker()

    async def _send(self) -> None:
        while self._pending:
            topics, self._pending = self._pending, set()
            changes = sorted(topic for topic in topics if change_in(topic))
            hints = [(_subject(topic), b"") for topic in topics.difference(changes)]
            if changes:
                # First of all: who hears of them answers wrongly until then.
                hints.insert(0, (NUDGE_CHANGED, orjson.dumps([self._name, changes])))
            if self._client.is_connected:
                for subject, payload in hints:
                    try:
                        await self._client.publish(subject, payload)
                    except Exception as error:  # noqa: BLE001 - a lost hint; the poll finds what it was about
                        _log.info("nudge not sent", subject=subject, error=str(error) or type(error).__name__)
            await asyncio.sleep(_COOLDOWN_S)
