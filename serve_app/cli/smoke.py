"""Asking a platform from outside whether it may stay: what must answer, how often it fails, and how slow it is."""

import asyncio
import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import httpx
import orjson
from rich.console import Console

from serve_app.cli.failure import CommandFailed

_TIMEOUT_S: Final = 10.0
_AT_ONCE: Final = 4
_PAUSE_S: Final = 0.05
_SERVER_ERROR: Final = 500
# Of two that are asked at the same time, one is slower when its 95th percentile is so many times the other's, and long
# enough for people to notice.
_WORSE: Final = 2.0
_NOTICED_S: Final = 0.2


@dataclass(frozen=True, slots=True)
class Limits:
    """What is borne: `errors` is a share of the requests, `p95_s` in seconds, for `seconds` of asking."""

    seconds: float
    errors: float
    p95_s: float


@dataclass(slots=True)
class Measured:
    """What came of the requests."""

    durations: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    @property
    def requests(self) -> int:
        return len(self.durations)

    @property
    def error_rate(self) -> float:
        return len(self.failures) / max(1, self.requests)

    @property
    def p95_s(self) -> float:
        """The duration that 95 of 100 requests do not exceed."""
        ordered = sorted(self.durations)
        return ordered[math.ceil(0.95 * len(ordered)) - 1] if ordered else 0.0

    def complaints(self, limits: Limits, other: "Measured | None" = None) -> Iterator[str]:
        """A sentence for each limit that is exceeded, and for what is worse than what was measured of the `other`."""
        if self.error_rate > limits.errors:
            last = self.failures[-1]
            yield f"{len(self.failures)} of {self.requests} requests failed, the last one: {last}."
        if self.p95_s > limits.p95_s:
            yield f"95 of 100 requests took up to {self.p95_s * 1000:.0f} ms, and {limits.p95_s * 1000:.0f} are borne."
        if other is None:
            return
        if self.error_rate > other.error_rate + limits.errors:
            yield f"{self.error_rate:.1%} of the requests failed, and {other.error_rate:.1%} of those beside it."
        if self.p95_s > max(_WORSE * other.p95_s, _NOTICED_S):
            yield (
                f"95 of 100 requests took up to {self.p95_s * 1000:.0f} ms, "
                f"and {other.p95_s * 1000:.0f} ms beside it at the same time."
            )


@dataclass(frozen=True, slots=True)
class Target:
    """Whom to ask: `form` is a published one, as TENANT/SLUG; `headers` go with each request, and choose between two
    versions where one stands beside another. With other headers, those of `against`, the other one is asked."""

    url: str
    form: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    against: Mapping[str, str] | None = None


def run(target: Target, limits: Limits, *, as_json: bool, console: Console) -> None:
    """Print what was measured. Raises CommandFailed when the platform should not stay."""
    measured = asyncio.run(smoke(target, limits))
    if as_json:
        found: dict[str, Any] = {
            "requests": measured.requests,
            "error_rate": measured.error_rate,
            "p95_ms": round(measured.p95_s * 1000, 1),
        }
        console.file.write(orjson.dumps(found).decode() + "\n")
        return
    console.print(
        f"{target.url} answers: {measured.requests} requests, {len(measured.failures)} failures, "
        f"95 of 100 within {measured.p95_s * 1000:.0f} ms."
    )


def parse_header(text: str | None) -> dict[str, str] | None:
    """NAME=VALUE as a header. Raises CommandFailed for what is none."""
    if text is None:
        return None
    name, separator, value = text.partition("=")
    if not (name and separator):
        raise CommandFailed(f"{text} is no header: write NAME=VALUE.")
    return {name: value}


async def smoke(target: Target, limits: Limits) -> Measured:
    """See that every part answers once, then ask for `limits.seconds`.

    Raises CommandFailed with the first part that does not answer, or with every limit that is exceeded.
    """
    paths = ["/health", "/api/v1/openapi.json"]
    if target.form is not None:
        paths += [f"/api/v1/public/{target.form}", f"/f/{target.form}"]
    async with _client(target.url, target.headers) as client:
        for path in paths:
            await _require(client, path)
        await _require_ready(client)
        if target.against is None:
            measured, other = await _measure(client, paths, limits), None
        else:
            async with _client(target.url, target.against) as beside:
                measured, other = await asyncio.gather(_measure(client, paths, limits), _measure(beside, paths, limits))
    if complaints := list(measured.complaints(limits, other)):
        raise CommandFailed(*complaints)
    return measured


def _client(url: str, headers: Mapping[str, str]) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=url, headers=dict(headers), timeout=_TIMEOUT_S, follow_redirects=False)


async def _measure(client: httpx.AsyncClient, paths: list[str], limits: Limits) -> Measured:
    measured = Measured()
    until = time.monotonic() + limits.seconds
    async with asyncio.TaskGroup() as group:
        for number in range(_AT_ONCE):
            group.create_task(_ask(client, paths[number % len(paths) :] + paths, until, measured))
    return measured


async def _require(client: httpx.AsyncClient, path: str) -> None:
    try:
        answer = await client.get(path)
    except httpx.HTTPError as error:
        raise CommandFailed(f"{client.base_url}{path} does not answer: {error or type(error).__name__}.") from None
    if answer.status_code != httpx.codes.OK:
        raise CommandFailed(f"{client.base_url}{path} answers {answer.status_code}.")
    if "x-api-version" not in answer.headers:
        raise CommandFailed(f"{client.base_url}{path} is answered by somebody else: X-API-Version is missing.")


async def _require_ready(client: httpx.AsyncClient) -> None:
    """A proxy keeps readiness from the world; where it does not, every part has to be there."""
    try:
        answer = await client.get("/health/ready")
    except httpx.HTTPError as error:
        raise CommandFailed(f"{client.base_url} does not say whether it is ready: {error}.") from None
    if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE and "x-api-version" in answer.headers:
        raise CommandFailed(f"{client.base_url} is not ready: {', '.join(answer.json()['failing'])}.")


async def _ask(client: httpx.AsyncClient, paths: list[str], until: float, measured: Measured) -> None:
    while time.monotonic() < until:
        for path in paths:
            began = time.monotonic()
            failure = await _failure(client, path)
            measured.durations.append(time.monotonic() - began)
            if failure:
                measured.failures.append(failure)
            if time.monotonic() >= until:
                return
            # A look at the platform is not to be its load.
            await asyncio.sleep(_PAUSE_S)


async def _failure(client: httpx.AsyncClient, path: str) -> str:
    try:
        answer = await client.get(path)
    except httpx.HTTPError as error:
        return f"{path}: {error or type(error).__name__}"
    return f"{path} answered {answer.status_code}" if answer.status_code >= _SERVER_ERROR else ""
