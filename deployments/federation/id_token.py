"""ID tokens (OpenID Connect Core 1.0 §3.1.3.7, RFC 8725): signed by the provider, for us, now, for this very login."""

import base64
import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import jwt

from deployments.federation.errors import TokenRefused

Jwk = dict[str, Any]

_LEEWAY_S: Final = 60
_LONGEST: Final = 16 * 1024
_CLAIMS: Final = ("iss", "sub", "aud", "exp", "iat", "nonce")
# Asymmetric ones only, each with its kind of key: `none` proves nothing, and with HMAC whoever knows the client's
# secret, or a public key taken for one, could write tokens.
_KINDS: Final = {"RS256": "RSA", "PS256": "RSA", "ES256": "EC", "ES384": "EC", "EdDSA": "OKP"}
_HASHES: Final = {"RS256": "sha256", "PS256": "sha256", "ES256": "sha256", "ES384": "sha384", "EdDSA": "sha512"}
_TOKENS: Final = jwt.PyJWT(options={"enforce_minimum_key_length": True})


@dataclass(frozen=True, slots=True)
class Expected:
    """What a token has to say. `access_token` came with it, if one did."""

    issuer: str
    client_id: str
    nonce: str
    access_token: str | None


@dataclass(frozen=True, slots=True)
class Header:
    """How a token says that it is signed. Not to be believed before it is verified."""

    algorithm: str
    key_id: str | None


def header_of(token: str) -> Header:
    """The header of a token that may be looked at. Raises TokenRefused for any other algorithm or kind of token."""
    if len(token) > _LONGEST:
        raise TokenRefused("The ID token is too large.")
    try:
        header = jwt.get_unverified_header(token)
    except (jwt.PyJWTError, ValueError, RecursionError) as error:
        raise TokenRefused("The ID token cannot be read.") from error
    algorithm = header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in _KINDS:
        raise TokenRefused("The ID token is signed in a way that is not accepted.")
    kind = header.get("typ", "JWT")
    # Other tokens of the same provider must not pass for an ID token (RFC 8725 §3.11).
    if not isinstance(kind, str) or kind.upper() != "JWT":
        raise TokenRefused("The provider sent another token than an ID token.")
    return Header(algorithm, header.get("kid"))


def find_key(keys: Sequence[Jwk], header: Header) -> jwt.PyJWK | None:
    """The provider's key for the header: None when there is none, or when a token without `kid` fits several."""
    fitting = [key for key in keys if _fits(key, header)]
    if len(fitting) != 1:
        return None
    try:
        return jwt.PyJWK(fitting[0], header.algorithm)
    except (jwt.PyJWTError, ValueError, TypeError, KeyError) as error:
        raise TokenRefused("The provider's key cannot be used.") from error


def verify(token: str, key: jwt.PyJWK, expected: Expected) -> dict[str, Any]:
    """The claims of a token that is what it has to be. Raises TokenRefused."""
    try:
        claims: dict[str, Any] = _TOKENS.decode(
            token,
            key,
            algorithms=list(_KINDS),
            audience=expected.client_id,
            issuer=expected.issuer,
            leeway=_LEEWAY_S,
            options={"require": list(_CLAIMS)},
        )
    # OverflowError and RecursionError: numbers and nesting that no honest provider sends.
    except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError) as error:
        raise TokenRefused(f"The ID token is not valid: {_reason(error)}.") from error
    audiences = claims["aud"] if isinstance(claims["aud"], list) else [claims["aud"]]
    party = claims.get("azp")
    if (party is None and len(audiences) > 1) or party not in (None, expected.client_id):
        raise TokenRefused("The ID token was issued to somebody else.")
    if not _same(claims["nonce"], expected.nonce):
        raise TokenRefused("The ID token belongs to another login.")
    if not _matches(claims.get("at_hash"), key.algorithm_name, expected.access_token):
        raise TokenRefused("The ID token belongs to another access token.")
    return claims


def _fits(key: Jwk, header: Header) -> bool:
    return (
        key.get("kty") == _KINDS[header.algorithm]
        and key.get("use", "sig") == "sig"
        and key.get("alg", header.algorithm) == header.algorithm
        and (header.key_id is None or key.get("kid") == header.key_id)
    )


def _same(given: object, expected: str) -> bool:
    return isinstance(given, str) and hmac.compare_digest(given.encode("utf-8", "surrogatepass"), expected.encode())


def _matches(given: object, algorithm: str, access_token: str | None) -> bool:
    if given is None or access_token is None:
        return given is None
    digest = hashlib.new(_HASHES[algorithm], access_token.encode("utf-8", "surrogatepass")).digest()
    half = base64.urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode()
    return _same(given, half)


def _reason(error: Exception) -> str:
    """The kind of failure in words; the library's own sentence may repeat what somebody wrote into the token."""
    reasons: dict[type[Exception], str] = {
        jwt.ExpiredSignatureError: "it has expired",
        jwt.ImmatureSignatureError: "it is not valid yet",
        jwt.InvalidSignatureError: "its signature is wrong",
        jwt.InvalidAudienceError: "it is meant for somebody else",
        jwt.InvalidIssuerError: "it comes from somebody else",
        jwt.MissingRequiredClaimError: "it lacks a claim",
    }
    return next((reason for kind, reason in reasons.items() if isinstance(error, kind)), "it cannot be read")
