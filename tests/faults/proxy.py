"""A TCP proxy that can misbehave like a network: refuse, swallow everything, or swallow what comes back."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Literal, TypeAlias

Streams: TypeAlias = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Mode: TypeAlias = Literal["passes", "refuses", "swallows", "swallows answers"]

_CHUNK = 65_536


class Proxy:
    """Stands between a client and a server on `port`. `mode` holds for open connections, too."""

    def __init__(self, dial: Callable[[], Awaitable[Streams]]) -> None:
        self.port = 0
        self._dial = dial
        self._mode: Mode = "passes"
        self._open: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        writers = [*self._open]
        self._cut()
        await asyncio.gather(*(writer.wait_closed() for writer in writers), return_exceptions=True)

    def become(self, mode: Mode) -> None:
        """From now on. Connections that were swallowed do not come back to life: their bytes are gone."""
        if mode == "refuses" or self._mode != "passes":
            self._cut()
        self._mode = mode

    def _cut(self) -> None:
        for writer in self._open:
            writer.transport.abort()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._mode == "refuses":
            writer.transport.abort()
            return
        self._open.add(writer)
        if self._mode == "swallows":
            return
        server_reader, server_writer = await self._dial()
        self._open.add(server_writer)
        for source, sink, comes_back in ((reader, server_writer, False), (server_reader, writer, True)):
            task = asyncio.create_task(self._carry(source, sink, comes_back=comes_back))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _carry(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, comes_back: bool) -> None:
        with suppress(OSError):
            while chunk := await source.read(_CHUNK):
                if self._mode == "swallows" or (comes_back and self._mode == "swallows answers"):
                    continue
                sink.write(chunk)
                await sink.drain()
        if self._mode == "passes":
            sink.close()
        else:
            sink.transport.abort()


@asynccontextmanager
async def proxied(dial: Callable[[], Awaitable[Streams]]) -> AsyncIterator[Proxy]:
    """A running proxy."""
    proxy = Proxy(dial)
    await proxy.start()
    try:
        yield proxy
    finally:
        await proxy.stop()
