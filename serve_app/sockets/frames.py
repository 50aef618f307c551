"""What goes over a socket between two processes of the platform: numbered frames."""

import asyncio
import os
import socket
import struct
from abc import ABC, abstractmethod
from enum import IntEnum
from typing import Final, cast

import structlog

log = structlog.get_logger(__name__)

_HEAD: Final = struct.Struct("<IIB")
_CREDENTIALS: Final = struct.Struct("3i")
MOST_BYTES: Final = 64 * 1024 * 1024
"""Of the content of a frame."""


class Kind(IntEnum):
    """What a frame is. A number belongs to a call and everything that is said of it."""

    CALL = 0
    ANSWER = 1
    CANCEL = 2
    """Nobody waits for the answer any more."""
    FAILED = 3
    """The call broke."""
    LEAVE = 4
    """From the answering end: call no more. From the calling end: no more will come."""


class Frames(asyncio.Protocol, ABC):
    """One end of a connection: hands each whole frame to `received`, in the order they were sent."""

    def __init__(self) -> None:
        self._unread = bytearray()
        self._transport: asyncio.Transport | None = None

    @property
    def is_open(self) -> bool:
        """Whether the other end is there."""
        return self._transport is not None and not self._transport.is_closing()

    @abstractmethod
    def received(self, kind: Kind, number: int, content: bytes) -> None:
        """A frame came."""

    def send(self, kind: Kind, number: int, content: bytes = b"") -> None:
        """Send a frame; nothing happens when the other end is gone."""
        if self._transport is not None:
            self._transport.write(_HEAD.pack(len(content), number, kind) + content)

    def close(self) -> None:
        """End the connection when everything is sent."""
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection stands, or is cut when a stranger is at the other end."""
        stream = cast(asyncio.Transport, transport)
        if _peer(stream) == os.geteuid():
            self._transport = stream
        else:
            log.error("a process of another user called over a socket of the platform, or answers at one")
            stream.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection has ended."""
        self._transport = None

    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        unread = self._unread
        unread += data
        while len(unread) >= _HEAD.size:
            length, number, kind = _HEAD.unpack_from(unread)
            if length > MOST_BYTES or kind > Kind.LEAVE:
                if self._transport is not None:
                    self._transport.abort()
                return
            end = _HEAD.size + length
            if len(unread) < end:
                return
            content = bytes(memoryview(unread)[_HEAD.size : end])
            del unread[:end]
            self.received(Kind(kind), number, content)


def _peer(transport: asyncio.Transport) -> int:
    """The user of the process at the other end (SO_PEERCRED, unix(7))."""
    descriptor = transport.get_extra_info("socket").fileno()
    with socket.socket(fileno=os.dup(descriptor)) as known:
        _, user, _ = _CREDENTIALS.unpack(known.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    return int(user)
