"""H3: a client that dawdles is cut off, and the others do not notice."""

import asyncio
from contextlib import suppress

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


async def test_a_connection_with_nothing_on_it_ends(fakes: Fakes) -> None:
    """H3: idle connections are not kept for ever."""
    async with running(fakes, idle_timeout_s=0.2) as client:
        reader, writer = await asyncio.open_connection("127.0.0.1", client.base_url.port)
        assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()


async def test_connections_of_one_address_are_bounded(fakes: Fakes) -> None:
    """H3: one more than allowed is closed; the next one is welcome when another has left."""
    async with running(fakes, max_connections_per_address=2) as client:
        port = client.base_url.port
        first, second = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()
        first[1].close()
        await first[1].wait_closed()
        assert (await client.get("/health")).status_code == 200
        second[1].close()
