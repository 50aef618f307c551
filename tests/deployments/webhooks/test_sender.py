"""W: one attempt, against servers that behave and servers that do not."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from standardwebhooks import Webhook

from deployments.kit.egress import Egress
from deployments.webhooks.sender import Attempt, Outcome, send
from deployments.webhooks.signing import new_secret
from tests.deployments.local_http import Answer, LocalHttp, answer, hang, serving

SECRET = new_secret()
BODY = json.dumps({"id": "evt_1", "type": "response.submitted", "data": {}}).encode()


@pytest.fixture
async def egress() -> AsyncIterator[Egress]:
    egress = Egress(("127.0.0.0/8",), timeout_s=0.5)
    yield egress
    await egress.aclose()


async def attempt(egress: Egress, reply: Answer, now: datetime | None = None) -> tuple[Attempt, LocalHttp]:
    async with serving(reply) as server:
        made = await send(
            egress,
            f"http://127.0.0.1:{server.port}/hook",
            [SECRET],
            "evt_1",
            BODY,
            {"ce-type": "response.submitted", "X-Customer": "yes"},
            now or datetime.now(UTC),
        )
    return made, server


async def test_a_delivery_is_signed_and_carries_every_header(egress: Egress) -> None:
    made, server = await attempt(egress, answer("200 OK", b"thanks"))
    (request,) = server.requests
    assert (made.outcome, made.status, made.error) == (Outcome.DELIVERED, 200, None)
    assert made.response_excerpt == "thanks"
    assert made.duration_ms > 0
    assert request.line == "POST /hook HTTP/1.1"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["ce-type"] == "response.submitted"
    assert request.headers["x-customer"] == "yes"
    assert Webhook(SECRET).verify(request.body, request.headers)["id"] == "evt_1"


async def test_extra_headers_cannot_replace_the_signature(egress: Egress) -> None:
    forged = {"Webhook-Id": "evt_9", "WEBHOOK-SIGNATURE": "v1,xxx", "Content-Type": "text/html"}
    async with serving(answer("200 OK")) as server:
        await send(egress, f"http://127.0.0.1:{server.port}", [SECRET], "evt_1", BODY, forged, datetime.now(UTC))
    (request,) = server.requests
    Webhook(SECRET).verify(request.body, request.headers)
    assert request.headers["webhook-id"] == "evt_1"
    assert request.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        ("200 OK", Outcome.DELIVERED),
        ("204 No Content", Outcome.DELIVERED),
        ("299 Fine", Outcome.DELIVERED),
        ("301 Moved Permanently", Outcome.RETRY),
        ("304 Not Modified", Outcome.RETRY),
        ("400 Bad Request", Outcome.RETRY),
        ("404 Not Found", Outcome.RETRY),
        ("410 Gone", Outcome.GONE),
        ("429 Too Many Requests", Outcome.RETRY),
        ("500 Internal Server Error", Outcome.RETRY),
    ],
)
async def test_the_status_decides(egress: Egress, status: str, outcome: Outcome) -> None:
    made, _ = await attempt(egress, answer(status, b"", "location: http://127.0.0.1:1/"))
    assert (made.outcome, made.status) == (outcome, int(status[:3]))


async def test_no_answer_is_tried_again(egress: Egress) -> None:
    made, _ = await attempt(egress, hang)
    assert (made.outcome, made.status, made.response_excerpt) == (Outcome.RETRY, None, "")
    assert made.error == "No complete answer within 0.5 s."
    assert made.duration_ms >= 500


async def test_a_forbidden_address_is_given_up() -> None:
    async with serving(answer("200 OK")) as server:
        strict = Egress()
        made = await send(strict, f"http://127.0.0.1:{server.port}", [SECRET], "evt_1", BODY, {}, datetime.now(UTC))
        await strict.aclose()
        assert (made.outcome, made.status, server.connections) == (Outcome.REFUSED, None, 0)
        assert made.error


async def test_the_excerpt_is_storable_text(egress: Egress) -> None:
    body = b"a\0b\xff" + "é".encode() * 5000
    made, _ = await attempt(egress, answer("500 Oops", body))
    assert made.response_excerpt == "ab\ufffd" + "é" * 2045


NOW = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120),
        ("0", 0),
        (format_datetime(NOW + timedelta(minutes=3), usegmt=True), 180),
        ((NOW + timedelta(minutes=3)).strftime("%A, %d-%b-%y %H:%M:%S GMT"), 180),
        ((NOW + timedelta(minutes=3)).strftime("%a %b %d %H:%M:%S %Y"), 180),
        (format_datetime(NOW - timedelta(minutes=3), usegmt=True), 0),
        ("999999999", 86400),
        ("9" * 5000, 86400),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 86400),
        ("-5", None),
        ("1.5", None),
        ("soon", None),
        ("", None),
        ("Mon, 99 Foo 2030 99:99:99 GMT", None),
        ("Mon, 01 Jan 99999999999 00:00:00 GMT", None),
        ("\u00b2", None),
    ],
)
async def test_retry_after_is_read_and_capped(egress: Egress, value: str, seconds: float | None) -> None:
    made, _ = await attempt(egress, answer("429 Too Many Requests", b"", f"retry-after: {value}"), NOW)
    assert (made.outcome, made.retry_after_s) == (Outcome.RETRY, seconds)


@pytest.mark.parametrize("status", ["200 OK", "410 Gone"])
async def test_retry_after_means_nothing_when_there_is_no_retry(egress: Egress, status: str) -> None:
    made, _ = await attempt(egress, answer(status, b"", "retry-after: 60"))
    assert made.retry_after_s is None


async def test_one_bad_endpoint_does_not_delay_the_good_ones() -> None:
    """Fault 11: fifty deliveries finish while one server still holds its own."""
    egress = Egress(("127.0.0.0/8",), timeout_s=30)
    async with serving(hang) as bad, serving(answer("200 OK")) as good:

        async def one(port: int) -> Attempt:
            url = f"http://127.0.0.1:{port}"
            return await send(egress, url, [SECRET], "evt_1", BODY, {}, datetime.now(UTC))

        slow = asyncio.create_task(one(bad.port))
        await asyncio.wait_for(bad.seen.wait(), 5)
        made = await asyncio.gather(*(one(good.port) for _ in range(50)))
        assert {attempt.outcome for attempt in made} == {Outcome.DELIVERED}
        assert not slow.done()
        slow.cancel()
        await asyncio.gather(slow, return_exceptions=True)
    await egress.aclose()
