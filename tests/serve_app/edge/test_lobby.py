"""Z3: who finds no room waits unread for a moment, and is refused or let in when it is their turn."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, TypeAlias

import pytest

from serve_app.edge.deployment import Edge
from serve_app.edge.dispatch import TenantFull
from serve_app.edge.lobby import Lobby
from serve_app.edge.settings import EdgeSettings
from tests.serve_app.edge.clock import Clock
from tests.serve_app.edge.fakes import Fakes

SUBMIT = "/api/v1/public/acme/party/responses"
HEAD = f"POST {SUBMIT} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n"


@pytest.fixture
def resting(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the lobby would do after a rest."""
    later: list[Any] = []
    monkeypatch.setattr("serve_app.edge.lobby.Lobby._rest", lambda lobby: later.append(lobby._let_go))
    return later


def test_who_waits_leaves_in_order_a_few_at_a_time(resting: list[Any]) -> None:
    lobby, gone = Lobby(), list[int]()
    for n in range(40):
        lobby.enter(lambda n=n: gone.append(n))  # type: ignore[misc]
    assert (gone, len(resting)) == ([], 1)
    resting.pop()()
    assert gone == list(range(16))
    resting.pop()()
    resting.pop()()
    assert gone == list(range(40))
    assert not resting
    lobby.enter(lambda: gone.append(40))
    assert len(resting) == 1


def test_nobody_waits_longer_than_a_second_however_many_do(resting: list[Any]) -> None:
    clock = Clock()
    lobby, gone = Lobby(clock), list[int]()
    for n in range(100):
        lobby.enter(lambda n=n: gone.append(n))  # type: ignore[misc]
    clock.now += 0.5
    for n in range(100, 120):
        lobby.enter(lambda n=n: gone.append(n))  # type: ignore[misc]
    clock.now += 0.5
    resting.pop()()
    assert gone == list(range(100))


def test_one_who_cannot_leave_keeps_nobody(resting: list[Any]) -> None:
    lobby, gone = Lobby(), list[int]()

    def broken() -> None:
        raise ValueError

    lobby.enter(broken)
    lobby.enter(lambda: gone.append(1))
    with pytest.raises(ValueError):
        resting.pop()()
    resting.pop()()
    assert gone == [1]


Streams: TypeAlias = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Crowd:
    """Requests to an edge without room, of which the first was read and refused, and others wait."""

    def __init__(self, port: int, fakes: Fakes, monkeypatch: pytest.MonkeyPatch) -> None:
        self.host, self.port, self.fakes = "127.0.0.1", port, fakes
        self.served = fakes.responses.answer
        self.lobby: list[Any] = []
        monkeypatch.setattr("serve_app.edge.shedding._LIFE_S", 60.0)
        monkeypatch.setattr("serve_app.edge.lobby.Lobby._rest", lambda lobby: self.lobby.append(lobby._let_go))
        self.has_room = False

    async def come(self) -> Streams:
        """A connection that was refused once."""

        async def full() -> Any:
            error = TenantFull("full", retry_after=1.0)
            error.has_room = lambda: self.has_room
            raise error

        self.fakes.responses.answer = full
        reader, writer = await asyncio.open_connection(self.host, self.port)
        writer.write(HEAD.encode() + b"{}")
        assert await status(reader) == 429
        self.fakes.responses.answer = self.served
        return reader, writer

    async def wait(self, writer: asyncio.StreamWriter) -> None:
        """Ask again, and come to wait."""
        writer.write(HEAD.encode() + b"{}")
        async with asyncio.timeout(5):
            while not self.lobby:
                await asyncio.sleep(0)


async def status(reader: asyncio.StreamReader) -> int:
    async with asyncio.timeout(5):
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        await reader.readexactly(int(head.partition("content-length: ")[2].partition("\r")[0]))
    return int(head.split()[1])


@pytest.fixture
async def replica(fakes: Fakes) -> AsyncIterator[Edge]:
    replica = Edge(EdgeSettings(port=0, object_store_url="memory:///", drain_s=5.0), fakes.apis())
    yield replica
    await replica.stop()


@pytest.fixture
async def crowd(replica: Edge, fakes: Fakes, monkeypatch: pytest.MonkeyPatch) -> Crowd:
    return Crowd(await replica.start(), fakes, monkeypatch)


@pytest.fixture
async def refused(crowd: Crowd) -> AsyncIterator[Streams]:
    """A connection that was refused once."""
    reader, writer = await crowd.come()
    yield reader, writer
    writer.close()


@pytest.mark.parametrize(("has_room", "expected"), [(False, 429), (True, 201)])
async def test_whose_turn_comes_is_refused_unless_there_is_room(
    crowd: Crowd, refused: Streams, has_room: bool, expected: int
) -> None:
    reader, writer = refused
    await crowd.wait(writer)
    crowd.has_room = has_room
    crowd.lobby.pop()()
    assert await status(reader) == expected


async def test_what_comes_meanwhile_is_read_with_it(crowd: Crowd, refused: Streams) -> None:
    reader, writer = refused
    await crowd.wait(writer)
    writer.write(HEAD.encode() + b"{}")
    await asyncio.sleep(0.05)  # nothing tells that the edge has it
    crowd.has_room = True
    crowd.lobby.pop()()
    assert [await status(reader), await status(reader)] == [201, 201]


async def test_who_sends_too_much_meanwhile_is_read(crowd: Crowd, refused: Streams) -> None:
    reader, writer = refused
    await crowd.wait(writer)
    writer.write((HEAD.encode() + b"{}") * 3_000)
    await writer.drain()
    assert {await status(reader) for _ in range(100)} == {201}


async def test_who_gives_up_while_waiting_keeps_nobody(crowd: Crowd, refused: Streams) -> None:
    reader, writer = refused
    _, other = await asyncio.open_connection(crowd.host, crowd.port)
    await crowd.wait(other)
    other.close()
    await other.wait_closed()
    writer.write(HEAD.encode() + b"{}")
    await asyncio.sleep(0.05)  # nothing tells that the edge has it
    crowd.has_room = True
    crowd.lobby.pop()()
    assert await status(reader) == 201


async def test_an_edge_that_stops_answers_who_waits(
    crowd: Crowd, replica: Edge, refused: Streams, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serve_app.edge.deployment._QUIET_S", 0.01)
    reader, writer = refused
    idle, unused = await asyncio.open_connection(crowd.host, crowd.port)
    await crowd.wait(writer)
    assert replica.running == 1
    stopping = asyncio.create_task(replica.stop())
    async with asyncio.timeout(5):
        assert await idle.read() == b""  # idle connections are closed by now
        unused.close()
        crowd.has_room = True
        crowd.lobby.pop()()
        assert await status(reader) == 201
        await stopping
