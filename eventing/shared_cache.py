"""A level of caches that processes share: a bucket of NATS that keeps values in memory, for a while, within a size.

Nothing depends on it. Without NATS, with a slow one, or with a bucket that is full or gone, every question is answered
at once with "not known", and what was to be kept is not.
"""

import asyncio
from typing import Final

import structlog
from nats.aio.client import Client as NatsClient
from nats.errors import Error as NatsError
from nats.js.api import DiscardPolicy, StorageType, StreamConfig
from nats.js.errors import APIError, KeyNotFoundError
from nats.js.kv import KeyValue

from eventing.settings import EventingSettings

BUCKET: Final = "CACHE"

_ANSWER_S: Final = 0.05
_DECLARE_S: Final = 2.0
_REST_S: Final = 1.0
_PUTTING: Final = 64

_log = structlog.get_logger(__name__)


class SharedCache:
    """The bucket over one connection. After a failure it is left alone for a second, then looked for again."""

    def __init__(self, client: NatsClient, settings: EventingSettings) -> None:
        self._client = client
        self._settings = settings
        self._bucket: KeyValue | None = None
        self._declaring: asyncio.Task[None] | None = None
        self._putting: set[asyncio.Task[None]] = set()
        self._rests_until = float("-inf")
        self.failures = 0

    async def get(self, name: str) -> bytes | None:
        """What is kept under a name of `[-/_=.a-zA-Z0-9]+`; None when that cannot be told within 50 ms."""
        bucket = self._usable()
        if bucket is None:
            return None
        try:
            async with asyncio.timeout(_ANSWER_S):
                return (await bucket.get(name)).value
        except KeyNotFoundError:
            return None
        except (NatsError, OSError, TimeoutError) as error:
            self._failed(error)
            return None

    def put(self, name: str, value: bytes) -> None:
        """Keep a value soon; not when many wait already."""
        bucket = self._usable()
        if bucket is None or len(self._putting) >= _PUTTING:
            return
        task = asyncio.create_task(self._put(bucket, name, value))
        self._putting.add(task)
        task.add_done_callback(self._putting.discard)

    async def settle(self) -> None:
        """Wait until nothing is on its way."""
        tasks = {*self._putting, *([self._declaring] if self._declaring is not None else [])}
        if tasks:
            await asyncio.wait(tasks)

    async def stop(self) -> None:
        """Give up what is on its way; the connection belongs to the caller."""
        self._rests_until = float("inf")
        for task in (*self._putting, *([self._declaring] if self._declaring is not None else [])):
            task.cancel()
        await self.settle()

    async def _put(self, bucket: KeyValue, name: str, value: bytes) -> None:
        try:
            async with asyncio.timeout(_DECLARE_S):
                await bucket.put(name, value)
        except (NatsError, OSError, TimeoutError) as error:
            self._failed(error)

    def _usable(self) -> KeyValue | None:
        if not self._client.is_connected or asyncio.get_running_loop().time() < self._rests_until:
            return None
        if self._bucket is None and (self._declaring is None or self._declaring.done()):
            self._declaring = asyncio.create_task(self._declare())
        return self._bucket

    async def _declare(self) -> None:
        stream = self._client.jetstream(timeout=_DECLARE_S)
        try:
            async with asyncio.timeout(_DECLARE_S):
                try:
                    await stream.add_stream(_declaration(self._settings))
                except APIError:
                    # It was declared with other numbers, or there are fewer servers: those that hold are good enough.
                    await stream.update_stream(_declaration(self._settings))
                # Answers come from its own context, whose deadline they share.
                self._bucket = await stream.key_value(BUCKET)
        except (NatsError, OSError, TimeoutError) as error:
            self._failed(error)

    def _failed(self, error: Exception) -> None:
        self.failures += 1
        self._bucket = None
        self._rests_until = asyncio.get_running_loop().time() + _REST_S
        _log.info("the shared cache rests", reason=str(error) or type(error).__name__)


def _declaration(settings: EventingSettings) -> StreamConfig:
    """The bucket as the stream that it is: the client's own declaration refuses new values when the bucket is full, and
    a cache must rather forget old ones."""
    return StreamConfig(
        name=f"KV_{BUCKET}",
        subjects=[f"$KV.{BUCKET}.>"],
        storage=StorageType.MEMORY,
        max_msgs_per_subject=1,
        max_bytes=settings.cache_bytes,
        max_age=settings.cache_life_s,
        discard=DiscardPolicy.OLD,
        allow_direct=True,
        allow_rollup_hdrs=True,
        deny_delete=True,
        num_replicas=1,
        duplicate_window=min(settings.cache_life_s, 120.0),
    )
