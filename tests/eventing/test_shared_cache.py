"""C1: the level that processes share, on a real server: it keeps, forgets and fails without anybody noticing."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
from nats.js.errors import NotFoundError

from eventing.connection import close, connect
from eventing.server import EmbeddedServer
from eventing.settings import EventingSettings
from eventing.shared_cache import BUCKET, SharedCache
from tests.eventing.harness import eventually


@asynccontextmanager
async def process(url: str, **changes: Any) -> AsyncIterator[SharedCache]:
    settings = EventingSettings(nats_url=url, reconnect_wait_s=0.05, **changes)
    client = await connect(settings, "test")
    shared = SharedCache(client, settings)
    try:
        yield shared
    finally:
        await shared.stop()
        await close(client)


async def kept(shared: SharedCache, name: str, value: bytes) -> bool:
    shared.put(name, value)
    await shared.settle()
    return await shared.get(name) == value


async def test_what_one_process_keeps_another_one_finds(nats_server: str) -> None:
    async with process(nats_server) as one, process(nats_server) as other:
        await eventually(lambda: kept(one, "numbers.a1", b"1"))
        await eventually(lambda: _is(other, "numbers.a1", b"1"))
        assert await one.get("numbers.a2") is None
        assert one.failures == 0


async def _is(shared: SharedCache, name: str, value: bytes) -> bool:
    return await shared.get(name) == value


async def test_a_full_bucket_forgets_the_oldest(tmp_path: Path) -> None:
    """C1: the room is bounded, and new values find some."""
    with EmbeddedServer(tmp_path) as server:
        async with process(server.url, cache_bytes=1024**2) as shared:
            await eventually(lambda: kept(shared, "numbers.0", b"x" * 200_000))
            for number in range(1, 8):
                assert await kept(shared, f"numbers.{number}", b"x" * 200_000)
            assert await shared.get("numbers.0") is None
            assert shared.failures == 0


async def test_a_server_that_is_away_is_no_failure_and_one_that_is_back_is_used(tmp_path: Path) -> None:
    """C1: without NATS nothing is found and nothing waits; with NATS back, its memory empty, it is used again."""
    with EmbeddedServer(tmp_path) as server:
        async with process(server.url) as shared:
            await eventually(lambda: kept(shared, "numbers.a", b"1"))
            server.stop()
            async with asyncio.timeout(1):
                shared.put("numbers.b", b"2")
                assert await shared.get("numbers.a") is None
            server.start()
            await eventually(lambda: kept(shared, "numbers.c", b"3"))
            assert await shared.get("numbers.a") is None


async def stopped(server: EmbeddedServer) -> bool:
    assert server._child is not None
    threads = [psutil.Process(thread.id) for thread in psutil.Process(server._child.pid).threads()]
    return all(thread.status() == psutil.STATUS_STOPPED for thread in threads)


async def test_a_server_that_hangs_is_waited_for_once(tmp_path: Path) -> None:
    """C1: every question has a deadline, and after the first that ran into it nobody asks for a while."""
    with EmbeddedServer(tmp_path) as server:
        async with process(server.url) as shared:
            await eventually(lambda: kept(shared, "numbers.a", b"1"))
            assert server._child is not None
            os.kill(server._child.pid, signal.SIGSTOP)
            # The signal is sent, and each thread stops when it hears of it.
            await eventually(lambda: stopped(server))
            try:
                assert await asyncio.gather(*(shared.get("numbers.a") for _ in range(20))) == [None] * 20
                # Nothing of this is sent any more.
                found = [asyncio.ensure_future(shared.get("numbers.a")) for _ in range(200)]
                await asyncio.sleep(0)
                await asyncio.sleep(0)
                assert all(each.done() and each.result() is None for each in found)
            finally:
                os.kill(server._child.pid, signal.SIGCONT)
            await eventually(lambda: kept(shared, "numbers.b", b"2"))


async def test_a_bucket_that_is_gone_is_made_again(nats_server: str) -> None:
    async with process(nats_server) as shared:
        await eventually(lambda: kept(shared, "numbers.a", b"1"))
        with suppress(NotFoundError):
            await shared._client.jetstream().delete_stream(f"KV_{BUCKET}")
        assert await shared.get("numbers.a") is None
        assert shared.failures == 1
        await eventually(lambda: kept(shared, "numbers.a", b"2"))
