"""A real HTTP server on loopback whose answers are raw bytes, so that it can misbehave."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Seen:
    """A request as it came over the wire, header names in lower case."""

    line: str
    headers: dict[str, str]
    body: bytes


@dataclass
class LocalHttp:
    """What the server has seen so far."""

    port: int = 0
    connections: int = 0
    requests: list[Seen] = field(default_factory=list)
    seen: asyncio.Event = field(default_factory=asyncio.Event)


def answer(status: str, body: bytes = b"", *headers: str) -> Answer:
    """A complete answer that keeps the connection open."""

    async def send(writer: asyncio.StreamWriter) -> None:
        head = "\r\n".join((f"HTTP/1.1 {status}", f"content-length: {len(body)}", *headers))
        writer.write(head.encode("latin-1") + b"\r\n\r\n" + body)
        await writer.drain()

    return send


async def hang(writer: asyncio.StreamWriter) -> None:
    """Never answer."""
    await asyncio.Event().wait()


@asynccontextmanager
async def serving(*answers: Answer, tls: ssl.SSLContext | None = None) -> AsyncIterator[LocalHttp]:
    """Serve on 127.0.0.1: each request gets the next answer, the last one repeats."""
    state = LocalHttp()
    tasks: set[asyncio.Task[None]] = set()
    waiting = list(answers)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        state.connections += 1
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                headers = dict(line.lower().split(": ", 1)[:1] + line.split(": ", 1)[1:] for line in head[1:-2])
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                state.requests.append(Seen(head[0], headers, body))
                state.seen.set()
                await (waiting.pop(0) if len(waiting) > 1 else waiting[0])(writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(task := asyncio.ensure_future(serve(reader, writer)))
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=tls)
    state.port = server.sockets[0].getsockname()[1]
    try:
        yield state
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()
