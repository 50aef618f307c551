"""Access tokens (JWT as RFC 9068 and RFC 8725 ask for) and refresh tokens (opaque, kept as a hash)."""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import jwt

from db.types import utc_now
from deployments.identity.settings import IdentitySettings
from deployments.identity.signing_keys import KeyRing
from deployments.kit.errors import Unauthenticated

REFRESH_PREFIX: Final = "fsr_"
AUDIENCE: Final = "formstream-api"

_TYPE: Final = "at+jwt"
_LEEWAY_S: Final = 30
_MAX_LENGTH: Final = 4096
_CLAIMS: Final = ("iss", "aud", "exp", "nbf", "iat", "jti", "sub", "tid", "role", "fam")


@dataclass(frozen=True, slots=True)
class Claims:
    """What a verified access token says. `role` is a hint for its holder; the database has the last word.

    `amr` says how the holder logged in, in the words of RFC 8176; empty where nobody noted it.
    """

    user_id: str
    tenant_id: str
    role: str
    family_id: str
    amr: tuple[str, ...] = ()


class AccessTokens:
    """Issues access tokens with the ring's current key, accepts those of every key that the ring accepts."""

    def __init__(self, settings: IdentitySettings, ring: KeyRing) -> None:
        self.life_s = settings.access_token_life_s
        self._issuer = settings.issuer
        self._ring = ring

    def issue(self, claims: Claims, now: datetime) -> str:
        """A signed token that is valid from the aware `now` for `life_s` seconds."""
        payload = {
            "iss": self._issuer,
            "aud": AUDIENCE,
            "sub": claims.user_id,
            "tid": claims.tenant_id,
            "role": claims.role,
            "fam": claims.family_id,
            "jti": secrets.token_hex(16),
            "iat": now,
            "nbf": now,
            "exp": now + timedelta(seconds=self.life_s),
        }
        if claims.amr:
            payload["amr"] = list(claims.amr)
        key = self._ring.current(utc_now())
        return jwt.encode(payload, key.secret, key.algorithm, headers={"typ": _TYPE, "kid": key.id})

    def read(self, token: str) -> Claims:
        """The claims of a token that is ours, meant for us and valid now. Raises Unauthenticated."""
        if len(token) > _MAX_LENGTH:
            raise Unauthenticated
        try:
            header = jwt.get_unverified_header(token)
            if header.get("typ") != _TYPE:
                raise Unauthenticated
            key = self._ring.find(header.get("kid"), utc_now())
            if key is None:
                raise Unauthenticated
            payload: dict[str, Any] = jwt.decode(
                token,
                key.public,
                # Of the key, never of the header (RFC 8725 §3.1).
                algorithms=[key.algorithm],
                audience=AUDIENCE,
                issuer=self._issuer,
                leeway=_LEEWAY_S,
                options={"require": list(_CLAIMS), "strict_aud": True},
            )
        # ValueError: what is not even ASCII.
        except (jwt.InvalidTokenError, ValueError) as error:
            raise Unauthenticated from error
        found = tuple(payload[name] for name in ("sub", "tid", "role", "fam"))
        if not all(isinstance(value, str) for value in found):
            raise Unauthenticated
        methods = payload.get("amr", [])
        if not isinstance(methods, list) or not all(isinstance(method, str) for method in methods):
            raise Unauthenticated
        user_id, tenant_id, role, family_id = found
        return Claims(user_id, tenant_id, role, family_id, tuple(methods))


def new_refresh_token() -> str:
    """A fresh opaque refresh token with 256 bits of randomness."""
    return REFRESH_PREFIX + secrets.token_urlsafe(32)


def fingerprint(secret: str) -> str:
    """What is stored of a random secret: its SHA-256, hexadecimal. Not for passwords, which can be guessed."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
