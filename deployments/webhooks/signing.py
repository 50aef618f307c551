"""Signatures of Standard Webhooks 1.0: symmetric (`v1`, HMAC-SHA256) and asymmetric (`v1a`, ed25519)."""

import base64
import secrets as randomness
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, Literal, TypeAlias

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from standardwebhooks import Webhook

Scheme: TypeAlias = Literal["v1", "v1a"]

_SECRET_BYTES = 32  # the standard asks for 24 to 64; an ed25519 private key has 32
_PREFIXES: Final[dict[Scheme, str]] = {"v1": "whsec_", "v1a": "whsk_"}
_PUBLIC_PREFIX = "whpk_"


def new_secret(scheme: Scheme = "v1") -> str:
    """A fresh secret of one endpoint: 32 random bytes in base64 after `whsec_`, or after `whsk_` as a private key."""
    return _PREFIXES[scheme] + base64.b64encode(randomness.token_bytes(_SECRET_BYTES)).decode("ascii")


def scheme_of(secret: str) -> Scheme:
    """What a secret signs with."""
    return "v1a" if secret.startswith(_PREFIXES["v1a"]) else "v1"


def public_key(secret: str) -> str | None:
    """What verifies the signatures of a private key: `whpk_` and 32 bytes in base64. None for a symmetric secret."""
    if scheme_of(secret) == "v1":
        return None
    return _PUBLIC_PREFIX + base64.b64encode(_private_key(secret).public_key().public_bytes_raw()).decode("ascii")


def headers(event_id: str, body: bytes, secrets: Sequence[str], now: datetime) -> dict[str, str]:
    """The three headers that prove origin and integrity of `body` (UTF-8) as sent at `now` (aware).

    `event_id` stays the same over all attempts, the timestamp is that of this attempt. Every secret signs, so
    during a rotation the receiver may verify with the old or the new one. Raises ValueError without a secret,
    or when the id has a dot, the separator of the signed content.
    """
    if not secrets:
        raise ValueError("a webhook is never sent unsigned")
    if "." in event_id:
        raise ValueError("an event id has no dot")
    # The library takes the fields of the time as UTC, whatever its zone says.
    moment = now.astimezone(UTC)
    return {
        "webhook-id": event_id,
        "webhook-timestamp": str(int(moment.timestamp())),
        "webhook-signature": " ".join(_signature(secret, event_id, moment, body) for secret in secrets),
    }


def _signature(secret: str, event_id: str, moment: datetime, body: bytes) -> str:
    if scheme_of(secret) == "v1":
        return Webhook(secret).sign(event_id, moment, body.decode("utf-8"))
    content = f"{event_id}.{int(moment.timestamp())}.".encode() + body
    return "v1a," + base64.b64encode(_private_key(secret).sign(content)).decode("ascii")


def _private_key(secret: str) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(base64.b64decode(secret.removeprefix(_PREFIXES["v1a"])))
