"""The pull: one request of a durable consumer that stays open, and what came for it, taken fairly over the tenants."""

import asyncio
import time
from collections.abc import Sequence
from typing import Final

import orjson
from nats.aio.client import Client as NatsClient
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.js.api import Header, StatusCode

from eventing.errors import PullEnded
from eventing.lines import Lines
from eventing.streams import EVENTS

_EXPIRES_S: Final = 60.0
_HEARTBEAT_S: Final = 2.0
_SILENCE_S: Final = 3 * _HEARTBEAT_S
_HEARTBEAT: Final = "100"
_NANOSECONDS: Final = 1_000_000_000
_ENDED: Final = {StatusCode.NO_MESSAGES.value, StatusCode.REQUEST_TIMEOUT.value}


class Pull:
    """The messages of one durable consumer of EVENTS for one replica; holds at most `bound` that nobody has taken.

    A request waits at the server for the next messages (NATS ADR-37, continuous polling), so that each comes as soon
    as it is stored and none costs a request of its own. Those of one tenant are taken in the order they came in, by
    one batch at a time.
    """

    def __init__(self, client: NatsClient, consumer: str, bound: int) -> None:
        self._client = client
        self._subject = f"$JS.API.CONSUMER.MSG.NEXT.{EVENTS}.{consumer}"
        self._bound = bound
        self._subscription: Subscription | None = None
        self._inbox = ""
        self._asked = 0
        self._lines = Lines()
        self._news = asyncio.Event()
        self._is_ended = False
        self._failure = ""
        self._heard_at = 0.0

    @property
    def held(self) -> Sequence[Msg]:
        """What came and was not taken yet."""
        return self._lines.waiting

    def has(self, limit: int) -> bool:
        """Whether as much waits as one tenant gets of `limit`."""
        return self._lines.has(limit)

    def end(self) -> None:
        """From now on `take` does not wait, and nobody rests."""
        self._is_ended = True
        self._lines.wake()
        self._news.set()

    async def open(self) -> None:
        """Begin, or begin anew after the connection or the consumer was lost; what is held stays.

        Raises nats.errors.Error.
        """
        await self.close()
        self._inbox = self._client.new_inbox()
        self._subscription = await self._client.subscribe(self._inbox, cb=self._receive)
        self._failure = ""
        await self._ask()

    async def close(self) -> None:
        """Ask for no more. Raises nats.errors.Error, OSError."""
        subscription, self._subscription, self._asked = self._subscription, None, 0
        if subscription is not None:
            await subscription.unsubscribe()

    async def take(self, limit: int, timeout_s: float) -> list[Msg]:
        """Up to `limit` messages as `Lines.take` chooses them, none after `timeout_s` without one. Say `done` of them.

        Raises PullEnded when the server ended the request or went silent: then `open` anew.
        """
        until = time.monotonic() + timeout_s
        while not (taken := self._lines.take(limit)) and not self._failure and not self._is_ended:
            await self._ask_again()
            left = until - time.monotonic()
            if left <= 0:
                break
            await self._wait(min(left, self._lines.rest_s()))
        if not taken:
            if self._failure:
                raise PullEnded(self._failure)
            if time.monotonic() - self._heard_at > _SILENCE_S:
                raise PullEnded("the server is silent")
        await self._ask_again()
        return taken

    def done(self, taken: Sequence[Msg], rest_s: float = 0.0) -> None:
        """These are dealt with: their tenants' next may be taken, when they have rested."""
        self._lines.done(taken, rest_s)
        self._news.set()

    async def _wait(self, seconds: float) -> None:
        self._news.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._news.wait()
        except TimeoutError:
            pass

    async def _ask_again(self) -> None:
        if self._subscription is not None and not self._asked and not self._failure:
            await self._ask()

    async def _ask(self) -> None:
        number = self._bound - len(self._lines)
        if number <= 0:
            return
        self._asked = number
        self._heard_at = time.monotonic()
        wanted = {
            "batch": number,
            "expires": int(_EXPIRES_S * _NANOSECONDS),
            "idle_heartbeat": int(_HEARTBEAT_S * _NANOSECONDS),
        }
        await self._client.publish(self._subject, orjson.dumps(wanted), self._inbox)

    async def _receive(self, message: Msg) -> None:
        if message.subject == self._inbox:
            self._hear(message)
            return
        self._asked -= 1
        self._lines.add(message)
        self._heard_at = time.monotonic()
        self._news.set()

    def _hear(self, message: Msg) -> None:
        """A word of the server on the request itself."""
        self._heard_at = time.monotonic()
        headers = message.headers or {}
        status = headers.get(Header.STATUS.value, "")
        if status == _HEARTBEAT:
            return
        self._asked = 0
        if status not in _ENDED:
            self._failure = f"{status} {headers.get(Header.DESCRIPTION.value, '')}".strip()
        self._news.set()
