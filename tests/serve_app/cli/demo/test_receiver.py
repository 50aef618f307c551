"""The demo's endpoint counts a delivery only when its signature is right."""

from datetime import UTC, datetime

import httpx
import pytest

from deployments.webhooks.signing import headers, new_secret
from serve_app.cli.demo.receiver import Receiver

BODY = b'{"type":"response.submitted","id":"evt_1","data":{"response_id":"rsp_1"}}'


@pytest.fixture
def secret() -> str:
    return new_secret()


def test_a_signed_delivery_is_received(secret: str) -> None:
    with Receiver() as receiver:
        receiver.expect(secret)
        answer = httpx.post(receiver.url, content=BODY, headers=headers("evt_1", BODY, [secret], datetime.now(UTC)))
        assert answer.status_code == 204
        (received,) = receiver.wait(0, 5.0)
    assert received.event["data"] == {"response_id": "rsp_1"}
    assert receiver.rejected == 0


def test_a_changed_body_or_another_secret_is_rejected(secret: str) -> None:
    now = datetime.now(UTC)
    with Receiver() as receiver:
        receiver.expect(secret)
        changed = httpx.post(receiver.url, content=BODY + b" ", headers=headers("evt_1", BODY, [secret], now))
        foreign = httpx.post(receiver.url, content=BODY, headers=headers("evt_1", BODY, [new_secret()], now))
        unsigned = httpx.post(receiver.url, content=BODY)
        assert {changed.status_code, foreign.status_code, unsigned.status_code} == {400}
        assert receiver.wait(0, 0.0) == []
    assert receiver.rejected == 3


def test_nothing_counts_before_the_secret_is_known(secret: str) -> None:
    with Receiver() as receiver:
        answer = httpx.post(receiver.url, content=BODY, headers=headers("evt_1", BODY, [secret], datetime.now(UTC)))
    assert answer.status_code == 400
