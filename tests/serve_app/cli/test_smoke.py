"""O7: whether a deployment may stay is asked from outside: what answers, how often it fails, how slow it is."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from serve_app.cli.failure import CommandFailed
from serve_app.cli.smoke import Limits, Measured, Target, parse_header, smoke
from tests.serve_app.edge.fakes import Fakes, running

QUICK = Limits(seconds=0.3, errors=0.01, p95_s=5.0)
NEW, OLD = {"X-Version": "new"}, {"X-Version": "old"}
HEAD = b"HTTP/1.1 %s\r\nX-API-Version: 1\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"


@asynccontextmanager
async def answering(
    *,
    broken_after: int = 1_000,
    slow_after: int = 1_000,
    slow_s: float = 0.12,
    ours: bool = True,
    marked: bytes = b"",
) -> AsyncIterator[str]:
    """The address of a server that breaks, or gets slow, after so many requests in which `marked` is."""
    asked = 0

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        is_marked = marked in (await reader.readuntil(b"\r\n\r\n")).lower()
        asked += is_marked
        number = asked if is_marked else 0
        if number > slow_after:
            await asyncio.sleep(slow_s)
        text = HEAD % (b"500 Broken" if number > broken_after else b"200 OK")
        writer.write(text if ours else text.replace(b"X-API-Version", b"Server"))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_a_platform_that_answers_may_stay() -> None:
    async with running(Fakes()) as client:
        measured = await smoke(Target(str(client.base_url)), QUICK)
    assert measured.requests > 4
    assert measured.failures == []


async def test_a_form_is_asked_for_as_data_and_as_a_page() -> None:
    async with answering() as url:
        assert (await smoke(Target(url, "acme/party"), QUICK)).failures == []
    async with answering(broken_after=3) as url:
        with pytest.raises(CommandFailed, match=r"/f/acme/party answers 500"):
            await smoke(Target(url, "acme/party"), QUICK)


async def test_one_that_breaks_under_way_may_not() -> None:
    async with answering(broken_after=6) as url:
        with pytest.raises(CommandFailed, match=r"requests failed, the last one: .* answered 500"):
            await smoke(Target(url), QUICK)


async def test_one_that_gets_slow_may_not() -> None:
    async with answering(slow_after=3) as url:
        with pytest.raises(CommandFailed, match=r"95 of 100 requests took up to .* ms, and 100 are borne"):
            await smoke(Target(url), Limits(seconds=0.3, errors=0.0, p95_s=0.1))


async def test_some_failures_are_borne() -> None:
    async with answering(broken_after=6) as url:
        assert (await smoke(Target(url), Limits(seconds=0.3, errors=1.0, p95_s=5.0))).error_rate > 0


async def test_nobody_and_somebody_else() -> None:
    with pytest.raises(CommandFailed, match="does not answer"):
        await smoke(Target("http://127.0.0.1:9"), QUICK)
    async with answering(ours=False) as url:
        with pytest.raises(CommandFailed, match="answered by somebody else"):
            await smoke(Target(url), QUICK)


async def test_a_part_that_is_away_is_named() -> None:
    async def away() -> None:
        raise RuntimeError

    async with running(Fakes(probes={"forms": away})) as client:
        with pytest.raises(CommandFailed, match="is not ready: forms"):
            await smoke(Target(str(client.base_url)), QUICK)


async def test_the_version_that_a_header_chooses_is_asked() -> None:
    async with answering(broken_after=0, marked=b"x-version: new") as url:
        assert (await smoke(Target(url, headers=OLD), QUICK)).failures == []
        with pytest.raises(CommandFailed, match="answers 500"):
            await smoke(Target(url, headers=NEW), QUICK)


async def test_one_that_is_worse_than_the_one_beside_it_may_not_stay() -> None:
    """Within the limits of both: what is borne of a slow platform is not borne of a version that made it slow."""
    lenient = Limits(seconds=0.5, errors=0.5, p95_s=5.0)
    async with answering(slow_after=3, slow_s=0.5, marked=b"x-version: new") as url:
        await smoke(Target(url, headers=OLD, against=NEW), lenient)
        with pytest.raises(CommandFailed, match=r"took up to \d+ ms, and \d+ ms beside it at the same time"):
            await smoke(Target(url, headers=NEW, against=OLD), lenient)


def test_failures_beside_it_are_not_its_own() -> None:
    limits = Limits(seconds=1.0, errors=0.2, p95_s=5.0)
    failing, well = Measured([0.1] * 10, ["broken"] * 4), Measured([0.1] * 10)
    assert "40.0% of the requests failed, and 0.0% of those beside it." in list(failing.complaints(limits, well))
    assert list(well.complaints(limits, failing)) == []


def test_a_header_has_a_name_and_a_value() -> None:
    assert parse_header("X-Version=new") == NEW
    with pytest.raises(CommandFailed, match="write NAME=VALUE"):
        parse_header("X-Version")


def test_the_95th_of_100() -> None:
    assert Measured(durations=[float(number) for number in range(1, 101)]).p95_s == 95.0
    assert Measured().p95_s == 0.0
