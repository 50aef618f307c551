"""D1: replicas share a port, and one leaves it under load without failing a request."""

import asyncio
import socket
from typing import Any

import httpx
import pytest

from serve_app.edge.deployment import Edge
from serve_app.edge.settings import EdgeSettings
from tests.serve_app.edge.fakes import Fakes
from tests.serve_app.edge.test_answers import SUBMIT


def edge(fakes: Fakes, port: int = 0, drain_s: float = 5.0) -> Edge:
    return Edge(EdgeSettings(port=port, object_store_url="memory:///", drain_s=drain_s), fakes.apis())


@pytest.mark.parametrize("keep_alive", [True, False])
async def test_a_replica_is_replaced_under_load_without_a_failed_request(fakes: Fakes, keep_alive: bool) -> None:
    old = edge(fakes)
    port = await old.start()
    statuses: list[int] = []
    stop = asyncio.Event()

    async def load(client: httpx.AsyncClient) -> None:
        while not stop.is_set():
            headers = {} if keep_alive else {"connection": "close"}
            response = await client.post(f"http://127.0.0.1:{port}{SUBMIT}", json={}, headers=headers)
            statuses.append(response.status_code)

    async def answered(more: int) -> None:
        target = len(statuses) + more
        async with asyncio.timeout(20):
            while len(statuses) < target:
                await asyncio.sleep(0.01)

    async with httpx.AsyncClient(trust_env=False, timeout=30) as client, asyncio.TaskGroup() as group:
        for _ in range(16):
            group.create_task(load(client))
        await answered(100)
        for _ in range(3):
            new = edge(fakes, port)
            assert await new.start() == port
            await answered(100)
            await old.stop()
            await answered(100)
            old = new
        stop.set()
    await old.stop()
    assert set(statuses) == {201}


async def test_requests_in_flight_are_finished(fakes: Fakes) -> None:
    started, go = asyncio.Event(), asyncio.Event()
    answer: Any = fakes.responses.answer

    async def slow() -> Any:
        started.set()
        await go.wait()
        return answer()

    fakes.responses.answer = slow
    replica = edge(fakes)
    port = await replica.start()
    async with httpx.AsyncClient(trust_env=False) as client:
        request = asyncio.create_task(client.post(f"http://127.0.0.1:{port}{SUBMIT}", json={}))
        await started.wait()
        stopping = asyncio.create_task(replica.stop())
        await asyncio.sleep(0)
        with pytest.raises(httpx.ConnectError):
            await client.get(f"http://127.0.0.1:{port}/health")
        go.set()
        response = await request
    assert (response.status_code, response.headers["connection"]) == (201, "close")
    await asyncio.wait_for(stopping, 5)


async def test_stopping_does_not_wait_longer_than_it_was_told(fakes: Fakes) -> None:
    async def hang() -> None:
        await asyncio.Event().wait()

    fakes.responses.answer = hang
    replica = edge(fakes, drain_s=0.1)
    port = await replica.start()
    async with httpx.AsyncClient(trust_env=False) as client:
        request = asyncio.create_task(client.post(f"http://127.0.0.1:{port}{SUBMIT}", json={}))
        while not fakes.responses.submitted:
            await asyncio.sleep(0.01)
        await asyncio.wait_for(replica.stop(), 3)
        with pytest.raises(httpx.HTTPError):
            await request


async def test_an_idle_connection_is_closed_after_a_moment_and_serves_until_then(fakes: Fakes) -> None:
    replica = edge(fakes, drain_s=10)
    port = await replica.start()
    used, idle = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
    request = b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n"
    for reader, writer in (used, idle):
        writer.write(request)
        assert b"connection: keep-alive" in await reader.readuntil(b'{"status":"ok"}')
    stopping = asyncio.create_task(replica.stop())
    await asyncio.sleep(0)
    used[1].write(request)
    assert b"connection: close" in await asyncio.wait_for(used[0].read(), 5)
    assert await asyncio.wait_for(idle[0].read(), 5) == b""
    await asyncio.wait_for(stopping, 5)
    for _, writer in (used, idle):
        writer.close()


async def test_connections_in_the_queue_of_the_socket_are_served(fakes: Fakes) -> None:
    """A client whose connection the kernel has taken, but nobody has accepted, gets its answer."""
    replica = edge(fakes)
    port = await replica.start()
    loop = asyncio.get_running_loop()
    # Connected and sent in one turn of the loop, so that the server cannot have accepted before it is stopped.
    client = socket.create_connection(("127.0.0.1", port))
    client.sendall(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n")
    client.setblocking(False)
    stopping = asyncio.create_task(replica.stop())
    answer = await asyncio.wait_for(loop.sock_recv(client, 4096), 5)
    client.close()
    await stopping
    assert answer.startswith(b"HTTP/1.1 200")


async def test_health_is_whether_it_listens(fakes: Fakes) -> None:
    replica = edge(fakes)
    with pytest.raises(RuntimeError):
        replica.check_health()
    await replica.start()
    replica.check_health()
    await replica.stop()
    with pytest.raises(RuntimeError):
        replica.check_health()
    await replica.stop()


async def test_a_taken_port_is_an_error(fakes: Fakes) -> None:
    async def nothing(_: asyncio.StreamReader, __: asyncio.StreamWriter) -> None: ...

    server = await asyncio.start_server(nothing, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(OSError, match="in use"):
        await edge(fakes, port).start()
    server.close()
    await server.wait_closed()
