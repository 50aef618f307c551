"""Z4: calls between processes of one node, over sockets that only the platform's user may enter."""

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from deployments.kit.errors import Unavailable
from serve_app.sockets.client import Client
from serve_app.sockets.folder import private
from serve_app.sockets.frames import MOST_BYTES
from serve_app.sockets.server import Server

Answer = Callable[[bytes], Awaitable[bytes]]


async def _elsewhere(message: bytes) -> bytes:
    return b"elsewhere: " + message


async def _here(message: bytes) -> bytes:
    await asyncio.sleep(0)
    return b"here: " + message


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder whose path leaves room in the address of a socket, as that of a test does not."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


@pytest.fixture
def folder(short: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("serve_app.sockets.client._LOOK_S", 60.0)  # the tests look when something is to be seen
    return private(short / "node")


def _sockets(folder: Path) -> list[Path]:
    return list(folder.iterdir())


@asynccontextmanager
async def _calling(folder: Path, name: str = "core") -> AsyncIterator[Client]:
    client = Client(folder, name, _elsewhere)
    await asyncio.sleep(0)  # its first look
    try:
        yield client
    finally:
        await client.close()


@asynccontextmanager
async def _answering(folder: Path, answer: Answer = _here, name: str = "core") -> AsyncIterator[Server]:
    server = Server(folder, name, answer)
    await server.start()
    try:
        yield server
    finally:
        await server.close()


@asynccontextmanager
async def _both(folder: Path, answer: Answer = _here) -> AsyncIterator[tuple[Client, Server]]:
    async with _calling(folder) as client, _answering(folder, answer) as server:
        await client.look()
        yield client, server


async def test_a_replica_of_the_node_is_called_as_soon_as_it_is_seen_and_others_before(folder: Path) -> None:
    async with _calling(folder) as client:
        assert await client.send(b"1") == b"elsewhere: 1"
        async with _answering(folder, name="other"):
            await client.look()
            assert await client.send(b"2") == b"elsewhere: 2"
        async with _answering(folder):
            await client.look()
            assert await client.send(b"3") == b"here: 3"
        assert not _sockets(folder)
        assert await client.send(b"4") == b"elsewhere: 4"


async def test_each_call_gets_its_own_answer_whatever_comes_first(folder: Path) -> None:
    gates = [asyncio.Event() for _ in range(5)]

    async def answer(message: bytes) -> bytes:
        await gates[int(message)].wait()
        return message * 2

    async with _both(folder, answer) as (client, _):
        calls = [asyncio.create_task(client.send(b"%d" % n)) for n in range(5)]
        for n in (3, 0, 4, 2, 1):
            gates[n].set()
            assert await calls[n] == b"%d%d" % (n, n)


async def test_large_messages_go_both_ways(folder: Path) -> None:
    large = os.urandom(5 * 1024 * 1024)
    async with _both(folder) as (client, _):
        answers = await asyncio.gather(*(client.send(large + b"%d" % n) for n in range(4)))
    assert answers == [b"here: " + large + b"%d" % n for n in range(4)]


async def test_what_no_frame_can_hold_goes_another_way_or_fails_alone(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for end in ("client", "server"):
        monkeypatch.setattr(f"serve_app.sockets.{end}.MOST_BYTES", 100)

    async def answer(message: bytes) -> bytes:
        return message * 50

    async with _both(folder, answer) as (client, _):
        assert await client.send(b"x" * 101) == b"elsewhere: " + b"x" * 101
        with pytest.raises(Unavailable), capture_logs():
            await client.send(b"xyz")
        assert await client.send(b"x") == b"x" * 50


async def test_cancelling_a_call_cancels_the_work(folder: Path) -> None:
    begun, cancelled = asyncio.Event(), asyncio.Event()

    async def answer(message: bytes) -> bytes:
        if message != b"long":
            return message
        begun.set()
        try:
            return await asyncio.Future()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    async with _both(folder, answer) as (client, _):
        call = asyncio.create_task(client.send(b"long"))
        await begun.wait()
        call.cancel()
        async with asyncio.timeout(5):
            await cancelled.wait()
        assert await client.send(b"short") == b"short"


async def test_what_breaks_in_a_replica_is_unavailable_and_touches_no_other_call(folder: Path) -> None:
    async def answer(message: bytes) -> bytes:
        if message == b"bad":
            raise ValueError(message)
        return message

    async with _both(folder, answer) as (client, _):
        with capture_logs() as logs:
            good, bad = await asyncio.gather(client.send(b"good"), client.send(b"bad"), return_exceptions=True)
    assert good == b"good"
    assert isinstance(bad, Unavailable)
    assert bad.retry_after == 1.0
    assert [entry["event"] for entry in logs] == ["message failed"]


async def test_a_replica_that_is_gone_fails_what_waits_and_is_called_no_more(folder: Path) -> None:
    program = "import sys,asyncio\nfrom pathlib import Path\nfrom serve_app.sockets.server import Server\n" + (
        "async def never(message):\n    print('called', flush=True)\n    await asyncio.Future()\n"
        "async def main():\n    await Server(Path(sys.argv[1]), 'core', never).start()\n"
        "    print('listens', flush=True)\n    await asyncio.Future()\nasyncio.run(main())\n"
    )
    async with _calling(folder) as client:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", program, str(folder), stdout=asyncio.subprocess.PIPE
        )
        assert process.stdout is not None
        try:
            async with asyncio.timeout(60):
                assert await process.stdout.readline() == b"listens\n"
                await client.look()
                call = asyncio.create_task(client.send(b"1"))
                assert await process.stdout.readline() == b"called\n"
        finally:
            process.kill()
            await process.wait()
        with pytest.raises(Unavailable):
            await call
        assert await client.send(b"2") == b"elsewhere: 2"
        (left,) = _sockets(folder)
        await client.look()
        assert left.exists()  # it may be of one that starts
        os.utime(left, (time.time() - 60,) * 2)
        await client.look()
        assert not left.exists()
        assert await client.send(b"3") == b"elsewhere: 3"


async def test_no_call_is_lost_while_a_replica_leaves(folder: Path) -> None:
    leaving, answers = asyncio.Event(), list[bytes]()

    async def slow(message: bytes) -> bytes:
        if message == b"50":
            leaving.set()
        await asyncio.sleep(0.001)
        return b"here: " + message

    async with _calling(folder) as client, AsyncExitStack() as stack:
        server = await stack.enter_async_context(_answering(folder, slow))
        await client.look()

        async def ask(numbers: range) -> None:
            for n in numbers:
                answers.append(await client.send(b"%d" % n))

        async with asyncio.timeout(30), asyncio.TaskGroup() as group:
            for first in range(10):
                group.create_task(ask(range(first, 200, 10)))
            await leaving.wait()
            await server.close()
    ways = {answer.split(b": ")[0] for answer in answers}
    assert sorted(int(answer.split(b": ")[1]) for answer in answers) == list(range(200))
    assert ways == {b"here", b"elsewhere"}


async def test_a_replica_waits_for_what_runs_and_not_for_ever(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = asyncio.Event()

    async def never(_: bytes) -> bytes:
        begun.set()
        return await asyncio.Future()

    monkeypatch.setattr("serve_app.sockets.server._LEAVE_S", 0.05)
    async with _both(folder, never) as (client, server):
        call = asyncio.create_task(client.send(b"1"))
        await begun.wait()
        async with asyncio.timeout(5):
            await server.close()
            with pytest.raises(Unavailable):
                await call


async def test_the_least_busy_replica_is_called_and_nobody_gets_too_much_at_once(folder: Path) -> None:
    gate, busy = asyncio.Event(), [0, 0]

    def replica(place: int) -> Answer:
        async def answer(message: bytes) -> bytes:
            busy[place] += 1
            await gate.wait()
            return b"here: " + message

        return answer

    async with _calling(folder) as client, _answering(folder, replica(0)), _answering(folder, replica(1)):
        await client.look()
        calls = [asyncio.create_task(client.send(b"%d" % n)) for n in range(30)]
        async with asyncio.timeout(5):
            elsewhere = [await call for call in calls[24:]]
            while sum(busy) < 24:
                await asyncio.sleep(0)
        assert all(answer.startswith(b"elsewhere") for answer in elsewhere)
        assert busy == [12, 12]
        gate.set()
        assert all(answer.startswith(b"here") for answer in await asyncio.gather(*calls[:24]))


async def test_a_caller_that_is_gone_waits_for_nothing(folder: Path) -> None:
    begun, cancelled = asyncio.Event(), asyncio.Event()

    async def answer(_: bytes) -> bytes:
        begun.set()
        try:
            return await asyncio.Future()
        finally:
            cancelled.set()

    async with _answering(folder, answer):
        async with _calling(folder) as client:
            await client.look()
            call = asyncio.create_task(client.send(b"1"))
            await begun.wait()
        with pytest.raises(Unavailable):
            await call
        async with asyncio.timeout(5):
            await cancelled.wait()


async def test_frames_that_are_none_end_the_connection_and_no_other(folder: Path) -> None:
    async with _both(folder) as (client, _):
        (path,) = _sockets(folder)
        for bad in ((MOST_BYTES + 1).to_bytes(4, "little") + b"\0\0\0\0\0", b"\0\0\0\0\0\0\0\0\x63"):
            reader, writer = await asyncio.open_unix_connection(str(path))
            writer.write(bad)
            async with asyncio.timeout(5):
                with suppress(ConnectionResetError):
                    assert await reader.read() == b""
            writer.close()
        assert await client.send(b"1") == b"here: 1"


async def test_processes_of_other_users_are_cut(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with _answering(folder), _calling(folder) as client:
        monkeypatch.setattr("serve_app.sockets.frames._peer", lambda _: os.geteuid() + 1)
        with capture_logs() as logs:
            await client.look()
            assert await client.send(b"1") == b"elsewhere: 1"
        assert "another user" in logs[0]["event"]


def test_a_folder_that_others_may_enter_is_not_used(short: Path) -> None:
    folder = short / "node"
    folder.mkdir(mode=0o755)
    with pytest.raises(PermissionError, match="open to others"):
        private(folder)
    (short / "link").symlink_to(private(short / "own"))
    with pytest.raises(PermissionError):
        private(short / "link")


def test_a_folder_has_short_addresses_and_is_made_once(short: Path) -> None:
    folder = private(short / "node")
    assert private(folder) == folder
    assert folder.stat().st_mode & 0o777 == 0o700
    with pytest.raises(OSError, match="too long"):
        private(short / ("x" * 80))
