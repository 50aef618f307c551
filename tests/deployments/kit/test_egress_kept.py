"""W4: a kept connection is judged like a new one, and saves a request only time."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack

import pytest

from deployments.kit.egress import Egress, EgressFailed, EgressRefused
from tests.deployments.kit.test_egress import resolving
from tests.deployments.local_http import answer, serving

LOOPBACK = ("127.0.0.0/8",)
Open = Callable[..., Egress]


@pytest.fixture
async def opened() -> AsyncIterator[Open]:
    """Makes Egress objects that keep connections, and closes them."""
    async with AsyncExitStack() as stack:

        def make(allow: tuple[str, ...] = LOOPBACK, **options: object) -> Egress:
            egress = Egress(allow, **{"timeout_s": 5.0, "keep_s": 30.0, **options})  # type: ignore[arg-type]
            stack.push_async_callback(egress.aclose)
            return egress

        yield make


async def test_requests_follow_each_other_on_one_connection(opened: Open) -> None:
    egress = opened()
    async with serving(answer("200 OK", b"fine")) as server:
        for _ in range(5):
            response = await egress.request("POST", f"http://127.0.0.1:{server.port}/", {}, b"x")
            assert (response.body, response.address) == (b"fine", "127.0.0.1")
        await asyncio.gather(*(egress.request("POST", f"http://127.0.0.1:{server.port}/", {}, b"x") for _ in range(3)))
        assert server.connections == 3
        assert "connection" not in server.requests[0].headers


async def test_without_keeping_each_request_has_its_own(opened: Open) -> None:
    egress = opened(keep_s=0.0)
    async with serving(answer("200 OK")) as server:
        for _ in range(2):
            await egress.request("POST", f"http://127.0.0.1:{server.port}/", {}, b"x")
        assert server.connections == 2
        assert server.requests[0].headers["connection"] == "close"


async def test_a_name_that_moves_inward_is_refused_although_a_connection_is_open(opened: Open) -> None:
    """Fault 18, DNS rebinding with keep-alive: the answer of now counts."""
    resolve, asked = resolving(["127.0.0.1"], ["127.0.0.1"], ["10.0.0.1"])
    egress = opened(resolve=resolve)
    async with serving(answer("200 OK")) as server:
        url = f"http://a.example:{server.port}/"
        for _ in range(2):
            await egress.request("POST", url, {}, b"x")
        with pytest.raises(EgressRefused):
            await egress.request("POST", url, {}, b"x")
        assert (server.connections, len(server.requests), len(asked)) == (1, 2, 3)


async def test_a_name_that_moves_elsewhere_is_followed(opened: Open) -> None:
    resolve, _ = resolving(["127.0.0.1"], ["127.0.0.2"])
    egress = opened(resolve=resolve)
    async with serving(answer("200 OK")) as server:
        url = f"http://a.example:{server.port}/"
        assert (await egress.request("POST", url, {}, b"x")).address == "127.0.0.1"
        with pytest.raises(EgressFailed):  # nobody listens there
            await egress.request("POST", url, {}, b"x")
        assert len(server.requests) == 1


async def test_two_names_at_one_address_share_no_connection(opened: Open) -> None:
    resolve, _ = resolving(["127.0.0.1"])
    egress = opened(resolve=resolve)
    async with serving(answer("200 OK")) as server:
        for host in ("a.example", "b.example"):
            await egress.request("POST", f"http://{host}:{server.port}/", {}, b"x")
        assert server.connections == 2


async def test_a_connection_that_the_server_closed_meanwhile_fails_no_request(opened: Open) -> None:
    async def answer_and_close(writer: asyncio.StreamWriter) -> None:
        await answer("200 OK")(writer)
        writer.close()

    egress = opened()
    async with serving(answer_and_close, answer("204 No Content")) as server:
        url = f"http://127.0.0.1:{server.port}/"
        assert (await egress.request("POST", url, {}, b"x")).status == 200
        assert (await egress.request("POST", url, {}, b"x")).status == 204
        assert server.connections == 2


async def test_a_connection_that_is_closed_instead_of_an_answer_is_tried_afresh_once(opened: Open) -> None:
    """The server closes just as the request is on its way: that says nothing about the server."""

    async def close(writer: asyncio.StreamWriter) -> None:
        writer.close()

    egress = opened()
    async with serving(answer("200 OK"), close, answer("204 No Content"), close) as server:
        url = f"http://127.0.0.1:{server.port}/"
        assert (await egress.request("POST", url, {}, b"1")).status == 200
        assert (await egress.request("POST", url, {}, b"2")).status == 204
        with pytest.raises(EgressFailed):
            await egress.request("POST", url, {}, b"3")
        assert [request.body for request in server.requests] == [b"1", b"2", b"2", b"3", b"3"]


async def test_what_was_cut_off_is_not_used_again(opened: Open) -> None:
    """A body longer than wanted would be the head of the next answer."""
    egress = opened(max_response_bytes=10)
    async with serving(answer("200 OK", b"x" * 1000)) as server:
        for _ in range(2):
            response = await egress.request("POST", f"http://127.0.0.1:{server.port}/", {}, b"x")
            assert response.body == b"x" * 10
        assert server.connections == 2


async def test_idle_connections_are_closed_at_the_end(opened: Open) -> None:
    left = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await answer("200 OK")(writer)
        await reader.read()
        left.set()
        writer.close()

    egress = opened()
    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        await egress.request("GET", f"http://127.0.0.1:{port}/", {}, b"")
        assert not left.is_set()
        await egress.aclose()
        await asyncio.wait_for(left.wait(), 5)


@pytest.mark.parametrize("url", ["http://a.example:25/", "https://a.example:8000/", "http://8.8.8.8:22/"])
async def test_public_addresses_are_called_at_the_named_ports_only(opened: Open, url: str) -> None:
    """W4: so that nobody makes us speak to a mail server or look for open ports."""
    resolve, _ = resolving(["8.8.8.8"])
    with pytest.raises(EgressRefused, match=r"Port \d+ may not be called"):
        await opened(resolve=resolve, ports=(80, 443)).request("POST", url, {}, b"")


async def test_networks_of_the_operator_are_called_at_any_port(opened: Open) -> None:
    async with serving(answer("200 OK")) as server:
        response = await opened(ports=(80, 443)).request("POST", f"http://127.0.0.1:{server.port}/", {}, b"")
        assert response.status == 200


async def test_a_name_in_another_script_is_asked_for_as_it_is_dialled(opened: Open) -> None:
    """W4: IDNA; what is resolved and checked is the name that goes into the Host header."""
    resolve, asked = resolving(["127.0.0.1"])
    async with serving(answer("200 OK")) as server:
        await opened(resolve=resolve).request("POST", f"http://bücher.example:{server.port}/", {}, b"")
        assert asked == ["xn--bcher-kva.example"]
        assert server.requests[0].headers["host"] == f"xn--bcher-kva.example:{server.port}"
