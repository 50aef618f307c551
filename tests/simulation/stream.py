"""JetStream as far as relay and consumer see it, in one process and with faults on demand.

What it promises is what was seen of the real server: message ids are recognised inside the duplicate window, one
known id refuses a whole atomic batch (ADR-50), an acknowledgement can be lost after the message was stored, and what is
not acknowledged is delivered again, in whatever order.
"""

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, Literal, TypeAlias

import nats.errors
import orjson
from nats.js.api import Header
from nats.js.errors import NotFoundError

Link: TypeAlias = Literal["works", "loses messages", "loses answers", "is down"]

_ID = str(Header.MSG_ID.value)


@dataclass
class SimulatedStream:
    """The stream and its one consumer. `link` is what happens to the next messages of publishers."""

    duplicate_window_s: float
    link: Link = "works"
    messages: list[bytes] = field(default_factory=list)
    waiting: list[int] = field(default_factory=list)
    unacknowledged: list[int] = field(default_factory=list)
    losses: int = 0
    _headers: list[dict[str, str]] = field(default_factory=list)
    _seen: dict[str, float] = field(default_factory=dict)

    def publish(self, payload: bytes, headers: dict[str, str]) -> int:
        """Keep a message whose id is not known; the sequence of the last one."""
        if not self.knows(headers):
            self._seen[headers[_ID]] = time.time()
            self.waiting.append(len(self.messages))
            self.messages.append(payload)
            self._headers.append(headers)
        return len(self.messages)

    def lose_everything(self) -> None:
        """The server comes back without its store: the stream is made anew, and its consumer begins at its start."""
        self.losses += 1
        self.messages, self.waiting, self.unacknowledged, self._headers, self._seen = [], [], [], [], {}

    def created_at(self) -> datetime:
        """When the server made the stream."""
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=self.losses)

    def header(self, sequence: int) -> dict[str, str] | None:
        """The headers of a message, from 1."""
        return self._headers[sequence - 1] if 0 < sequence <= len(self._headers) else None

    def knows(self, headers: dict[str, str]) -> bool:
        """Whether the id was seen inside the duplicate window."""
        seen_at = self._seen.get(headers[_ID])
        return seen_at is not None and abs(time.time() - seen_at) < self.duplicate_window_s

    def pull(self, most: int) -> list[int]:
        """The numbers of messages that are the consumer's until it acknowledges them or is silent for too long."""
        taken, self.waiting = self.waiting[:most], self.waiting[most:]
        self.unacknowledged += taken
        return taken

    def acknowledge(self, numbers: list[int]) -> None:
        """These were dealt with."""
        self.unacknowledged = [number for number in self.unacknowledged if number not in numbers]

    def silence(self) -> None:
        """The time to acknowledge is over: everything that is open is delivered again, behind what waits."""
        self.waiting += self.unacknowledged
        self.unacknowledged = []

    def repeat(self, number: int) -> None:
        """Deliver once more what was acknowledged: the acknowledgement was lost."""
        if number not in self.waiting and number not in self.unacknowledged:
            self.waiting.append(number)


@dataclass
class SimulatedClient:
    """A publisher's connection: the part of `nats.aio.client.Client` and its JetStream that the relay uses."""

    stream: SimulatedStream
    _batch: list[tuple[bytes, dict[str, str]]] = field(default_factory=list)

    @property
    def stats(self) -> dict[str, int]:
        return {"reconnects": self.stream.losses}

    @property
    def is_connected(self) -> bool:
        return self.stream.link != "is down"

    def jetstream(self, timeout: float) -> "SimulatedJetStream":
        return SimulatedJetStream(self.stream)

    async def publish(self, subject: str, payload: bytes, headers: dict[str, str] | None = None) -> None:
        if headers is not None and self.stream.link != "loses messages":
            self._batch.append((payload, headers))

    async def request(self, subject: str, payload: bytes, timeout: float, headers: dict[str, str]) -> Any:  # noqa: ASYNC109
        batch, self._batch = [*self._batch, (payload, headers)], []
        if self.stream.link == "loses messages":
            raise nats.errors.TimeoutError
        if any(self.stream.knows(each) for _, each in batch):
            answer: dict[str, Any] = {"error": {"err_code": 10201, "description": "duplicate message id"}}
        else:
            for each in batch:
                last = self.stream.publish(*each)
            answer = {"count": len(batch), "seq": last}
        if self.stream.link == "loses answers":
            raise nats.errors.TimeoutError
        return _Answer(orjson.dumps(answer))


@dataclass(frozen=True)
class _Answer:
    data: bytes


@dataclass(frozen=True)
class SimulatedJetStream:
    """A publisher's JetStream context."""

    stream: SimulatedStream

    async def add_stream(self, declared: Any) -> Any:
        return await self.stream_info("")

    async def stream_info(self, name: str) -> Any:
        number = len(self.stream.messages)
        state = SimpleNamespace(first_seq=1 if number else 0, last_seq=number, bytes=0)
        return SimpleNamespace(created=self.stream.created_at(), state=state)

    async def consumers_info(self, name: str) -> list[Any]:
        open_ones = [*self.stream.waiting, *self.stream.unacknowledged]
        floor = min(open_ones) if open_ones else len(self.stream.messages)
        pending, unacknowledged = len(self.stream.waiting), len(self.stream.unacknowledged)
        ack_floor = SimpleNamespace(stream_seq=floor)
        return [SimpleNamespace(num_pending=pending, num_ack_pending=unacknowledged, ack_floor=ack_floor)]

    async def get_msg(self, name: str, sequence: int) -> Any:
        headers = self.stream.header(sequence)
        if headers is None:
            raise NotFoundError
        return SimpleNamespace(headers=headers)

    async def publish(self, subject: str, payload: bytes, *, headers: dict[str, str], **_: Any) -> Any:
        if self.stream.link == "loses messages":
            raise nats.errors.TimeoutError
        sequence = self.stream.publish(payload, headers)
        if self.stream.link == "loses answers":
            raise nats.errors.TimeoutError
        return SimpleNamespace(seq=sequence)
