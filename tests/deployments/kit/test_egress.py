"""W: nothing that a customer types makes us call our own network, and no server holds us longer than we allow."""

import asyncio
import gzip
import pickle
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from ipaddress import ip_address
from pathlib import Path

import pytest

from deployments.kit.egress import Egress, EgressFailed, EgressRefused, Resolve, check_url, is_public
from deployments.kit.errors import Invalid
from tests.certificates import tls_for
from tests.deployments.local_http import answer, hang, serving

LOOPBACK = ("127.0.0.0/8",)
Open = Callable[..., Egress]


@pytest.fixture
async def opened() -> AsyncIterator[Open]:
    """Makes Egress objects and closes them."""
    async with AsyncExitStack() as stack:

        def make(allow: tuple[str, ...] = (), **options: object) -> Egress:
            egress = Egress(allow, **options)  # type: ignore[arg-type]
            stack.push_async_callback(egress.aclose)
            return egress

        yield make


def resolving(*answers: list[str]) -> tuple[Resolve, list[str]]:
    """A resolver that gives the next answer each time, the last one for ever, and the log of its questions."""
    asked: list[str] = []
    waiting = list(answers)

    async def resolve(host: str, port: int) -> list[str]:
        asked.append(host)
        return waiting.pop(0) if len(waiting) > 1 else waiting[0]

    return resolve, asked


class TestAddresses:
    @pytest.mark.parametrize(
        "address",
        [
            *("0.0.0.1", "10.1.2.3", "100.64.0.1", "100.100.100.200", "127.0.0.1", "169.254.169.254"),
            *("172.16.0.1", "172.31.255.255", "192.0.0.8", "192.0.0.192", "192.0.2.1", "192.88.99.1"),
            *("192.168.0.1", "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1", "224.0.0.1"),
            *("240.0.0.1", "255.255.255.255", "168.63.129.16"),
            *("::", "::1", "::127.0.0.1", "::ffff:0:127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::808:808"),
            *("64:ff9b:1::a00:1", "100::1", "2001::1", "2001:10::1", "2001:db8::1", "2002:7f00:1::1"),
            *("3fff::1", "5f00::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%lo", "fec0::1", "ff02::1"),
            *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254"),
        ],
    )
    async def test_a_name_at_a_forbidden_address_is_refused(self, opened: Open, address: str) -> None:
        resolve, _ = resolving([address])
        with pytest.raises(EgressRefused) as caught:
            await opened(resolve=resolve).request("GET", "http://customer.example/", {}, b"")
        assert address not in caught.value.detail

    @pytest.mark.parametrize(
        "address",
        [
            *("1.1.1.1", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255"),
            *("172.15.255.255", "172.32.0.0", "192.0.1.0", "198.17.255.255", "198.20.0.0", "223.255.255.255"),
            *("2600::1", "2001:200::1", "2001:4860:4860::8888", "2003::1", "2a00::1"),
        ],
    )
    def test_the_public_neighbours_of_forbidden_networks_are_not(self, address: str) -> None:
        assert is_public(ip_address(address))

    async def test_one_forbidden_answer_among_good_ones_is_enough(self, opened: Open) -> None:
        async with serving(answer("200 OK")) as server:
            resolve, _ = resolving(["127.0.0.1", "10.0.0.1"])
            with pytest.raises(EgressRefused):
                await opened(LOOPBACK, resolve=resolve).request("GET", f"http://a.example:{server.port}", {}, b"")
            assert server.connections == 0

    @pytest.mark.parametrize("host", ["127.0.0.1", "[::ffff:127.0.0.1]", "localhost"])
    async def test_loopback_is_refused_unless_allowed(self, opened: Open, host: str) -> None:
        async with serving(answer("200 OK", b"fine")) as server:
            url = f"http://{host}:{server.port}/hook?a=b"
            with pytest.raises(EgressRefused):
                await opened().request("GET", url, {}, b"")
            assert server.connections == 0

            response = await opened((*LOOPBACK, "::1/128")).request("GET", url, {}, b"")

            assert (response.status, response.body, response.address) == (200, b"fine", "127.0.0.1")
            assert server.requests[0].line == "GET /hook?a=b HTTP/1.1"
            assert server.requests[0].headers["host"] == f"{host}:{server.port}"

    async def test_a_name_that_moves_inward_is_refused_at_the_next_request(self, opened: Open) -> None:
        """Fault 18, DNS rebinding: each request is judged by the one answer that it dials."""
        async with serving(answer("200 OK")) as server:
            resolve, asked = resolving(["127.0.0.1"], ["10.0.0.1"])
            egress = opened(LOOPBACK, resolve=resolve)
            url = f"http://a.example:{server.port}/"

            assert (await egress.request("GET", url, {}, b"")).address == "127.0.0.1"
            with pytest.raises(EgressRefused):
                await egress.request("GET", url, {}, b"")

            assert asked == ["a.example", "a.example"]
            assert server.connections == 1
            assert server.requests[0].headers["host"] == f"a.example:{server.port}"

    async def test_the_next_address_is_tried_when_one_does_not_answer(self, opened: Open) -> None:
        async with serving(answer("200 OK")) as server:
            resolve, _ = resolving(["127.0.0.2", "127.0.0.1"])
            url = f"http://a.example:{server.port}/"
            response = await opened(LOOPBACK, resolve=resolve).request("GET", url, {}, b"")
            assert response.address == "127.0.0.1"

    def test_a_malformed_network_is_refused_at_once(self) -> None:
        with pytest.raises(ValueError, match="host bits"):
            Egress(("10.0.0.1/8",))


class TestTls:
    async def test_the_certificate_is_checked_for_the_name_not_the_address(self, opened: Open, tmp_path: Path) -> None:
        server_tls, client_tls = tls_for("a.example", tmp_path)
        names: list[str | None] = []
        server_tls.sni_callback = lambda _socket, name, _context: names.append(name)
        resolve, _ = resolving(["127.0.0.1"])
        egress = opened(LOOPBACK, resolve=resolve, ssl_context=client_tls)
        async with serving(answer("200 OK"), tls=server_tls) as server:
            good = await egress.request("GET", f"https://a.example:{server.port}/", {}, b"")
            with pytest.raises(EgressFailed, match="certificate verify failed"):
                await egress.request("GET", f"https://b.example:{server.port}/", {}, b"")
        assert good.status == 200
        assert names == ["a.example", "b.example"]

    async def test_an_unknown_issuer_is_not_trusted(self, opened: Open, tmp_path: Path) -> None:
        server_tls, _ = tls_for("a.example", tmp_path)
        resolve, _ = resolving(["127.0.0.1"])
        async with serving(answer("200 OK"), tls=server_tls) as server:
            with pytest.raises(EgressFailed, match="certificate verify failed"):
                await opened(LOOPBACK, resolve=resolve).request("GET", f"https://a.example:{server.port}", {}, b"")
            assert server.requests == []


async def one_byte_at_a_time(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
    await dribble(writer)


async def dribble(writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.02)


async def endless(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        writer.write(b"x" * 65536)
        await writer.drain()


async def broken_off(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc")
    writer.close()


async def no_http(writer: asyncio.StreamWriter) -> None:
    writer.write(b"SSH-2.0-OpenSSH_9.6\r\n\r\n")


class TestLimits:
    @pytest.mark.parametrize("behaviour", [hang, one_byte_at_a_time, dribble])
    async def test_a_slow_server_is_cut_after_the_total_time(self, opened: Open, behaviour: object) -> None:
        """Fault 11: accepts and never answers; sends one byte at a time, in the head and in the body."""
        async with serving(behaviour) as server:  # type: ignore[arg-type]
            started = time.monotonic()
            with pytest.raises(EgressFailed, match=r"within 0\.3 s"):
                await opened(LOOPBACK, timeout_s=0.3).request("GET", f"http://127.0.0.1:{server.port}", {}, b"")
            assert 0.25 < time.monotonic() - started < 3

    async def test_a_tls_handshake_that_hangs_is_cut_and_its_socket_closed(self, opened: Open) -> None:
        left = asyncio.Event()

        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()  # until the client closes
            left.set()
            writer.close()

        async with await asyncio.start_server(accept, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            with pytest.raises(EgressFailed, match="within"):
                await opened(LOOPBACK, timeout_s=0.3).request("GET", f"https://127.0.0.1:{port}", {}, b"")
            await asyncio.wait_for(left.wait(), 5)

    async def test_name_resolution_counts_as_time(self, opened: Open) -> None:
        async def resolve(host: str, port: int) -> list[str]:
            await asyncio.Event().wait()
            return []

        with pytest.raises(EgressFailed, match="within"):
            await opened(resolve=resolve).request("GET", "http://a.example/", {}, b"", timeout_s=0.1)

    async def test_hanging_servers_give_their_connections_back(self, opened: Open) -> None:
        """Also those of requests that were cut while they waited for a turn."""
        egress = opened(LOOPBACK, max_connections=2)
        async with serving(hang) as bad, serving(answer("200 OK")) as good:
            url = f"http://127.0.0.1:{bad.port}"
            # The first two have the places, and longer than the others wait for them.
            hung = [egress.request("GET", url, {}, b"", timeout_s=wait_s) for wait_s in (1.0, 1.0, 0.2, 0.2, 0.2, 0.2)]
            outcomes = await asyncio.gather(*hung, return_exceptions=True)
            assert [type(outcome) for outcome in outcomes] == [EgressFailed] * 6
            assert bad.connections == 2
            response = await egress.request("GET", f"http://127.0.0.1:{good.port}", {}, b"", timeout_s=5)
            assert response.status == 200

    async def test_an_endless_body_is_cut_and_the_connection_dropped(self, opened: Open) -> None:
        async with serving(endless) as server:
            egress = opened(LOOPBACK, max_response_bytes=1000)
            for _ in range(2):
                response = await egress.request("GET", f"http://127.0.0.1:{server.port}", {}, b"")
                assert response.body == b"x" * 1000
            assert server.connections == 2

    async def test_a_compressed_body_is_not_unpacked(self, opened: Open) -> None:
        bomb = gzip.compress(b"0" * 10_000_000)
        async with serving(answer("200 OK", bomb, "content-encoding: gzip")) as server:
            response = await opened(LOOPBACK).request("GET", f"http://127.0.0.1:{server.port}", {}, b"")
        assert response.body == bomb
        assert server.requests[0].headers["accept-encoding"] == "identity"

    async def test_the_caller_can_still_cancel(self, opened: Open) -> None:
        async with serving(hang) as server:
            task = asyncio.create_task(opened(LOOPBACK).request("GET", f"http://127.0.0.1:{server.port}", {}, b""))
            await asyncio.wait_for(server.seen.wait(), 5)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task


class TestAnswers:
    async def test_a_redirect_is_an_answer(self, opened: Open) -> None:
        async with serving(answer("200 OK")) as inner:
            location = f"location: http://127.0.0.1:{inner.port}/"
            async with serving(answer("302 Found", b"", location)) as server:
                response = await opened(LOOPBACK).request("GET", f"http://127.0.0.1:{server.port}", {}, b"")
            assert (response.status, inner.connections) == (302, 0)

    async def test_proxies_of_the_environment_are_ignored(self, opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, "http://127.0.0.1:1")
        async with serving(answer("204 No Content")) as server:
            response = await opened(LOOPBACK).request("GET", f"http://127.0.0.1:{server.port}", {}, b"")
        assert response.status == 204

    async def test_body_and_headers_arrive_and_framing_stays_ours(self, opened: Open) -> None:
        given = {"X-One": "1", "Host": "inner", "Content-Length": "1", "Transfer-Encoding": "chunked"}
        async with serving(answer("201 Created", b"ok", "X-Two: 2")) as server:
            url = f"http://127.0.0.1:{server.port}"
            response = await opened(LOOPBACK).request("PUT", url, given, b"payload")
        (request,) = server.requests
        assert request.body == b"payload"
        assert request.headers["x-one"] == "1"
        assert request.headers["host"] == f"127.0.0.1:{server.port}"
        assert request.headers["content-length"] == "7"
        assert "transfer-encoding" not in request.headers
        assert response.headers["x-two"] == "2"
        assert response.duration_ms > 0

    @pytest.mark.parametrize("headers", [{"x": "a\r\nb: c"}, {"x\r\ny": "a"}, {"x": "é"}, {"x y": "a"}])
    async def test_a_header_that_cannot_be_sent_is_refused(self, opened: Open, headers: dict[str, str]) -> None:
        async with serving(answer("200 OK")) as server:
            with pytest.raises(EgressRefused):
                await opened(LOOPBACK).request("GET", f"http://127.0.0.1:{server.port}", headers, b"")
            assert server.requests == []

    @pytest.mark.parametrize("behaviour", [broken_off, no_http])
    async def test_a_broken_answer_is_a_failure(self, opened: Open, behaviour: object) -> None:
        async with serving(behaviour) as server:  # type: ignore[arg-type]
            with pytest.raises(EgressFailed):
                await opened(LOOPBACK).request("GET", f"http://127.0.0.1:{server.port}", {}, b"")

    async def test_a_closed_port_is_a_failure(self, opened: Open) -> None:
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            with pytest.raises(EgressFailed):
                await opened(LOOPBACK).request("GET", f"http://127.0.0.1:{unused.getsockname()[1]}", {}, b"")

    async def test_a_name_without_an_address_is_a_failure(self, opened: Open) -> None:
        async def unknown(host: str, port: int) -> list[str]:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

        nothing, _ = resolving([])
        for resolve in (unknown, nothing):
            with pytest.raises(EgressFailed):
                await opened(resolve=resolve).request("GET", "http://a.example", {}, b"")

    @pytest.mark.parametrize("error", [EgressRefused("no"), EgressFailed("later")])
    def test_errors_survive_pickling(self, error: EgressRefused | EgressFailed) -> None:
        copy = pickle.loads(pickle.dumps(error))  # noqa: S301
        assert (type(copy), copy.detail) == (type(error), error.detail)


class TestUrls:
    @pytest.mark.parametrize(
        "url",
        [
            *("https://example.com", "http://a.example:8080/p?q=1#f", "https://bücher.example/ü", "https://x_y.com"),
            *("https://8.8.8.8/", "https://[2600::1]:1/", "HTTPS://EXAMPLE.COM.", "https://a.1x", "http://localhost"),
        ],
    )
    def test_a_plain_url_passes(self, url: str) -> None:
        check_url(url)

    @pytest.mark.parametrize(
        ("url", "codes"),
        [
            ("ftp://example.com", ["url.scheme"]),
            ("file:///etc/passwd", ["url.scheme", "url.host"]),
            ("example.com/x", ["url.scheme", "url.host"]),
            (" https://example.com", ["url.scheme", "url.host"]),
            ("", ["url.scheme", "url.host"]),
            ("https://", ["url.host"]),
            ("https://user@example.com", ["url.userinfo"]),
            ("https://user:pw@", ["url.userinfo", "url.host"]),
            ("gopher://u:p@2130706433", ["url.scheme", "url.userinfo", "url.host"]),
            (r"https://example.com\@evil.example", ["url.userinfo"]),
            (r"https://evil.example\.example.com", ["url.host"]),
            ("http://2130706433/", ["url.host"]),
            ("http://0x7f000001/", ["url.host"]),
            ("http://0x7f.1/", ["url.host"]),
            ("http://127.1/", ["url.host"]),
            ("http://127.0.0.1./", ["url.host"]),
            ("http://0177.0.0.1/", ["url.format"]),
            ("http://[fe80::1%25eth0]/", ["url.host"]),
            ("http://[::1/", ["url.format"]),
            ("http://a..b/", ["url.host"]),
            ("http://-a.com/", ["url.host"]),
            ("http://" + "a" * 64 + ".com/", ["url.host"]),
            ("http://" + "a." * 127 + "com/", ["url.host"]),
            ("http://exa mple.com/", ["url.host"]),
            ("http://%6cocalhost/", ["url.host"]),
            ("http://a.com:0/", ["url.port"]),
            ("http://a.com:65536/", ["url.port"]),
            ("http://a.com:x/", ["url.format"]),
            ("http://a.com/\r\nx: y", ["url.format"]),
        ],
    )
    async def test_every_fault_is_named_at_once(self, opened: Open, url: str, codes: list[str]) -> None:
        with pytest.raises(Invalid) as caught:
            check_url(url)
        assert [fault.code for fault in caught.value.faults] == codes
        assert {fault.pointer for fault in caught.value.faults} == {"/url"}
        with pytest.raises(EgressRefused):
            await opened(("0.0.0.0/0", "::/0")).request("GET", url, {}, b"")
