"""U8: logging out at the provider as well (OpenID Connect RP-Initiated Logout 1.0)."""

from datetime import timedelta
from urllib.parse import parse_qsl, urlsplit

import pytest
from cryptography.fernet import InvalidToken
from sqlalchemy import text

from db.models.federation import SsoSession
from db.session import Database
from db.types import utc_now
from deployments.federation.contracts import LeaveProvider, LoggedOut, UpdateConnection
from deployments.federation.deployment import Federation
from deployments.federation.errors import UnsafeReturn
from deployments.identity.contracts import LogIn, Refresh, Session, UpdateUser
from deployments.identity.deployment import Identity
from deployments.identity.service import pruning
from deployments.kit.errors import Unauthenticated
from deployments.kit.principal import Principal
from tests.deployments.federation.conftest import HOME, ORIGIN, PASSWORD, VAULT, Browser, owner_of
from tests.deployments.federation.provider import ED_KEY, Provider
from tests.eventing.harness import rows


@pytest.fixture
def provider(provider: Provider) -> Provider:
    """One that can end its sessions."""
    provider.metadata = {"end_session_endpoint": f"{provider.issuer}/logout"}
    provider.registered = {f"{HOME}/api/v1/auth/oidc/logged-out"}
    return provider


async def leave(browser: Browser, identity: Identity, session: Session, return_to: str = "/console") -> LoggedOut:
    person = await identity.authenticate(session.access_token)
    command = LeaveProvider(refresh_token=session.refresh_token, return_to=return_to)
    return await browser.federation.leave(person, command)


def asked_by(location: str | None) -> dict[str, str]:
    assert location is not None
    return dict(parse_qsl(urlsplit(location).query))


async def came_back_to(federation: Federation, location: str) -> str:
    """Where the browser is in the end that the provider sends here."""
    address = urlsplit(location)
    assert location.startswith(f"{HOME}/api/v1/auth/oidc/logged-out?")
    return (await federation.left(dict(parse_qsl(address.query))["state"])).location


async def test_the_provider_s_session_ends_with_ours(browser: Browser, identity: Identity, database: Database) -> None:
    """V7.6: it learns from its own ID token who leaves, sends the browser back, and nothing of it is left."""
    session = await browser.session()
    (kept,) = await rows(database, SsoSession)
    assert "eyJ" not in kept.sealed  # what every token in clear begins with
    assert "eyJ" in VAULT.open(kept.sealed)

    left = await leave(browser, identity, session, "/console?a=b")

    with pytest.raises(Unauthenticated):
        await identity.refresh(ORIGIN, Refresh(refresh_token=session.refresh_token))
    assert left.provider_logout_url is not None
    back = browser.provider.end(left.provider_logout_url)
    assert browser.provider.ended == ["sub-1"]
    assert await came_back_to(browser.federation, back) == f"{HOME}/console?a=b"
    assert await rows(database, SsoSession) == []


async def test_a_refreshed_session_is_still_the_provider_s(browser: Browser, identity: Identity) -> None:
    session = await browser.session()
    for _ in range(2):
        session = await identity.refresh(ORIGIN, Refresh(refresh_token=session.refresh_token))
    left = await leave(browser, identity, session)
    assert "id_token_hint" in asked_by(left.provider_logout_url)


async def test_a_token_too_long_for_an_address_is_left_out(browser: Browser, identity: Identity) -> None:
    """Then the provider asks the person, as the standard has it."""
    browser.provider.claims = {"groups": [f"group-{number}" for number in range(300)]}
    left = await leave(browser, identity, await browser.session())
    assert asked_by(left.provider_logout_url).keys() == {"client_id", "post_logout_redirect_uri", "state"}
    assert left.provider_logout_url is not None
    assert len(left.provider_logout_url) < 4096
    browser.provider.end(left.provider_logout_url)
    assert browser.provider.ended == [""]


async def test_what_the_endpoint_s_address_says_itself_stays(browser: Browser, identity: Identity) -> None:
    browser.provider.metadata = {"end_session_endpoint": f"{browser.provider.issuer}/logout?p=B2C_1"}
    left = await leave(browser, identity, await browser.session())
    assert asked_by(left.provider_logout_url)["p"] == "B2C_1"


@pytest.mark.parametrize("endpoint", [None, "", 7, "javascript:alert(1)", "ftp://127.0.0.1/logout"])
async def test_without_an_endpoint_the_session_ends_here(
    browser: Browser, identity: Identity, endpoint: object
) -> None:
    """Google has none. An endpoint that cannot be used keeps nobody from logging in or out."""
    browser.provider.metadata = {} if endpoint is None else {"end_session_endpoint": endpoint}
    session = await browser.session()
    assert await leave(browser, identity, session) == LoggedOut(provider_logout_url=None)
    with pytest.raises(Unauthenticated):
        await identity.refresh(ORIGIN, Refresh(refresh_token=session.refresh_token))


async def test_a_provider_that_is_away_keeps_nobody(
    browser: Browser, identity: Identity, database: Database, provider: Provider
) -> None:
    session = await browser.session()
    browser.federation._providers._known.clear()  # an hour later
    provider.raw = {"/.well-known/openid-configuration": (503, b"")}
    assert await leave(browser, identity, session) == LoggedOut(provider_logout_url=None)
    assert await rows(database, SsoSession) == []


async def test_a_session_by_password_has_no_provider(
    federation: Federation, identity: Identity, owner: Principal
) -> None:
    login = LogIn(tenant="acme", email="owner@acme.example.com", password=PASSWORD)
    session = await identity.log_in(ORIGIN, login)
    command = LeaveProvider(refresh_token=session.refresh_token)
    assert await federation.leave(owner, command) == LoggedOut(provider_logout_url=None)
    with pytest.raises(Unauthenticated):
        await identity.refresh(ORIGIN, Refresh(refresh_token=session.refresh_token))


async def test_nobody_ends_or_reads_another_s_session(browser: Browser, identity: Identity, owner: Principal) -> None:
    """T5: whoever has somebody's refresh token does not get their ID token for it."""
    session = await browser.session()
    other = await owner_of(identity, "other")
    for principal in (owner, other):
        command = LeaveProvider(refresh_token=session.refresh_token)
        assert await browser.federation.leave(principal, command) == LoggedOut(provider_logout_url=None)
    await identity.refresh(ORIGIN, Refresh(refresh_token=session.refresh_token))


@pytest.mark.parametrize("path", ["//evil.example", "/\\evil.example", "https://evil.example", ""])
async def test_nobody_is_sent_elsewhere(browser: Browser, identity: Identity, path: str) -> None:
    session = await browser.session()
    with pytest.raises(UnsafeReturn):
        await leave(browser, identity, session, path)


@pytest.mark.parametrize("state", ["", "x", "é", "\0"])
async def test_a_state_that_is_not_ours_leads_home(federation: Federation, state: str) -> None:
    assert (await federation.left(state)).location == f"{HOME}/"


@pytest.mark.parametrize("path", ["//evil.example", "https://evil.example", ""])
async def test_a_sealed_text_that_is_no_path_leads_home(federation: Federation, path: str) -> None:
    """Other things are sealed with the same key."""
    assert (await federation.left(VAULT.seal(path))).location == f"{HOME}/"


async def test_what_is_kept_goes_with_the_session(
    browser: Browser, identity: Identity, database: Database, owner: Principal
) -> None:
    """Whatever ends it: a token used twice, the person, an administrator, or time."""
    stolen = await browser.session()
    await identity.refresh(ORIGIN, Refresh(refresh_token=stolen.refresh_token))
    with pytest.raises(Unauthenticated):
        await identity.refresh(ORIGIN, Refresh(refresh_token=stolen.refresh_token))
    assert await rows(database, SsoSession) == []

    sessions = [await browser.session() for _ in range(3)]
    person = await identity.authenticate(sessions[0].access_token)
    await identity.revoke_session(person, person.subject, await _id_of(identity, sessions[1]))
    assert len(await rows(database, SsoSession)) == 2
    await identity.revoke_sessions(person, person.subject)
    assert [row.family_id for row in await rows(database, SsoSession)] == [person.session_id]
    await identity.update_user(owner, person.subject, UpdateUser(status="deactivated"))
    assert await rows(database, SsoSession) == []
    await identity.update_user(owner, person.subject, UpdateUser(status="active"))

    await browser.session()
    await pruning.prune(database, lambda: False)
    assert len(await rows(database, SsoSession)) == 1
    async with database.unscoped_write() as unit:
        over = utc_now() - timedelta(seconds=1)
        at = {"at": over.isoformat(timespec="microseconds") if database.is_sqlite else over}
        await unit.session.execute(text("UPDATE sso_session SET expires_at = :at"), at)
    assert (await pruning.prune(database, lambda: False))["sso_sessions"] == 1
    assert await rows(database, SsoSession) == []


async def test_it_goes_with_the_connection(
    browser: Browser, identity: Identity, database: Database, owner: Principal
) -> None:
    session = await browser.session()
    await browser.federation.delete_connection(owner, browser.connection.id)
    assert await rows(database, SsoSession) == []
    assert await leave(browser, identity, session) == LoggedOut(provider_logout_url=None)


@pytest.mark.parametrize("changed", ["issuer", "client_id"])
async def test_a_connection_that_leads_elsewhere_since_is_told_nothing(
    browser: Browser, identity: Identity, owner: Principal, changed: str
) -> None:
    """One provider's token is not for another."""
    session = await browser.session()
    elsewhere = f"http://127.0.0.2:{browser.provider.port}"
    browser.provider.metadata |= {"issuer": elsewhere} if changed == "issuer" else {}
    values = {"issuer": {"issuer": elsewhere, "client_secret": "x"}, "client_id": {"client_id": "other"}}
    change = values[changed]
    await browser.federation.update_connection(owner, browser.connection.id, UpdateConnection.model_validate(change))
    assert await leave(browser, identity, session) == LoggedOut(provider_logout_url=None)


async def test_a_session_from_before_a_new_secret_key_ends_here(browser: Browser, identity: Identity) -> None:
    session = await browser.session()
    browser.federation._vault = type(VAULT)("n" * 32)
    with pytest.raises(InvalidToken):
        browser.federation._vault.open(VAULT.seal("x"))
    assert await leave(browser, identity, session) == LoggedOut(provider_logout_url=None)


async def test_another_algorithm_is_no_matter(browser: Browser, identity: Identity) -> None:
    browser.provider.keys, browser.provider.signing = [ED_KEY], ED_KEY
    left = await leave(browser, identity, await browser.session())
    assert left.provider_logout_url is not None
    browser.provider.end(left.provider_logout_url)
    assert browser.provider.ended == ["sub-1"]


async def _id_of(identity: Identity, session: Session) -> str:
    return (await identity.authenticate(session.access_token)).session_id
