"""The answering end: a replica that the processes of its node may call over a socket."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Final, TypeAlias

import structlog

from serve_app.sockets.frames import MOST_BYTES, Frames, Kind

log = structlog.get_logger(__name__)

_LEAVE_S: Final = 15.0

Answer: TypeAlias = Callable[[bytes], Awaitable[bytes]]


class Server:
    """Answers what comes over a socket of its own, `<name>.…` in `folder`, until it is closed."""

    def __init__(self, folder: Path, name: str, answer: Answer) -> None:
        self._path = folder / f"{name}.{secrets.token_hex(4)}"
        self._answer = answer
        self._listener: asyncio.AbstractServer | None = None
        self._connections: set[_Connection] = set()

    async def start(self) -> None:
        """Take calls from now on. Raises OSError when the socket cannot be opened."""
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_unix_server(self._connection, str(self._path))

    def _connection(self) -> "_Connection":
        return _Connection(self._answer, self._connections)

    async def close(self) -> None:
        """Take no calls any more; return when those that were made are answered, at the latest after fifteen seconds.

        Whoever is connected is asked to leave, and is heard until they say that nothing more will come: no call that is
        on its way is lost.
        """
        if self._listener is None:
            return
        self._listener.close()
        self._path.unlink(missing_ok=True)
        connections = list(self._connections)
        for connection in connections:
            connection.send(Kind.LEAVE, 0)
        with suppress(TimeoutError):
            async with asyncio.timeout(_LEAVE_S):
                for connection in connections:
                    await connection.done.wait()
        for connection in connections:
            connection.close()


class _Connection(Frames):
    """One caller. `done` is set when it has left and has all its answers."""

    def __init__(self, answer: Answer, connections: "set[_Connection]") -> None:
        super().__init__()
        self._answer = answer
        self._connections = connections
        self._running: dict[int, asyncio.Task[None]] = {}
        self._has_left = False
        self.done = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A caller is there."""
        super().connection_made(transport)
        if self.is_open:
            self._connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """The caller is gone, and waits for nothing."""
        super().connection_lost(exc)
        self._connections.discard(self)
        for task in self._running.values():
            task.cancel()
        self.done.set()

    def received(self, kind: Kind, number: int, content: bytes) -> None:
        """A call, or what became of one."""
        if kind is Kind.CALL:
            task = self._running[number] = asyncio.create_task(self._run(number, content))
            task.add_done_callback(lambda _: self._ran(number))
        elif kind is Kind.CANCEL and number in self._running:
            self._running[number].cancel()
        elif kind is Kind.LEAVE:
            self._has_left = True
            self._look()

    async def _run(self, number: int, content: bytes) -> None:
        try:
            answer = await self._answer(content)
        except Exception:
            log.exception("message failed")
            self.send(Kind.FAILED, number)
        else:
            if len(answer) > MOST_BYTES:
                log.error("an answer is too long to be sent", bytes=len(answer))
                self.send(Kind.FAILED, number)
            else:
                self.send(Kind.ANSWER, number, answer)

    def _ran(self, number: int) -> None:
        del self._running[number]
        self._look()

    def _look(self) -> None:
        if self._has_left and not self._running:
            self.done.set()
