"""O7: whether a deployment may stay is asked from outside: what answers, how often it fails, how slow it is."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from serve_app.cli.failure import CommandFailed
from serve_app.cli.smoke import Limits, Measured, smoke
from tests.serve_app.edge.fakes import Fakes, running

QUICK = Limits(seconds=0.3, errors=0.01, p95_s=5.0)
HEAD = b"HTTP/1.1 %s\r\nX-API-Version: 1\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"


@asynccontextmanager
async def answering(*, broken_after: int = 1_000, slow_after: int = 1_000, ours: bool = True) -> AsyncIterator[str]:
    """The address of a server that breaks, or gets slow, after so many requests."""
    asked = 0

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked += 1
        number = asked
        await reader.readuntil(b"\r\n\r\n")
        if number > slow_after:
            await asyncio.sleep(0.12)
        text = HEAD % (b"500 Broken" if number > broken_after else b"200 OK")
        writer.write(text if ours else text.replace(b"X-API-Version", b"Server"))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_a_platform_that_answers_may_stay() -> None:
    async with running(Fakes()) as client:
        measured = await smoke(str(client.base_url), None, QUICK)
    assert measured.requests > 4
    assert measured.failures == []


async def test_a_form_is_asked_for_as_data_and_as_a_page() -> None:
    async with answering() as url:
        assert (await smoke(url, "acme/party", QUICK)).failures == []
    async with answering(broken_after=3) as url:
        with pytest.raises(CommandFailed, match=r"/f/acme/party answers 500"):
            await smoke(url, "acme/party", QUICK)


async def test_one_that_breaks_under_way_may_not() -> None:
    async with answering(broken_after=6) as url:
        with pytest.raises(CommandFailed, match=r"requests failed, the last one: .* answered 500"):
            await smoke(url, None, QUICK)


async def test_one_that_gets_slow_may_not() -> None:
    async with answering(slow_after=3) as url:
        with pytest.raises(CommandFailed, match=r"95 of 100 requests took up to .* ms, and 100 are borne"):
            await smoke(url, None, Limits(seconds=0.3, errors=0.0, p95_s=0.1))


async def test_some_failures_are_borne() -> None:
    async with answering(broken_after=6) as url:
        assert (await smoke(url, None, Limits(seconds=0.3, errors=1.0, p95_s=5.0))).error_rate > 0


async def test_nobody_and_somebody_else() -> None:
    with pytest.raises(CommandFailed, match="does not answer"):
        await smoke("http://127.0.0.1:9", None, QUICK)
    async with answering(ours=False) as url:
        with pytest.raises(CommandFailed, match="answered by somebody else"):
            await smoke(url, None, QUICK)


async def test_a_part_that_is_away_is_named() -> None:
    async def away() -> None:
        raise RuntimeError

    async with running(Fakes(probes={"forms": away})) as client:
        with pytest.raises(CommandFailed, match="is not ready: forms"):
            await smoke(str(client.base_url), None, QUICK)


def test_the_95th_of_100() -> None:
    assert Measured(durations=[float(number) for number in range(1, 101)]).p95_s == 95.0
    assert Measured().p95_s == 0.0
