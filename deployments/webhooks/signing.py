"""Signatures of Standard Webhooks 1.0, symmetric form (`v1`, HMAC-SHA256)."""

import base64
import secrets as randomness
from collections.abc import Sequence
from datetime import UTC, datetime

from standardwebhooks import Webhook

_SECRET_BYTES = 32  # the standard asks for 24 to 64


def new_secret() -> str:
    """A fresh secret of one endpoint: `whsec_` and 32 random bytes in base64."""
    return "whsec_" + base64.b64encode(randomness.token_bytes(_SECRET_BYTES)).decode("ascii")


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
    content = body.decode("utf-8")
    return {
        "webhook-id": event_id,
        "webhook-timestamp": str(int(moment.timestamp())),
        "webhook-signature": " ".join(Webhook(secret).sign(event_id, moment, content) for secret in secrets),
    }
