"""Codes that people type: one-time codes that are sent to them, and recovery codes that they keep."""

import base64
import hashlib
import re
import secrets
from typing import Final

from deployments.identity.settings import IdentitySettings

LIFE_S: Final = 300
"""Life of a one-time code and of its challenge in seconds."""

TRIES: Final = 5
"""Wrong codes that a challenge takes."""

RECOVERY_CODES: Final = 10

_RECOVERY_OCTETS: Final = 15
_GROUP: Final = 6
_UNSEEN: Final = re.compile(r"[\s-]+")


class OneTimeCodes:
    """Six digits each, kept as a keyed hash: whoever reads the database cannot try the million there are."""

    def __init__(self, settings: IdentitySettings) -> None:
        self._key = settings.signing_key.derived("one-time-codes")

    @staticmethod
    def new() -> str:
        """A random code."""
        return f"{secrets.randbelow(10**6):06}"

    def hash(self, challenge_id: str, code: str) -> str:
        """What is stored of a code; worthless for another challenge."""
        return self._key.mac(_covered(challenge_id, code))

    def match(self, challenge_id: str, code_hash: str | None, code: str) -> bool:
        """Whether this is the code; never for None, which takes the same time."""
        return self._key.made(_covered(challenge_id, bare(code)), code_hash or "")


def _covered(challenge_id: str, code: str) -> bytes:
    return f"{challenge_id}\0{code}".encode()


def new_challenge_token() -> str:
    """A fresh opaque token with 256 bits of randomness."""
    return secrets.token_urlsafe(32)


def new_recovery_codes() -> list[str]:
    """Random codes of 120 bits, so that a plain hash of them gives nothing away (OWASP ASVS 5.0, 6.5.2)."""
    texts = [base64.b32encode(secrets.token_bytes(_RECOVERY_OCTETS)).decode().lower() for _ in range(RECOVERY_CODES)]
    return ["-".join(text[at : at + _GROUP] for at in range(0, len(text), _GROUP)) for text in texts]


def recovery_hash(user_id: str, code: str) -> str:
    """What is stored of a person's recovery code, however they spell it."""
    return hashlib.sha256(f"{user_id}\0{bare(code).lower()}".encode()).hexdigest()


def bare(code: str) -> str:
    """The code without the spaces and dashes that people read it with."""
    return _UNSEEN.sub("", code)
