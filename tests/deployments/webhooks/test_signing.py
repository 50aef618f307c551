"""W1: signatures that the standard's own library accepts."""

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from standardwebhooks import Webhook, WebhookVerificationError

from deployments.webhooks.signing import headers, new_secret, public_key

BODY = json.dumps({"type": "response.submitted", "data": {"name": "Zoë 🎉"}}).encode()
EVENT = "evt_01k5x"


def test_a_secret_has_32_random_bytes() -> None:
    first, second = new_secret(), new_secret()
    assert first != second
    assert first.startswith("whsec_")
    assert len(base64.b64decode(first.removeprefix("whsec_"), validate=True)) == 32


def test_the_receiver_verifies_the_raw_body() -> None:
    secret, body = new_secret(), '{"name":"Zoë 🎉"}'.encode()
    signed = headers(EVENT, body, [secret], datetime.now(UTC))
    assert Webhook(secret).verify(body, signed) == {"name": "Zoë 🎉"}
    assert signed["webhook-id"] == EVENT


def test_any_change_breaks_the_signature() -> None:
    secret = new_secret()
    now = datetime.now(UTC)
    signed = headers(EVENT, BODY, [secret], now)
    later = str(int(now.timestamp()) + 1)
    for body, changed in [
        (BODY + b" ", signed),
        (BODY, signed | {"webhook-id": "evt_other"}),
        (BODY, signed | {"webhook-timestamp": later}),
    ]:
        with pytest.raises(WebhookVerificationError):
            Webhook(secret).verify(body, changed)
    with pytest.raises(WebhookVerificationError):
        Webhook(new_secret()).verify(BODY, signed)


def test_during_a_rotation_the_old_and_the_new_secret_verify() -> None:
    """Fault 20: both signatures are valid."""
    old, new = new_secret(), new_secret()
    signed = headers(EVENT, BODY, [new, old], datetime.now(UTC))
    for secret in (old, new):
        Webhook(secret).verify(BODY, signed)
    assert [part.partition(",")[0] for part in signed["webhook-signature"].split(" ")] == ["v1", "v1"]


def test_the_time_is_the_same_moment_in_any_zone() -> None:
    secret = new_secret()
    now = datetime.now(timezone(timedelta(hours=5, minutes=30)))
    signed = headers(EVENT, BODY, [secret], now)
    Webhook(secret).verify(BODY, signed)
    assert signed == headers(EVENT, BODY, [secret], now.astimezone(UTC))


def test_the_standards_example_is_met() -> None:
    """Checked against a signature made by the standard's reference implementations for these values."""
    signed = headers(
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        b'{"test": 2432232314}',
        ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
        datetime.fromtimestamp(1614265330, UTC),
    )
    assert signed == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


@pytest.mark.parametrize(("event_id", "secrets"), [(EVENT, []), ("evt.1", [new_secret()])])
def test_no_secret_or_an_id_with_a_dot_is_a_mistake(event_id: str, secrets: list[str]) -> None:
    with pytest.raises(ValueError):
        headers(event_id, BODY, secrets, datetime.now(UTC))


def _verified_by(public: str, sent: Mapping[str, str], body: bytes) -> None:
    """As a receiver does it; raises InvalidSignature."""
    key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public.removeprefix("whpk_")))
    content = f"{sent['webhook-id']}.{sent['webhook-timestamp']}.".encode() + body
    (signature,) = [part for part in sent["webhook-signature"].split() if part.startswith("v1a,")]
    key.verify(base64.b64decode(signature.removeprefix("v1a,")), content)


def test_an_asymmetric_signature_verifies_with_the_public_key() -> None:
    """W1: `v1a`, ed25519 (Standard Webhooks, asymmetric)."""
    secret = new_secret("v1a")
    public = public_key(secret)
    assert secret.startswith("whsk_")
    assert public is not None
    assert public.startswith("whpk_")
    sent = headers("evt_1", b'{"a":1}', [secret], datetime.now(UTC))
    _verified_by(public, sent, b'{"a":1}')
    with pytest.raises(InvalidSignature):
        _verified_by(public, sent, b'{"a":2}')
    with pytest.raises(InvalidSignature):
        _verified_by(public, {**sent, "webhook-id": "evt_2"}, b'{"a":1}')
    assert public_key(new_secret()) is None


def test_both_kinds_can_sign_at_once() -> None:
    """W1: while a receiver changes from one to the other."""
    old, new = new_secret("v1"), new_secret("v1a")
    sent = headers("evt_1", b"{}", [new, old], datetime.now(UTC))
    assert Webhook(old).verify(b"{}", sent) == {}
    _verified_by(public_key(new) or "", sent, b"{}")
