"""The pull: one request of a durable consumer that stays open, and what came for it, taken fairly over the tenants."""

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from typing import Final

import orjson
from nats.aio.client import Client as NatsClient
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.js.api import Header, StatusCode

from eventing.errors import PullEnded
from eventing.streams import EVENTS

_EXPIRES_S: Final = 60.0
_HEARTBEAT_S: Final = 2.0
_SILENCE_S: Final = 3 * _HEARTBEAT_S
_FEW: Final = 2
_SHARES: Final = 3
_SHARED_S: Final = 10.0
_LITTLE: Final = 8
_HEARTBEAT: Final = "100"
_NANOSECONDS: Final = 1_000_000_000
_ENDED: Final = {StatusCode.NO_MESSAGES.value, StatusCode.REQUEST_TIMEOUT.value}


class Pull:
    """The messages of one durable consumer of EVENTS for one replica; holds at most `bound` that nobody has taken.

    A request waits at the server for the next messages (NATS ADR-37, continuous polling), so that each comes as soon
    as it is stored and none costs a request of its own. Those of one tenant are taken in the order they came in.
    """

    def __init__(self, client: NatsClient, consumer: str, bound: int) -> None:
        self._client = client
        self._subject = f"$JS.API.CONSUMER.MSG.NEXT.{EVENTS}.{consumer}"
        self._bound = bound
        self._subscription: Subscription | None = None
        self._inbox = ""
        self._asked = 0
        self._held = 0
        self._lines: dict[str, deque[Msg]] = {}
        self._came = asyncio.Event()
        self._newcomer = asyncio.Event()
        self._served: frozenset[str] = frozenset()
        self._is_put_off = False
        self._shared_at = float("-inf")
        self._failure = ""
        self._heard_at = 0.0

    @property
    def held(self) -> Sequence[Msg]:
        """What came and was not taken yet."""
        return [message for line in self._lines.values() for message in line]

    def has(self, limit: int) -> bool:
        """Whether as much waits as one tenant gets of `limit`."""
        return self._held >= self._share(limit)

    def wake(self) -> None:
        """End the wait of `take`."""
        self._came.set()

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
        """Up to `limit` messages, none after `timeout_s` without one: of each tenant the same number at most. Where
        there are others, or were a moment ago, a third of `limit` of one: who comes meanwhile waits for its end.

        Raises PullEnded when the server ended the request or went silent: then `open` anew.
        """
        if not self._held and not self._failure:
            self._came.clear()
            try:
                async with asyncio.timeout(timeout_s):
                    await self._came.wait()
            except TimeoutError:
                pass
        taken = self._choose(limit)
        if not taken:
            if self._failure:
                raise PullEnded(self._failure)
            if time.monotonic() - self._heard_at > _SILENCE_S:
                raise PullEnded("the server is silent")
        if self._subscription is not None and not self._asked and not self._failure:
            await self._ask()
        return taken

    async def rest(self, seconds: float) -> None:
        """Let more come together. Where one or two tenants make the load, no other waits for that."""
        self._newcomer.clear()
        if len(self._served) > _FEW:
            await asyncio.sleep(seconds)
            return
        if not self._served.issuperset(self._lines):
            return
        try:
            async with asyncio.timeout(seconds):
                await self._newcomer.wait()
        except TimeoutError:
            pass

    def _choose(self, limit: int) -> list[Msg]:
        if len(self._lines) > 1:
            self._shared_at = time.monotonic()
        share = self._share(limit)
        tenants = list(self._lines)[:limit]
        # Who has little does not wait for a batch in which another has much; but the other is not put off twice.
        little = [tenant for tenant in tenants if len(self._lines[tenant]) <= _LITTLE]
        if self._is_put_off or len(little) == len(tenants):
            little = []
        self._is_put_off = bool(little)
        taken: list[Msg] = []
        for tenant in little or tenants:
            line = self._lines.pop(tenant)
            taken += (line.popleft() for _ in range(min(share, len(line))))
            if line:
                self._lines[tenant] = line  # behind the others, whose turn is next
        self._held -= len(taken)
        self._served = frozenset(_tenant(message) for message in taken)
        return taken

    def _share(self, limit: int) -> int:
        """How many of `limit` one tenant gets."""
        is_shared = time.monotonic() - self._shared_at < _SHARED_S
        return max(1, limit // max(_SHARES, len(self._lines))) if is_shared else limit

    async def _ask(self) -> None:
        number = self._bound - self._held
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
        self._held += 1
        tenant = _tenant(message)
        line = self._lines.get(tenant)
        if line is None:
            line = self._lines[tenant] = deque()
            if tenant not in self._served:
                self._newcomer.set()
        line.append(message)
        self._heard_at = time.monotonic()
        self._came.set()

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
        self._came.set()


def _tenant(message: Msg) -> str:
    return message.subject.split(".", 2)[1]
