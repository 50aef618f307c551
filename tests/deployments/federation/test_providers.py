"""U8: what a provider says about itself: fetched within a time and a size, remembered, and never believed blindly."""

import asyncio
import json
from dataclasses import dataclass
from typing import Any

import pytest

from db.session import Database
from db.settings import DatabaseSettings
from deployments.federation.deployment import Federation
from deployments.federation.errors import ProviderBusy, ProviderUnavailable
from deployments.federation.provider import Providers, _metadata
from deployments.identity.deployment import Identity
from deployments.kit.egress import Egress
from deployments.kit.errors import Invalid
from tests.deployments.federation.conftest import LOOPBACK, VAULT, Browser, federation_of, settings_of
from tests.deployments.federation.provider import ROTATED_KEY, Provider

DISCOVERY = "/.well-known/openid-configuration"


@pytest.fixture
def database_settings(sqlite_settings: DatabaseSettings) -> DatabaseSettings:
    """One dialect: what a provider answers is no matter of SQL."""
    return sqlite_settings


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(federation: Federation) -> Clock:
    clock = Clock()
    federation._providers._clock = clock
    return clock


async def test_metadata_and_keys_are_remembered_for_a_while(browser: Browser, clock: Clock) -> None:
    for _ in range(3):
        assert (await browser.sign_in()).keys() == {"login_code"}
    assert (browser.provider.seen[DISCOVERY], browser.provider.seen["/jwks"]) == (1, 1)
    clock.now += 601
    await browser.sign_in()
    assert (browser.provider.seen[DISCOVERY], browser.provider.seen["/jwks"]) == (1, 2)
    clock.now += 3601
    await browser.sign_in()
    assert (browser.provider.seen[DISCOVERY], browser.provider.seen["/jwks"]) == (2, 3)


async def test_a_new_key_is_found_at_once_and_at_most_once_a_minute(browser: Browser, clock: Clock) -> None:
    """U8: key rotation without notice, and no flood of requests for keys that never were."""
    await browser.sign_in()
    browser.provider.keys, browser.provider.signing = [ROTATED_KEY], ROTATED_KEY
    assert await browser.sign_in() == {"error": "sso.token_refused"}
    assert browser.provider.seen["/jwks"] == 1
    clock.now += 60
    assert (await browser.sign_in()).keys() == {"login_code"}
    assert browser.provider.seen["/jwks"] == 2
    browser.provider.header = {"kid": "nobodys"}
    for _ in range(3):
        assert await browser.sign_in() == {"error": "sso.token_refused"}
    assert browser.provider.seen["/jwks"] == 2


async def test_a_key_that_was_withdrawn_is_not_accepted_for_long(browser: Browser, clock: Clock) -> None:
    """U8: a stolen key that the provider took back."""
    await browser.sign_in()
    browser.provider.keys = [ROTATED_KEY]
    clock.now += 601
    assert await browser.sign_in() == {"error": "sso.token_refused"}


async def test_many_logins_at_once_ask_once(browser: Browser) -> None:
    await asyncio.gather(*(browser.leave() for _ in range(10)))
    assert browser.provider.seen[DISCOVERY] == 1


@pytest.mark.parametrize(
    "answer",
    [
        (500, b"{}"),
        (302, b"{}"),
        (404, b"{}"),
        (200, b""),
        (200, b"<html>"),
        (200, b"[]"),
        (200, b"{}"),
        (200, b"[" * 100_000),
        (200, json.dumps({"issuer": "x" * 300_000}).encode()),
        (200, json.dumps({"keys": [{}] * 101}).encode()),
        (200, json.dumps({"keys": [None, 7, {"kty": 7}, {"kty": "RSA", "kid": "rsa-1"}]}).encode()),
    ],
    ids=["500", "302", "404", "empty", "html", "list", "object", "deep", "large", "many keys", "bad keys"],
)
@pytest.mark.parametrize("path", [DISCOVERY, "/jwks", "/token"])
async def test_a_provider_that_fails_lets_nobody_in(browser: Browser, path: str, answer: tuple[int, bytes]) -> None:
    """U8: slow, too large, not JSON, an error of its own: a clear end, never a defect of ours."""
    if path == DISCOVERY:
        browser.provider.raw[path] = answer
        with pytest.raises(ProviderUnavailable):
            await browser.leave()
        return
    departure = await browser.leave()
    browser.provider.raw[path] = answer
    ended = await browser.come_back(**browser.provider.consent(departure.location))
    assert ended["error"] in {"sso.provider_unavailable", "sso.token_refused"}


@pytest.mark.parametrize(
    ("path", "limit"),
    [
        *((path, "request_timeout_s") for path in (DISCOVERY, "/jwks", "/token")),
        *((path, "answer_timeout_s") for path in ("/jwks", "/token")),
    ],
)
async def test_a_provider_that_hangs_is_left(
    browser: Browser, database: Database, identity: Identity, path: str, limit: str
) -> None:
    """U8: within the time of a request, and of all requests together."""
    hasty = federation_of(database, identity, **{limit: 1.0})
    browser.federation = hasty
    if path == DISCOVERY:
        browser.provider.hanging.add(path)
        async with asyncio.timeout(5):
            with pytest.raises(ProviderUnavailable):
                await browser.leave()
    else:
        departure = await browser.leave()
        browser.provider.hanging.add(path)
        async with asyncio.timeout(3):
            ended = await browser.come_back(**browser.provider.consent(departure.location))
        assert ended == {"error": "sso.provider_unavailable"}
    await hasty.close()


async def test_a_failing_provider_is_left_alone_for_a_moment(browser: Browser, clock: Clock) -> None:
    """Whoever begins logins in great numbers must not become the provider's plague."""
    browser.provider.raw[DISCOVERY] = (500, b"")
    for _ in range(5):
        with pytest.raises(ProviderUnavailable):
            await browser.leave()
    assert browser.provider.seen[DISCOVERY] == 1
    clock.now += 6
    del browser.provider.raw[DISCOVERY]
    await browser.leave()


async def test_one_tenants_slow_provider_takes_no_more_than_its_share(
    browser: Browser, database: Database, identity: Identity
) -> None:
    """T6: the rest of its logins are told to come later."""
    narrow = federation_of(database, identity, max_requests=2)
    browser.federation = narrow
    departures = [await browser.leave() for _ in range(4)]
    browser.provider.hanging.add("/token")
    arrivals = [
        asyncio.create_task(browser.come_back(**browser.provider.consent(departure.location)))
        for departure in departures
    ]
    ended = asyncio.as_completed(arrivals)
    assert [await next(ended) for _ in range(2)] == [{"error": ProviderBusy.code}] * 2
    for task in arrivals:
        task.cancel()
    await asyncio.wait(arrivals)
    assert not narrow._providers._running
    await narrow.close()


@pytest.mark.parametrize(
    "metadata",
    [
        {"issuer": "https://evil.example"},
        {"issuer": "http://127.0.0.1"},
        {"issuer": None},
        {"token_endpoint": None},
        {"token_endpoint": 7},
        {"token_endpoint": "file:///etc/passwd"},
        {"jwks_uri": "https://user:password@example.com/"},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"authorization_endpoint": "https://example.com/" + "a" * 3000},
    ],
    ids=lambda metadata: json.dumps(metadata)[:60],
)
async def test_metadata_that_cannot_be_right_are_refused(browser: Browser, metadata: dict[str, Any]) -> None:
    """U8: the document's issuer is the connection's, and addresses are addresses of the web."""
    browser.provider.metadata = metadata
    with pytest.raises(ProviderUnavailable):
        await browser.leave()


@pytest.mark.parametrize("name", ["token_endpoint", "jwks_uri"])
async def test_metadata_cannot_lead_into_our_network(browser: Browser, name: str) -> None:
    """W4: every address is checked when it is dialled, whatever document named it."""
    browser.provider.metadata = {name: "https://10.0.0.1:1/"}
    assert await browser.sign_in() == {"error": "sso.provider_unavailable"}


@pytest.mark.parametrize("name", ["token_endpoint", "jwks_uri"])
async def test_metadata_cannot_lead_out_of_tls(
    browser: Browser, database: Database, identity: Identity, name: str
) -> None:
    """U8: an address that may be called is still no place for a secret without TLS, unless the operator says so."""
    path = {"token_endpoint": "/token", "jwks_uri": "/jwks"}[name]
    browser.provider.metadata = {name: f"http://127.0.0.2:{browser.provider.port}{path}"}
    for networks, outcome in ((("127.0.0.1/32",), "error"), (LOOPBACK, "login_code")):
        settings = settings_of(egress_allow=networks)
        federation = Federation(database, identity, Egress(LOOPBACK), VAULT, settings)
        browser.federation = federation
        assert (await browser.sign_in()).keys() == {outcome}
        await federation.close()


async def test_a_provider_over_tls_does_not_lead_out_of_it() -> None:
    document = {
        "issuer": "https://example.com",
        "authorization_endpoint": "https://example.com/a",
        "token_endpoint": "https://example.com/t",
        "jwks_uri": "http://example.com/j",
    }
    with pytest.raises(ProviderUnavailable, match="jwks_uri"):
        _metadata("https://example.com", document)
    document["jwks_uri"] = "https://example.com/j"
    assert _metadata("https://example.com", document).issuer == "https://example.com"


@pytest.mark.parametrize(
    ("issuer", "codes"),
    [
        ("https://example.com", []),
        ("https://example.com/realms/acme", []),
        ("http://127.0.0.1:8080/realms/acme", []),
        ("http://localhost:8080", []),
        ("http://192.0.2.1", ["issuer.scheme"]),
        ("http://nowhere.invalid", ["issuer.scheme"]),
        ("https://example.com?tenant=a", ["issuer.format"]),
        ("http://192.0.2.1/#a", ["issuer.format", "issuer.scheme"]),
        ("ftp://example.com", ["url.scheme"]),
        ("https://user@example.com", ["url.userinfo"]),
        ("nonsense", ["url.scheme", "url.host"]),
    ],
)
async def test_what_can_be_an_issuer(issuer: str, codes: list[str]) -> None:
    """U8: HTTPS; plain HTTP inside the networks that the operator allows, and nowhere else."""
    egress = Egress(LOOPBACK)
    providers = Providers(egress, settings_of(egress_allow=(*LOOPBACK, "::1/128")))
    try:
        await providers.check_issuer(issuer, "/issuer")
        found: list[str] = []
    except Invalid as error:
        found = [fault.code for fault in error.faults]
    assert found == codes
    await egress.aclose()


async def test_what_is_remembered_is_bounded(provider: Provider, federation: Federation, clock: Clock) -> None:
    """T3: apart for each tenant, and no more than so much."""
    providers = federation._providers
    await providers.metadata("acme", provider.issuer)
    await providers.metadata("other", provider.issuer)
    assert provider.seen[DISCOVERY] == 2
    for number in range(1000):
        providers._entry(f"t{number}", "https://example.com")
    assert len(providers._known) == 1000
