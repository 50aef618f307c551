"""The calling end: the replicas of one application on this node, and everybody else over another way."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Final

import structlog

from deployments.kit.errors import Unavailable
from serve_app.edge.dispatch import Send
from serve_app.sockets.frames import MOST_BYTES, Frames, Kind

log = structlog.get_logger(__name__)

_LOOK_S: Final = 0.5
_MOST_WAITING: Final = 12
"""Messages that one replica of this node has at once; more go to whoever has time, of which there may be others
elsewhere."""

_STARTING_S: Final = 10.0
_NUMBERS: Final = 0xFFFFFFFF


class Client:
    """Calls the replicas whose sockets in `folder` begin with `name`; `elsewhere` while none is there or has time."""

    def __init__(self, folder: Path, name: str, elsewhere: Send) -> None:
        self._folder = folder
        self._pattern = f"{name}.*"
        self._elsewhere = elsewhere
        self._lines: dict[Path, _Line] = {}
        self._looking = asyncio.create_task(self._keep_looking())

    async def send(self, message: bytes) -> bytes:
        """The answer to a message. Cancelling this cancels the work in the replica.

        Raises Unavailable when the replica is gone, whether it did the work or not: nothing is sent twice.
        """
        line = min(self._lines.values(), key=_waiting, default=None)
        if line is None or line.waiting >= _MOST_WAITING or len(message) > MOST_BYTES:
            return await self._elsewhere(message)
        return await line.call(message)

    async def close(self) -> None:
        """Leave every replica. What still waits for an answer fails."""
        self._looking.cancel()
        await asyncio.wait({self._looking})
        for line in self._lines.values():
            line.close()
        self._lines.clear()

    async def look(self) -> None:
        """Find the replicas that came since the last look; done twice a second."""
        for path in set(self._folder.glob(self._pattern)) - self._lines.keys():
            await self._open(path)

    async def _keep_looking(self) -> None:
        while True:
            try:
                await self.look()
            except OSError as error:
                log.warning("a replica of this node cannot be reached", error=str(error))
            await asyncio.sleep(_LOOK_S)

    async def _open(self, path: Path) -> None:
        def forget(line: _Line) -> None:
            if self._lines.get(path) is line:
                del self._lines[path]

        try:
            _, line = await asyncio.get_running_loop().create_unix_connection(lambda: _Line(forget), str(path))
        except ConnectionRefusedError:
            _remove_old(path)
        except FileNotFoundError:
            pass
        else:
            if line.is_open:
                self._lines[path] = line


class _Line(Frames):
    """The connection to one replica; `forget` is called when it is not to be called any more."""

    def __init__(self, forget: "Callable[[_Line], None]") -> None:
        super().__init__()
        self._forget = forget
        self._numbers = count()
        self._answers: dict[int, asyncio.Future[bytes]] = {}

    @property
    def waiting(self) -> int:
        """How many messages have no answer yet."""
        return len(self._answers)

    async def call(self, message: bytes) -> bytes:
        """See `Client.send`."""
        number = next(self._numbers) & _NUMBERS
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._answers[number] = answer
        self.send(Kind.CALL, number, message)
        try:
            return await answer
        except asyncio.CancelledError:
            self.send(Kind.CANCEL, number)
            raise
        finally:
            del self._answers[number]

    def received(self, kind: Kind, number: int, content: bytes) -> None:
        """What became of a call, or of the replica."""
        if kind is Kind.LEAVE:
            self._forget(self)
            self.send(Kind.LEAVE, 0)
            return
        answer = self._answers.get(number)
        if answer is None or answer.done():
            return
        if kind is Kind.ANSWER:
            answer.set_result(content)
        else:
            answer.set_exception(Unavailable(retry_after=1.0))

    def connection_lost(self, exc: Exception | None) -> None:
        """The replica is gone."""
        super().connection_lost(exc)
        self._forget(self)
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(Unavailable(retry_after=1.0))


def _remove_old(path: Path) -> None:
    """Remove a socket whose process was killed. At one that is new somebody will soon listen."""
    with suppress(FileNotFoundError):
        if time.time() - path.stat().st_mtime > _STARTING_S:
            path.unlink()


def _waiting(line: _Line) -> int:
    return line.waiting
