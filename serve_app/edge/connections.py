"""Connections that cannot be held for nothing: how long a head, a refused body and an unread answer may take."""

from asyncio import BaseTransport
from collections import Counter
from time import monotonic
from typing import Any, Final

from sanic.exceptions import RequestTimeout
from sanic.http import Http, Stage
from sanic.server import HttpProtocol

_MOST_UNREAD: Final = 256 * 1024
"""Bytes of one connection that wait in the lobby; with more, whoever sends them is read."""


class Admission:
    """How many connections one edge replica keeps. `per_address` 0 means any number from one address.

    Behind a reverse proxy every connection has the proxy's address, so the limit belongs to the proxy there.
    """

    def __init__(self, total: int, per_address: int) -> None:
        self._total = total
        self._per_address = per_address
        self._open = 0
        self._by_address: Counter[str] = Counter()

    def admit(self, address: str) -> bool:
        """Whether one more from `address` is kept; if so, `leave` must follow."""
        if self._open >= self._total:
            return False
        if self._per_address:
            if self._by_address[address] >= self._per_address:
                return False
            self._by_address[address] += 1
        self._open += 1
        return True

    def leave(self, address: str) -> None:
        """An admitted connection has ended."""
        self._open -= 1
        if self._per_address:
            self._by_address[address] -= 1
            if self._by_address[address] <= 0:
                del self._by_address[address]


class CountedHttp(Http):
    """The framework's reader, which also knows how many requests the connection has begun."""

    __slots__ = ("begun",)

    def __init__(self, protocol: Any) -> None:
        self.begun = 0
        super().__init__(protocol)  # type: ignore[no-untyped-call]
        # Looked at before the first request sets it.
        self.request_body = None

    def init_for_request(self) -> None:
        """One more."""
        self.begun += 1
        super().init_for_request()  # type: ignore[no-untyped-call]


class GuardedProtocol(HttpProtocol):
    """The framework's protocol with deadlines that single bytes do not prolong.

    The framework measures from the latest byte, so a client that sends or takes one now and then is never late.
    Here the head of a request has `REQUEST_TIMEOUT` seconds as a whole, the rest of a refused body too, and an
    answer that the client does not take has `WRITE_TIMEOUT`. All is looked at from time to time: a connection is
    cut at most half of the shortest of these later, and requests pay nothing for it.
    """

    HTTP_CLASS = CountedHttp
    __slots__ = ("_address", "_blocked_at", "_noted", "_noted_at", "_unread")

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._address: str | None = None
        self._blocked_at = 0.0
        self._noted: tuple[int, Stage] | None = None
        self._noted_at = 0.0
        self._unread = b""

    def connection_made(self, transport: BaseTransport) -> None:
        """A new connection; closed at once when there are too many."""
        peer = transport.get_extra_info("peername")
        address = str(peer[0]) if isinstance(peer, tuple) else ""
        if not self.app.ctx.admission.admit(address):
            transport.close()
            return
        self._address = address
        super().connection_made(transport)  # type: ignore[no-untyped-call]

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection has ended."""
        if self._address is None:
            return
        self.app.ctx.admission.leave(self._address)
        self._address = None
        self._unread = b""
        super().connection_lost(exc)  # type: ignore[no-untyped-call]

    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        if self._address is None:
            return
        if self._unread:
            self._unread += data
            if len(self._unread) > _MOST_UNREAD:
                self._leave_lobby()
        elif self._is_between_requests and self.app.ctx.shedding.refusal(data) is not None:
            self._unread = data
            self._time = monotonic()
            self.app.ctx.lobby.enter(self._leave_lobby)
        else:
            super().data_received(data)

    @property
    def waits(self) -> bool:
        """Whether a request of this connection is in the lobby."""
        return bool(self._unread)

    def _leave_lobby(self) -> None:
        """Refuse the request that waits unread, or read it when there is room by now."""
        data, self._unread = self._unread, b""
        if data and self.transport is not None and not self.transport.is_closing() and not self._shed(data):
            super().data_received(data)

    @property
    def _is_between_requests(self) -> bool:
        http = self.http
        return http is not None and http.stage is Stage.IDLE and not http.request_body and not self.recv_buffer

    def _shed(self, data: bytes) -> bool:
        """Refuse a request for want of room without reading it; whether that was done."""
        refused = self.app.ctx.shedding.refusal(data)
        if refused is None or self.transport is None or not self._can_write.is_set():
            return False
        operation, status, answer = refused
        self._time = monotonic()
        self.transport.write(answer)
        self.app.ctx.metrics.observe(operation, status, 0.0)
        return True

    def pause_writing(self) -> None:
        """The client does not take what is sent."""
        self._blocked_at = monotonic()
        super().pause_writing()  # type: ignore[no-untyped-call]

    def resume_writing(self) -> None:
        """It does again."""
        self._blocked_at = 0.0
        super().resume_writing()  # type: ignore[no-untyped-call]

    def check_timeouts(self) -> None:
        """Cut the connection when one of its deadlines is over; called from time to time."""
        http, transport = self.http, self.transport
        if http is None or transport is None or self._task is None:
            return
        now = monotonic()
        config = self.app.config
        if self._blocked_at and now - self._blocked_at > config.WRITE_TIMEOUT:
            transport.abort()
            return
        refusing = http.stage is Stage.IDLE and http.request_body
        if http.stage is not Stage.REQUEST and not refusing:
            self._noted = None
        elif self._noted != (http.begun, http.stage):
            self._noted, self._noted_at = (http.begun, http.stage), now
        elif now - self._noted_at > config.REQUEST_TIMEOUT:
            if refusing:
                transport.abort()
                return
            http.exception = RequestTimeout("Request Timeout")
            self._task.cancel()
            return
        super().check_timeouts()  # type: ignore[no-untyped-call]
