"""Authenticator apps: time-based one-time passwords as RFC 6238 describes them."""

from datetime import datetime
from typing import Final

import pyotp

from deployments.identity.codes import bare

_WINDOW: Final = 1
"""Time steps of 30 s that a clock may be off."""


def new_secret() -> str:
    """A random secret of 160 bits (RFC 4226 §4), in base32."""
    return pyotp.random_base32()


def uri_of(secret: str, account: str, issuer: str) -> str:
    """The `otpauth:` URI that apps read from a QR code."""
    return pyotp.TOTP(secret, name=account, issuer=issuer).provisioning_uri()


def step_of(secret: str, code: str, now: datetime) -> int | None:
    """The time step that the code belongs to, or None when it is not a code of now."""
    try:
        return pyotp.TOTP(secret).verify_and_get_timecode(bare(code), for_time=now, valid_window=_WINDOW)
    except pyotp.exceptions.OTPVerificationError:
        return None
