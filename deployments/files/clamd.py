"""A client of ClamAV's daemon: the INSTREAM command, as clamd(8) describes it."""

import asyncio
import re
from collections.abc import AsyncIterable
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

_CONNECT_S: Final = 5.0
_FOUND: Final = re.compile(r"stream: (.{1,200}) FOUND")


class ScanFailed(Exception):
    """clamd is away, too slow, or says something that is no verdict."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found: the name of the malware, None for nothing."""

    malware: str | None


class Clamd:
    """The daemon at `tcp://host:port` or `unix:///path`. One connection for each file."""

    def __init__(self, url: str, timeout_s: float) -> None:
        """Raises ValueError for another kind of address."""
        parts = urlsplit(url)
        if parts.scheme == "tcp" and parts.hostname:
            self._host, self._port, self._path = parts.hostname, parts.port or 3310, ""
        elif parts.scheme == "unix" and parts.path:
            self._host, self._port, self._path = "", 0, parts.path
        else:
            raise ValueError(f"not an address of clamd: {url!r}; tcp://host:3310 or unix:///path")
        self._timeout_s = timeout_s

    async def scan(self, pieces: AsyncIterable[bytes]) -> Verdict:
        """The verdict on a file. Raises ScanFailed."""
        try:
            async with asyncio.timeout(self._timeout_s):
                return _verdict(await self._ask(pieces))
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            raise ScanFailed(str(error) or type(error).__name__) from error

    async def _ask(self, pieces: AsyncIterable[bytes]) -> str:
        reader, writer = await self._connect()
        try:
            reply = asyncio.ensure_future(reader.readuntil(b"\0"))
            try:
                await self._send(writer, pieces, reply)
                return (await reply).rstrip(b"\0\n").decode("utf-8", "replace")
            finally:
                reply.cancel()
        finally:
            writer.close()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        async with asyncio.timeout(_CONNECT_S):
            if self._path:
                return await asyncio.open_unix_connection(self._path)
            return await asyncio.open_connection(self._host, self._port)

    @staticmethod
    async def _send(writer: asyncio.StreamWriter, pieces: AsyncIterable[bytes], reply: "asyncio.Future[bytes]") -> None:
        try:
            writer.write(b"zINSTREAM\0")
            async for piece in pieces:
                if reply.done():  # it has heard enough: too large, or found already
                    return
                writer.write(len(piece).to_bytes(4, "big") + piece)
                await writer.drain()
            writer.write(bytes(4))
            await writer.drain()
        except ConnectionError:
            if not reply.done():
                await asyncio.wait({reply}, timeout=1.0)
            if not reply.done() or reply.exception() is not None:
                raise


def _verdict(reply: str) -> Verdict:
    if reply == "stream: OK":
        return Verdict(None)
    found = _FOUND.fullmatch(reply)
    if found is None:
        raise ScanFailed(reply or "no answer")
    return Verdict(found[1])
