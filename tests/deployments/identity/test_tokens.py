"""U2: access tokens are read strictly (RFC 8725)."""

import base64
from datetime import timedelta
from typing import Any

import jwt
import orjson
import pytest

from db.types import utc_now
from deployments.identity.settings import IdentitySettings
from deployments.identity.signing_keys import KeyRing, derived_key_id
from deployments.identity.tokens import AUDIENCE, AccessTokens, Claims, fingerprint, new_refresh_token
from deployments.kit.errors import Unauthenticated
from deployments.kit.vault import Vault

KEY = "k" * 32
VAULT = Vault("s" * 32)
CLAIMS = Claims("usr_1", "acme", "owner", "fam_1")


def tokens_of(settings: IdentitySettings) -> AccessTokens:
    return AccessTokens(settings, KeyRing(settings, VAULT))


@pytest.fixture
def tokens() -> AccessTokens:
    return tokens_of(IdentitySettings(signing_key=KEY))


def forged(*, key: str = KEY, algorithm: str = "HS256", headers: dict[str, Any] | None = None, **changes: Any) -> str:
    """A token that is right but for the changes; a claim that is changed to None is left out."""
    now = utc_now()
    payload = {
        "iss": "formstream",
        "aud": AUDIENCE,
        "sub": "usr_1",
        "tid": "acme",
        "role": "owner",
        "fam": "fam_1",
        "jti": "1",
        "iat": now,
        "nbf": now,
        "exp": now + timedelta(minutes=5),
    } | changes
    return jwt.encode(
        {name: value for name, value in payload.items() if value is not None},
        key if algorithm != "none" else None,
        algorithm,
        headers={"typ": "at+jwt", "kid": derived_key_id(KEY)} | (headers or {}),
    )


def refuse(tokens: AccessTokens, token: str) -> None:
    with pytest.raises(Unauthenticated) as caught:
        tokens.read(token)
    assert caught.value.detail == Unauthenticated.title
    assert caught.value.code == "unauthenticated"


def test_what_is_issued_is_read(tokens: AccessTokens) -> None:
    token = tokens.issue(CLAIMS, utc_now())
    assert tokens.read(token) == CLAIMS
    assert jwt.get_unverified_header(token) == {"alg": "HS256", "typ": "at+jwt", "kid": derived_key_id(KEY)}


def test_how_somebody_logged_in_is_read(tokens: AccessTokens) -> None:
    """U3: `amr` of RFC 8176; tokens from before it was noted have none, and a strange one is no token of ours."""
    claims = Claims("usr_1", "acme", "owner", "fam_1", ("pwd", "otp", "mfa"))
    token = tokens.issue(claims, utc_now())
    assert tokens.read(token) == claims
    assert jwt.decode(token, options={"verify_signature": False})["amr"] == ["pwd", "otp", "mfa"]
    assert "amr" not in jwt.decode(tokens.issue(CLAIMS, utc_now()), options={"verify_signature": False})
    for strange in ("pwd", [1], {"pwd": True}):
        refuse(tokens, forged(amr=strange))


def test_the_forger_of_these_tests_can_make_a_right_token(tokens: AccessTokens) -> None:
    assert tokens.read(forged()) == CLAIMS


@pytest.mark.parametrize("algorithm", ["none", "HS384", "HS512"])
@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
def test_the_header_does_not_choose_the_algorithm(tokens: AccessTokens, algorithm: str) -> None:
    refuse(tokens, forged(algorithm=algorithm))


def test_a_token_without_its_signature_is_refused(tokens: AccessTokens) -> None:
    refuse(tokens, forged().rpartition(".")[0] + ".")


def test_a_token_of_another_key_is_refused(tokens: AccessTokens) -> None:
    refuse(tokens, forged(key="x" * 32))


@pytest.mark.parametrize("kid", ["", "unknown", "../../etc/passwd", "' OR 1=1 --"])
def test_an_unknown_key_id_is_refused(tokens: AccessTokens, kid: str) -> None:
    refuse(tokens, forged(headers={"kid": kid}))


@pytest.mark.parametrize("typ", [None, "JWT", "AT+JWT ", "rt+jwt"])
def test_another_type_of_token_is_refused(tokens: AccessTokens, typ: str | None) -> None:
    refuse(tokens, forged(headers={"typ": typ}))


@pytest.mark.parametrize("claim", ["iss", "aud", "exp", "nbf", "iat", "jti", "sub", "tid", "role", "fam"])
def test_every_claim_is_required(tokens: AccessTokens, claim: str) -> None:
    refuse(tokens, forged(**{claim: None}))


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "somebody"},
        {"aud": "something"},
        {"aud": [AUDIENCE, "something"]},
        {"tid": 7},
        {"fam": ["fam_1"]},
        {"exp": "soon"},
    ],
)
def test_a_wrong_claim_is_refused(tokens: AccessTokens, changes: dict[str, Any]) -> None:
    refuse(tokens, forged(**changes))


def test_clocks_may_differ_by_half_a_minute_and_no_more(tokens: AccessTokens) -> None:
    now = utc_now()
    tokens.read(forged(exp=now - timedelta(seconds=20)))
    tokens.read(forged(nbf=now + timedelta(seconds=20), iat=now + timedelta(seconds=20)))
    refuse(tokens, forged(exp=now - timedelta(seconds=31)))
    refuse(tokens, forged(nbf=now + timedelta(seconds=40)))
    refuse(tokens, forged(iat=now + timedelta(seconds=40)))


def test_a_token_lives_as_long_as_the_settings_say() -> None:
    tokens = tokens_of(IdentitySettings(signing_key=KEY, access_token_life_s=120))
    tokens.read(tokens.issue(CLAIMS, utc_now() - timedelta(seconds=110)))
    refuse(tokens, tokens.issue(CLAIMS, utc_now() - timedelta(seconds=160)))


@pytest.mark.parametrize(
    "token",
    ["", "x", "a.b.c", "....", "é.é.é", "\udc80.x.y", "\0", "a" * 5000, "e30.e30.e30"],
)
def test_what_is_no_token_is_refused(tokens: AccessTokens, token: str) -> None:
    refuse(tokens, token)


@pytest.mark.parametrize("header", [b"[" * 2900, b"[]", b'"x"', b"7", orjson.dumps({"alg": "HS256", "kid": {}})])
def test_an_unreadable_header_is_refused(tokens: AccessTokens, header: bytes) -> None:
    refuse(tokens, base64.urlsafe_b64encode(header).decode().rstrip("=") + ".e30.e30")


def test_a_short_signing_key_is_refused() -> None:
    with pytest.raises(ValueError, match="signing_key"):
        IdentitySettings(signing_key="k" * 31)


def test_settings_do_not_show_their_secrets() -> None:
    settings = IdentitySettings(signing_key=KEY)
    assert KEY not in repr(settings)
    assert KEY not in repr(KeyRing(settings, VAULT).current(utc_now()))


def test_refresh_tokens_are_opaque_and_kept_as_a_hash() -> None:
    first, second = new_refresh_token(), new_refresh_token()
    assert first.startswith("fsr_")
    assert len(first) == 4 + 43
    assert first != second
    assert first[4:] not in fingerprint(first)
