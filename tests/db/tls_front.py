"""PostgreSQL over TLS: the wheel's server is built without OpenSSL, so TLS ends in front of it, as at a pooler."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, urlsplit

_SSL_REQUEST: Final = bytes.fromhex("0000000804d2162f")


class TlsFront:
    """Answers SSLRequest, does the handshake and passes on what comes; who asks for no TLS is sent away.

    Without a context it refuses TLS, as a server with `ssl=off` does.
    """

    def __init__(self, uri: str, context: ssl.SSLContext | None) -> None:
        self._uri = uri
        self._context = context
        self._open: set[asyncio.StreamWriter] = set()
        self.encrypted = 0
        """Connections whose handshake succeeded."""
        self.plain = 0
        """Connections that went on without TLS."""

    async def serve(self, client: asyncio.StreamReader, answers: asyncio.StreamWriter) -> None:
        self._open.add(answers)
        try:
            await self._negotiate(client, answers)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self._open.discard(answers)
            answers.close()

    def close(self) -> None:
        for each in self._open:
            each.close()

    async def _negotiate(self, client: asyncio.StreamReader, answers: asyncio.StreamWriter) -> None:
        offered = await client.readexactly(8) == _SSL_REQUEST
        if offered and self._context is not None:
            answers.write(b"S")
            await answers.start_tls(self._context)
            self.encrypted += 1
            await self._pass_on(client, answers)
        elif offered:
            answers.write(b"N")
            self.plain += bool(await client.read(1))
        else:
            self.plain += 1

    async def _pass_on(self, client: asyncio.StreamReader, answers: asyncio.StreamWriter) -> None:
        server, requests = await self._connect()
        both = [asyncio.create_task(_copy(client, requests)), asyncio.create_task(_copy(server, answers))]
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        for each in both:
            each.cancel()
        await asyncio.gather(*both, return_exceptions=True)
        requests.close()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        address = urlsplit(self._uri)
        (folder,) = parse_qs(address.query).get("host", [""])
        if folder:
            return await asyncio.open_unix_connection(Path(folder) / f".s.PGSQL.{address.port or 5432}")
        return await asyncio.open_connection(address.hostname, address.port)


async def _copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await source.read(65_536):
            sink.write(data)
            await sink.drain()


@asynccontextmanager
async def tls_front(
    uri: str, context: ssl.SSLContext | None, host: str = "127.0.0.1", port: int = 0
) -> AsyncIterator[tuple[TlsFront, int]]:
    """A front of the PostgreSQL at `uri`, and its port."""
    front = TlsFront(uri, context)
    server = await asyncio.start_server(front.serve, host, port)
    try:
        yield front, server.sockets[0].getsockname()[1]
    finally:
        server.close()
        front.close()
        await server.wait_closed()
