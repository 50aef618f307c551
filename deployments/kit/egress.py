"""The one way out to addresses that customers choose: HTTP that cannot reach our own network.

The address is judged when it is dialled, not when the URL was entered: each request resolves its host once,
every answer must be public (or lie in an allowed network), and the socket goes to one of those very answers,
while Host header, SNI and certificate check keep the name.

httpcore's single connection is used without a client or a pool around it. Redirects, proxies from the
environment, cookies and decompression then do not exist, and no cancelled request can wear a pool out (httpcore issue
1093). A connection may be kept for the next request to the same origin. That request is judged like every other: the
host is resolved again, and the connection used only if its address is among the answers. One that the server closed
in the meantime fails no request, which is then sent on a fresh connection.
"""

import asyncio
import re
import socket
import ssl
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

import httpcore
import httpx

from deployments.kit.errors import DomainError, Fault, Invalid

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Resolve = Callable[[str, int], Awaitable[list[str]]]
"""Addresses of a host name for a port, most preferred first. Raises OSError when there is no answer."""

# Special-purpose space (RFC 6890 and updates), multicast, and Azure's platform endpoint, whose address is public.
# `is_global` is asked as well, so that the list of a newer Python only ever adds to this one.
_REFUSED_V4 = tuple(
    IPv4Network(network)
    for network in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
        *("192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15"),
        *("198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4", "168.63.129.16/32"),
    )
)
# Only 2000::/3 is global unicast (RFC 4291 §2.4), so loopback, unique local (fc00::/7), link and site local,
# multicast, IPv4-compatible, NAT64 (64:ff9b::/96 and 64:ff9b:1::/48), discard and SRv6 space are out at once.
_GLOBAL_UNICAST_V6 = IPv6Network("2000::/3")
# Inside it: IETF assignments with Teredo and ORCHID, documentation, and 6to4, which embeds an IPv4 address.
_REFUSED_V6 = tuple(IPv6Network(network) for network in ("2001::/23", "2001:db8::/32", "3fff::/20", "2002::/16"))

_LABELS = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)(\.(?!-)[a-z0-9_-]{1,63}(?<!-))*\.?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
# Framing and routing of a message belong to this client; a customer's header must not change them.
_OWN_HEADERS = frozenset(
    (
        *("host", "content-length", "transfer-encoding", "connection", "keep-alive", "te", "trailer"),
        *("upgrade", "expect", "proxy-connection", "proxy-authorization"),
    )
)
_DIALLED_AT_MOST = 3
_KEPT_AT_MOST = 256


class EgressRefused(DomainError):
    """The request must not be sent: a forbidden address, or an unusable URL or header. Permanent."""

    status, code, title = 422, "egress.refused", "The address may not be called"


class EgressFailed(DomainError):
    """No complete answer came: name resolution, connection, TLS, protocol or time. Worth a later attempt."""

    status, code, title = 502, "egress.failed", "The address did not answer"


@dataclass(frozen=True, slots=True)
class EgressResponse:
    """An answer: header names in lower case, the first bytes of the body, the address that was dialled."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    duration_ms: float
    address: str


def check_url(url: str, *, pointer: str = "/url") -> None:
    """Refuse a URL that could never be called, without resolving anything.

    Raises Invalid with every fault at `pointer`: `url.format`, `url.scheme` (only http and https),
    `url.userinfo` (none allowed), `url.host` (a name or a plain IP literal), `url.port`. Whether the address
    is allowed is decided when it is dialled, since the name may resolve differently by then.
    """
    if faults := url_faults(url, pointer):
        raise Invalid("The URL cannot be used.", faults=faults)


def url_faults(url: str, pointer: str) -> tuple[Fault, ...]:
    """What `check_url` would refuse."""
    return tuple(Fault(pointer, code, detail) for code, detail in _url_faults(url))


@cache
def _trusting_the_usual() -> ssl.SSLContext:
    # Reading the certificates of every authority twice takes tens of milliseconds.
    return httpcore.default_ssl_context()


class Egress:
    """An HTTP/1.1 client for addresses that others choose; one per process, used in one event loop.

    `allow` names the networks (CIDR) that may be reached although they are not public, at any port; a malformed one
    raises ValueError. `ports` are those that may be reached at public addresses, all when there is none. An idle
    connection is kept for `keep_s` seconds, not at all by default. `timeout_s` bounds a whole request, from name
    resolution to the last byte. At most `max_response_bytes` of a body are read and kept. At most `max_connections`
    requests run at once; waiting for a turn counts as time of the request, so callers keep their own concurrency
    below it.
    """

    def __init__(
        self,
        allow: Iterable[str] = (),
        *,
        timeout_s: float = 15.0,
        max_response_bytes: int = 64 * 1024,
        max_connections: int = 100,
        ports: Collection[int] = (),
        keep_s: float = 0.0,
        resolve: Resolve | None = None,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self._timeout_s = timeout_s
        self._max_response_bytes = max_response_bytes
        self._gate = _Gate(tuple(ip_network(network) for network in allow), frozenset(ports))
        self._kept = _Kept(keep_s)
        self._slots = asyncio.Semaphore(max_connections)
        self._names = _Names()
        self._resolve = resolve or self._names.resolve
        self._ssl_context = ssl_context or _trusting_the_usual()

    async def request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes,
        *,
        timeout_s: float | None = None,
    ) -> EgressResponse:
        """Send one request and return its answer, whatever the status; redirects are answers.

        Raises EgressRefused when it must not be sent, EgressFailed when no complete answer came in time.
        """
        target, wire_headers = _wire(url, headers, keep=self._kept.is_wanted)
        limit = self._timeout_s if timeout_s is None else timeout_s
        started = time.monotonic()
        try:
            async with asyncio.timeout(limit), self._slots:
                addresses = await self._checked(target)
                while (line := self._kept.take(_key(target.origin), addresses)) is not None:
                    try:
                        response, content = await self._exchange(line, method, target, wire_headers, body, limit)
                        break
                    except (httpcore.NetworkError, httpcore.RemoteProtocolError):
                        # The server closed it while it was idle, or may have: the fresh one below tells.
                        continue
                else:
                    line = _Line(target.origin, _Dialler(addresses), self._ssl_context)
                    response, content = await self._exchange(line, method, target, wire_headers, body, limit)
        except TimeoutError:
            raise EgressFailed(f"No complete answer within {limit:g} s.") from None
        except httpcore.LocalProtocolError as error:
            raise EgressRefused(f"The request cannot be sent: {error}.") from error
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException, OSError) as error:
            raise EgressFailed(f"No answer: {str(error) or type(error).__name__}.") from error
        return EgressResponse(
            status=response.status,
            headers={name.decode("ascii").lower(): value.decode("latin-1") for name, value in response.headers},
            body=content,
            duration_ms=(time.monotonic() - started) * 1000,
            address=line.dialler.address,
        )

    async def aclose(self) -> None:
        """Stop resolving names and close idle connections. Requests that still wait for an answer go on until their
        time is over."""
        self._names.close()
        await self._kept.aclose()

    async def _checked(self, target: httpcore.URL) -> list[Address]:
        host, port = target.host.decode("ascii"), target.origin.port
        try:
            ip_address(host)
        except ValueError:
            answers = await self._resolve(host, port)
        else:
            answers = [host]
        addresses = [_unmapped(ip_address(answer)) for answer in answers]
        if not addresses:
            raise OSError("the host name has no address")
        self._gate.check(host, addresses, port)
        return addresses[:_DIALLED_AT_MOST]

    async def _exchange(
        self,
        line: "_Line",
        method: str,
        target: httpcore.URL,
        headers: list[tuple[bytes, bytes]],
        body: bytes,
        limit: float,
    ) -> tuple[httpcore.Response, bytes]:
        is_whole = False
        try:
            extensions = {"timeout": {"connect": limit}}
            async with line.connection.stream(
                method, target, headers=headers, content=body, extensions=extensions
            ) as response:
                content, is_whole = await self._first_bytes(response)
        finally:
            if is_whole and line.connection.is_idle():
                await self._kept.put(line)
            else:
                await line.dialler.aclose()
        return response, content

    async def _first_bytes(self, response: httpcore.Response) -> tuple[bytes, bool]:
        content = bytearray()
        async for chunk in response.aiter_stream():
            content += chunk
            if len(content) >= self._max_response_bytes:
                return bytes(content[: self._max_response_bytes]), False
        return bytes(content), True


class _Gate:
    """Which addresses may be dialled."""

    def __init__(self, allow: tuple[Network, ...], ports: frozenset[int]) -> None:
        self._allow = allow
        self._ports = ports

    def check(self, host: str, addresses: Iterable[Address], port: int) -> None:
        """Raise EgressRefused. One bad answer condemns all: a name with public and private addresses is an attack or a
        mistake."""
        for address in addresses:
            if any(address in network for network in self._allow):
                continue
            if not is_public(address):
                # The address stays unsaid: it may come from a name server that only we can ask.
                raise EgressRefused(f"{host} is at an address that may not be called.")
            if self._ports and port not in self._ports:
                raise EgressRefused(f"Port {port} may not be called.")


_Key = tuple[bytes, bytes, int]


def _key(origin: httpcore.Origin) -> _Key:
    return origin.scheme, origin.host, origin.port


class _Line:
    """A connection to one origin."""

    def __init__(self, origin: httpcore.Origin, dialler: "_Dialler", ssl_context: ssl.SSLContext) -> None:
        self.key = _key(origin)
        self.dialler = dialler
        self.connection = httpcore.AsyncHTTPConnection(origin, ssl_context=ssl_context, network_backend=dialler)
        self.expires_at = 0.0


class _Kept:
    """Idle connections by origin, for some seconds."""

    def __init__(self, keep_s: float) -> None:
        self.is_wanted = keep_s > 0
        self._keep_s = keep_s
        self._lines: dict[_Key, list[_Line]] = {}
        self._count = 0
        self._closing: set[asyncio.Task[None]] = set()

    def take(self, key: _Key, addresses: Collection[Address]) -> _Line | None:
        """The connection that was used last, to one of these very addresses, as long as its server keeps it open."""
        lines = self._lines.get(key, [])
        found: _Line | None = None
        while lines and found is None:
            line = lines.pop()
            self._count -= 1
            fresh = time.monotonic() < line.expires_at and not line.connection.has_expired()
            if fresh and any(line.dialler.address == str(address) for address in addresses):
                found = line
            else:
                self._close(line)
        if not lines:
            self._lines.pop(key, None)
        return found

    async def put(self, line: _Line) -> None:
        """Keep a connection that is idle, if there is room."""
        now = time.monotonic()
        if self._count >= _KEPT_AT_MOST:
            self._expire(now)
        if not self.is_wanted or self._count >= _KEPT_AT_MOST:
            await line.dialler.aclose()
            return
        line.expires_at = now + self._keep_s
        self._lines.setdefault(line.key, []).append(line)
        self._count += 1

    async def aclose(self) -> None:
        lines = [line for lines in self._lines.values() for line in lines]
        self._lines.clear()
        self._count = 0
        for line in lines:
            await line.dialler.aclose()
        if self._closing:
            await asyncio.wait(self._closing)

    def _expire(self, now: float) -> None:
        for key, lines in list(self._lines.items()):
            for line in [line for line in lines if line.expires_at <= now]:
                lines.remove(line)
                self._count -= 1
                self._close(line)
            if not lines:
                del self._lines[key]

    def _close(self, line: _Line) -> None:
        task = asyncio.ensure_future(line.dialler.aclose())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)


class _Names:
    """Name resolution on a few threads of its own, so that slow name servers delay only calls like these."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(max_workers=8, thread_name_prefix="egress-dns")

    async def resolve(self, host: str, port: int) -> list[str]:
        answers = await asyncio.get_running_loop().run_in_executor(
            self._threads, lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        )
        return list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in answers))

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


class _Dialler(httpcore.AsyncNetworkBackend):
    """Opens the socket of one request, to a checked address only, and owns it.

    It owns it because a cancelled TLS handshake would leave the socket open for ever.
    """

    def __init__(self, addresses: Sequence[Address]) -> None:
        self._addresses = addresses
        self._network = httpcore.AnyIOBackend()
        self._stream: httpcore.AsyncNetworkStream | None = None
        self.address = ""

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's signature
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        *others, last = self._addresses
        # A share each, so that a first address which swallows packets leaves time for the next.
        share = None if timeout is None else timeout / (len(others) + 1)

        async def dial(address: Address) -> httpcore.AsyncNetworkStream:
            self.address = str(address)
            self._stream = await self._network.connect_tcp(self.address, port, share, local_address, socket_options)
            return self._stream

        for address in others:
            with suppress(httpcore.ConnectError, httpcore.ConnectTimeout):
                return await dial(address)
        return await dial(last)

    async def aclose(self) -> None:
        if self._stream is not None:
            await self._stream.aclose()


def _unmapped(address: Address) -> Address:
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return address if mapped is None else mapped


def is_public(address: Address) -> bool:
    """Whether an address belongs to the public internet, and to no part of it that leads back to us."""
    if isinstance(address, IPv4Address):
        refused = any(address in network for network in _REFUSED_V4)
    else:
        refused = address not in _GLOBAL_UNICAST_V6 or any(address in network for network in _REFUSED_V6)
    return address.is_global and not refused


def _wire(url: str, headers: Mapping[str, str], *, keep: bool) -> tuple[httpcore.URL, list[tuple[bytes, bytes]]]:
    """The request line's URL and the headers as bytes; EgressRefused when either cannot be sent."""
    target, host = _target(url)
    own = {
        "host": host,
        "accept-encoding": "identity",
        **({} if keep else {"connection": "close"}),
        "user-agent": "Formstream",
    }
    given = {name.lower(): value for name, value in headers.items() if name.lower() not in _OWN_HEADERS}
    try:
        wire = [(name.encode("ascii"), value.encode("ascii")) for name, value in (own | given).items()]
    except UnicodeEncodeError as error:
        raise EgressRefused("A header has characters outside ASCII.") from error
    return target, wire


@lru_cache(maxsize=1024)
def _target(url: str) -> tuple[httpcore.URL, str]:
    """The URL as it is requested, and its Host header."""
    if problem := next(_url_faults(url), None):
        raise EgressRefused(problem[1])
    parsed = httpx.URL(url)
    target = httpcore.URL(scheme=parsed.scheme, host=parsed.raw_host, port=parsed.port, target=parsed.raw_path)
    return target, parsed.netloc.decode("ascii")


def _url_faults(url: str) -> Iterator[tuple[str, str]]:
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        yield "url.format", f"The URL cannot be read: {error}."
        return
    if parsed.scheme not in ("http", "https"):
        yield "url.scheme", "The URL must begin with https:// or http://."
    if parsed.userinfo:
        yield "url.userinfo", "The URL must not contain a user name or password."
    if not _is_host(parsed.raw_host.decode("ascii")):
        yield "url.host", "The URL must name a host, as a domain name or a plain IP address."
    if parsed.port is not None and not 0 < parsed.port < 65536:
        yield "url.port", "The port must be between 1 and 65535."


def _is_host(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        # A name that ends in a number is an IPv4 address in disguise (http://2130706433, http://0x7f.1).
        last_label = host.rstrip(".").rpartition(".")[2]
        return len(host) <= 253 and bool(_LABELS.fullmatch(host)) and not _NUMBER.fullmatch(last_label)
    return "%" not in host  # an IPv6 zone names an interface of ours
