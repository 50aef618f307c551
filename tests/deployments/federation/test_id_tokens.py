"""U8: what an ID token has to be; each attack on its own, by a provider or somebody between."""

import json
import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from db.settings import DatabaseSettings
from tests.deployments.federation.conftest import Browser
from tests.deployments.federation.provider import (
    CLIENT_ID,
    CLIENT_SECRET,
    ED_KEY,
    ROTATED_KEY,
    RSA_KEY,
    Key,
    unsigned,
    with_mac,
)

REFUSED = {"error": "sso.token_refused"}
NOW = int(time.time())


@pytest.fixture
def database_settings(sqlite_settings: DatabaseSettings) -> DatabaseSettings:
    """One dialect: a token is judged before anything is asked of the database."""
    return sqlite_settings


async def is_refused(browser: Browser) -> None:
    """The browser gets no code; and it does once the provider is honest again, so nothing else was wrong."""
    assert await browser.sign_in() == REFUSED
    provider = browser.provider
    provider.claims, provider.header, provider.forge = {}, {}, None
    provider.keys, provider.signing = [RSA_KEY], RSA_KEY
    assert (await browser.sign_in()).keys() == {"login_code"}


@pytest.mark.parametrize(
    "claims",
    [
        {"nonce": "another"},
        {"nonce": None},
        {"nonce": 7},
        {"iss": "https://evil.example"},
        {"iss": None},
        {"aud": "another-client"},
        {"aud": ["another-client"]},
        {"aud": None},
        {"aud": []},
        {"aud": [CLIENT_ID, "another-client"]},
        {"aud": [CLIENT_ID, "another-client"], "azp": "another-client"},
        {"azp": "another-client"},
        {"exp": NOW - 3600},
        {"exp": None},
        {"exp": "soon"},
        {"exp": 1e400},
        {"iat": NOW + 3600},
        {"iat": None},
        {"nbf": NOW + 3600},
        {"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"},
        {"at_hash": 1},
        {"sub": None},
        {"sub": ""},
        {"sub": 7},
        {"sub": "a\0b"},
        {"sub": "\ud800"},
        {"sub": "ádmin"},
        {"sub": "a" * 256},
    ],
    ids=",".join,
)
async def test_a_wrong_claim_is_refused(browser: Browser, claims: dict[str, Any]) -> None:
    """U8: replayed, expired, early, for somebody else, from somebody else, about nobody."""
    browser.provider.claims = claims
    await is_refused(browser)


@pytest.mark.parametrize("claims", [{"exp": NOW - 5}, {"iat": NOW + 30}, {"nbf": NOW + 30}], ids=",".join)
async def test_clocks_may_differ_a_little(browser: Browser, claims: dict[str, Any]) -> None:
    now = int(time.time())
    browser.provider.claims = {name: now + value - NOW for name, value in claims.items()}
    assert (await browser.sign_in()).keys() == {"login_code"}


async def test_a_token_that_nobody_signed_is_refused(browser: Browser) -> None:
    """U8: the algorithm `none`."""
    browser.provider.forge = unsigned
    await is_refused(browser)


@pytest.mark.parametrize("secret", ["public key", "jwk", "client secret", "nothing"])
async def test_a_token_with_a_mac_is_refused(browser: Browser, secret: str) -> None:
    """U8: algorithm confusion: a public key, or the client's secret, taken for the secret of an HMAC."""
    public = RSA_KEY.private.public_key()
    secrets = {
        "public key": public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        "jwk": json.dumps(RSA_KEY.public()).encode(),
        "client secret": CLIENT_SECRET.encode(),
        "nothing": b"",
    }
    browser.provider.forge = lambda claims: with_mac(claims, secrets[secret], RSA_KEY.id)
    await is_refused(browser)


async def test_a_symmetric_key_among_the_published_is_not_used(browser: Browser) -> None:
    """U8: not even when the provider publishes one."""
    key = {"kty": "oct", "kid": "mac", "k": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "alg": "HS256"}
    browser.provider.raw["/jwks"] = (200, json.dumps({"keys": [key]}).encode())
    browser.provider.forge = lambda claims: with_mac(claims, b"\0" * 32, "mac")
    assert await browser.sign_in() == REFUSED


async def test_a_token_of_another_key_is_refused(browser: Browser) -> None:
    """U8: the right name of a key, the wrong signature."""
    browser.provider.signing = Key(RSA_KEY.id, "RS256", ROTATED_KEY.private)
    await is_refused(browser)


async def test_a_key_is_used_with_its_own_algorithm_only(browser: Browser) -> None:
    """U8: a token that says PS256 is not verified with a key for RS256, nor one that says ES256."""
    browser.provider.forge = lambda claims: jwt.encode(
        claims, RSA_KEY.private, algorithm="PS256", headers={"kid": RSA_KEY.id}
    )
    await is_refused(browser)
    browser.provider.forge = lambda claims: jwt.encode(
        claims, ED_KEY.private, algorithm="EdDSA", headers={"kid": RSA_KEY.id}
    )
    await is_refused(browser)


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
async def test_a_weak_key_is_refused(browser: Browser) -> None:
    """U8: RSA below 2048 bits (RFC 7518 §3.3)."""
    weak = Key("weak", "RS256", rsa.generate_private_key(public_exponent=65537, key_size=1024))  # noqa: S505
    browser.provider.keys, browser.provider.signing = [weak], weak
    assert await browser.sign_in() == REFUSED


@pytest.mark.parametrize(
    "header",
    [
        {"typ": "at+jwt"},
        {"typ": "logout+jwt"},
        {"crit": ["exp"], "exp": 1},
        {"kid": "nobodys"},
        {"jwk": ROTATED_KEY.public(), "kid": "nobodys"},
        {"jku": "https://evil.example/jwks", "kid": "nobodys"},
    ],
    ids=",".join,
)
async def test_a_wrong_header_is_refused(browser: Browser, header: dict[str, Any]) -> None:
    """U8: other kinds of tokens, extensions that nobody knows, keys that the token itself names or brings."""
    browser.provider.header = header
    await is_refused(browser)


async def test_a_token_without_a_key_id_needs_a_single_key(browser: Browser) -> None:
    browser.provider.header = {"kid": None}
    assert (await browser.sign_in()).keys() == {"login_code"}
    browser.provider.keys = [RSA_KEY, ROTATED_KEY]
    browser.federation._providers._known.clear()
    await is_refused(browser)


@pytest.mark.parametrize("token", ["", "a", "a.b.c", "....", "é.é.é", "eyJ" * 10_000, "[" * 5000])
async def test_what_is_no_token_is_refused(browser: Browser, token: str) -> None:
    browser.provider.forge = lambda _: token
    await is_refused(browser)


@pytest.mark.parametrize("answer", [b"{}", b'{"id_token": 7}', b'{"id_token": null}'])
async def test_an_answer_without_a_token_is_refused(browser: Browser, answer: bytes) -> None:
    browser.provider.raw["/token"] = (200, answer)
    assert await browser.sign_in() == REFUSED


class TestIssuerParameter:
    """RFC 9207: the mix-up of two providers."""

    async def test_of_another_provider_is_refused(self, browser: Browser) -> None:
        answer = browser.provider.consent((await browser.leave()).location)
        assert await browser.come_back(**answer, iss="https://evil.example") == REFUSED
        assert browser.provider.seen["/token"] == 0

    async def test_of_this_provider_is_taken(self, browser: Browser) -> None:
        answer = browser.provider.consent((await browser.leave()).location)
        assert (await browser.come_back(**answer, iss=browser.provider.issuer)).keys() == {"login_code"}

    async def test_is_missed_when_the_provider_promised_it(self, browser: Browser) -> None:
        browser.provider.metadata = {"authorization_response_iss_parameter_supported": True}
        assert await browser.sign_in() == REFUSED
