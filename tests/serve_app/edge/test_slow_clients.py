"""H3: a client that dawdles is cut off, and the others do not notice."""

import asyncio
import socket
from contextlib import suppress

import pytest

from tests.eventing.harness import eventually
from tests.serve_app.edge.fakes import Fakes, running


async def test_a_head_that_comes_byte_by_byte_is_cut_off_while_others_are_served(fakes: Fakes) -> None:
    """H3: each byte is in time, the head is not."""
    async with running(fakes, head_timeout_s=0.3) as client:
        reader, writer = await asyncio.open_connection("127.0.0.1", client.base_url.port)

        async def drip() -> None:
            writer.write(b"GET /health HTTP/1.1\r\nx: ")
            with suppress(ConnectionError):
                while True:
                    writer.write(b"y")
                    await writer.drain()
                    await asyncio.sleep(0.05)

        dripping = asyncio.create_task(drip())
        answer = asyncio.create_task(reader.read())
        try:
            async with asyncio.timeout(5):
                while not answer.done():
                    assert (await client.get("/health")).status_code == 200
            assert (await answer).startswith(b"HTTP/1.1 408")
        finally:
            dripping.cancel()
            writer.close()


async def test_a_refused_body_that_drips_is_cut_off(fakes: Fakes) -> None:
    """H3: its sender gets to see the answer, and not a connection for as long as they please."""
    async with running(fakes, head_timeout_s=0.3) as client:
        reader, writer = await asyncio.open_connection("127.0.0.1", client.base_url.port)
        writer.write(b"POST /api/v1/forms HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n")
        assert (await asyncio.wait_for(reader.readline(), 5)).startswith(b"HTTP/1.1 401")

        async def is_cut() -> bool:
            try:
                writer.write(b"y")
                await writer.drain()
            except ConnectionError:
                return True
            return False

        await eventually(is_cut)
        writer.close()


async def test_a_body_that_is_announced_too_large_is_not_waited_for(fakes: Fakes) -> None:
    """H3: the answer comes before the first byte of it."""
    async with running(fakes) as client:
        reader, writer = await asyncio.open_connection("127.0.0.1", client.base_url.port)
        head = b"POST /api/v1/public/acme/party/responses HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
        writer.write(head + b"content-length: 10000000\r\n\r\n")
        assert (await asyncio.wait_for(reader.readline(), 5)).startswith(b"HTTP/1.1 413")
        writer.close()


async def test_an_answer_that_nobody_takes_is_given_up(fakes: Fakes) -> None:
    """H3: whoever asks for much and reads nothing holds neither memory nor a connection."""
    # How often connections are looked at follows from the time that a head has.
    async with running(fakes, write_timeout_s=0.3, head_timeout_s=0.6) as client:
        large = "/api/v1/docs/swagger-ui-bundle.js"
        assert len((await client.get(large)).content) > 1_000_000
        with socket.socket() as asking:
            # A small window, or the kernels of both sides would take the whole answer.
            asking.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            asking.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.sock_connect(asking, ("127.0.0.1", client.base_url.port or 0))
            await loop.sock_sendall(asking, f"GET {large} HTTP/1.1\r\nhost: x\r\n\r\n".encode() * 20)

            async def is_cut() -> bool:
                try:
                    asking.send(b"y")
                except BlockingIOError:
                    return False
                except ConnectionError:
                    return True
                return False

            await eventually(is_cut)


async def test_a_connection_with_nothing_on_it_ends(fakes: Fakes) -> None:
    """H3: idle connections are not kept for ever."""
    async with running(fakes, idle_timeout_s=0.2) as client:
        reader, writer = await asyncio.open_connection("127.0.0.1", client.base_url.port)
        assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()


@pytest.mark.parametrize("limit", ["max_connections_per_address", "max_connections"])
async def test_connections_are_bounded(fakes: Fakes, limit: str) -> None:
    """H3: of one address and altogether, one more than allowed is closed; the next is welcome when another has left."""
    async with running(fakes, **{limit: 2}) as client:
        port = client.base_url.port
        first, second = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()
        first[1].close()
        await first[1].wait_closed()
        assert (await client.get("/health")).status_code == 200
        second[1].close()
