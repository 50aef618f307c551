"""Z3: refusals for want of room, which are repeated without reading what they refuse."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest
from sanic import Request

from deployments.kit.errors import DomainError
from serve_app.edge.answer import Answer
from serve_app.edge.dispatch import EdgeFull, TenantFull
from serve_app.edge.shedding import Shedding
from tests.serve_app.edge.clock import Clock
from tests.serve_app.edge.fakes import Fakes

SUBMIT = "/api/v1/public/acme/party/responses"
HEAD = b"POST /a HTTP/1.1\r\nHost: forms.example\r\nAuthorization: Bearer one"


def _asked(head: bytes = HEAD, body: bytes = b"{}", more: bytes = b"") -> bytes:
    return head + b"\r\nContent-Length: %d\r\n\r\n" % len(body) + body + more


@pytest.fixture
def clock() -> Clock:
    return Clock()


class Room:
    is_there = False

    def __call__(self) -> bool:
        return self.is_there


@pytest.fixture
def room() -> Room:
    return Room()


@pytest.fixture
def shedding(clock: Clock, room: Room) -> Shedding:
    """It has just refused one request."""
    shedding = Shedding(clock)
    request = SimpleNamespace(head=_asked().partition(b"\r\n\r\n")[0], method="POST")
    answer = Answer(429, b'{"status":429}', "application/problem+json", "cor_1", (("retry-after", "1"),))
    shedding.note(cast(Request, request), "submit", answer, room)
    return shedding


def test_the_same_again_gets_the_same_answer(shedding: Shedding) -> None:
    refused = shedding.refusal(_asked(HEAD + b"\r\nIdempotency-Key: another", b'{"answers":{}}'))
    assert refused is not None
    operation, status, answer = refused
    assert (operation, status) == ("submit", 429)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert body == b'{"status":429}'
    assert head.startswith(b"HTTP/1.1 429 ")
    assert b"retry-after: 1" in head
    assert b"content-length: 14" in head


@pytest.mark.parametrize(
    "other",
    [
        _asked(HEAD.replace(b"one", b"two")),
        _asked(HEAD.replace(b"/a", b"/b")),
        _asked(HEAD.replace(b"POST", b"PUT")),
        _asked(HEAD.replace(b"forms.example", b"other.example")),
        _asked(HEAD + b"\r\nX-Tenant-ID: other"),
        _asked(HEAD + b"\r\nOrigin: https://other.example"),
        _asked(HEAD + b"\r\nCookie: session=1"),
        _asked(HEAD + b"\r\nExpect: 100-continue"),
        _asked(HEAD + b"\r\nConnection: close"),
        _asked(HEAD.replace(b"HTTP/1.1", b"HTTP/1.0")),
        _asked(more=b"GET / HTTP/1.1\r\n\r\n"),
        _asked()[:-1],
        _asked()[:-6],
        HEAD + b"\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        HEAD + b"\r\nContent-Length: -2\r\n\r\n{}",
        b"",
    ],
)
def test_anything_else_is_read(shedding: Shedding, other: bytes) -> None:
    assert shedding.refusal(other) is None


def test_a_refusal_holds_until_there_is_room(shedding: Shedding, room: Room) -> None:
    room.is_there = True
    assert shedding.refusal(_asked()) is None
    room.is_there = False
    assert shedding.refusal(_asked()) is None


def test_a_refusal_is_soon_read_anew(shedding: Shedding, clock: Clock) -> None:
    clock.now += 1.1
    assert shedding.refusal(_asked()) is None


async def _ask(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str = "localhost"
) -> tuple[int, dict[str, str], bytes]:
    writer.write(f"POST {SUBMIT} HTTP/1.1\r\nHost: {host}\r\n".encode())
    writer.write(b"Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")
    head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)).decode()
    line, *fields = head.strip().split("\r\n")
    headers = dict(field.lower().split(": ", 1) for field in fields)
    for framework in ("connection", "keep-alive", "alt-svc"):
        headers.pop(framework, None)
    return int(line.split()[1]), headers, await reader.readexactly(int(headers["content-length"]))


@pytest.mark.parametrize("error", [TenantFull("full", retry_after=1.0), EdgeFull("full", retry_after=1.0)])
async def test_who_finds_no_room_is_refused_unread_and_the_connection_serves_others(
    client: httpx.AsyncClient, fakes: Fakes, error: DomainError, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serve_app.edge.shedding._LIFE_S", 60.0)  # but for this, a slow machine reads it anew
    served, asked = fakes.responses.answer, 0

    async def full() -> Any:
        nonlocal asked
        asked += 1
        raise error

    fakes.responses.answer = full
    port = client.base_url.port
    reader, writer = await asyncio.open_connection(client.base_url.host, port)
    try:
        first = await _ask(reader, writer)
        assert [await _ask(reader, writer) for _ in range(5)] == [first] * 5
        assert (first[0], first[1]["retry-after"], asked) == (error.status, "1", 1)
        fakes.responses.answer = served
        assert (await _ask(reader, writer, f"localhost:{port}"))[0] == 201
    finally:
        writer.close()
        await writer.wait_closed()
    refused = f'formstream_http_requests_total{{operation="submit_public_response",status="{error.status}"}} 6.0'
    assert refused in (await client.get("/metrics")).text
