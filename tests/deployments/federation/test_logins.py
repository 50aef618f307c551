"""U8: logging in with a provider, step by step."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from sqlalchemy import select

from db.models.events import Event
from db.models.federation import SsoLogin
from db.session import Database
from deployments.federation.contracts import Arrival, UpdateConnection
from deployments.federation.deployment import Federation
from deployments.federation.errors import ConnectionNotFound, LoginCodeInvalid, LoginStateInvalid, UnsafeReturn
from deployments.identity.deployment import Identity
from deployments.kit.egress import Egress
from deployments.kit.principal import Principal
from deployments.kit.vault import Vault
from tests.deployments.federation.conftest import ORIGIN, Browser, Connect, federation_of, owner_of, settings_of
from tests.deployments.federation.provider import CLIENT_SECRET, EC_KEY, ED_KEY, Key, Provider, at_hash

Events = Callable[[], Awaitable[list[Event]]]


async def test_a_person_logs_in(browser: Browser, identity: Identity, events: Events) -> None:
    """U8: from the provider's answer to a session that works, of an account that was made for the person."""
    session = await browser.session()

    person = await identity.authenticate(session.access_token)
    me = await identity.me(person)
    assert (person.tenant_id, person.role) == ("acme", "viewer")
    assert me.user is not None
    assert (me.user.email, me.user.name) == ("ada@acme.example.com", "Ada Lovelace")
    assert [event.type for event in await events()][-3:] == ["user.registered", "user.federated", "user.logged_in"]
    assert browser.provider.refused == []


async def test_a_person_who_comes_again_has_the_same_account(browser: Browser, identity: Identity) -> None:
    """U8: who somebody is depends on the provider's subject, not on the e-mail."""
    first = await identity.authenticate((await browser.session()).access_token)
    browser.provider.person |= {"email": "countess@acme.example.com"}
    second = await identity.authenticate((await browser.session()).access_token)
    assert second.subject == first.subject


@pytest.mark.parametrize("key", [EC_KEY, ED_KEY], ids=lambda key: key.algorithm)
async def test_other_algorithms_are_taken(browser: Browser, key: Key) -> None:
    """U8: ES256 and EdDSA, and an access token that the ID token is bound to."""
    method = "sha512" if key.algorithm == "EdDSA" else "sha256"
    browser.provider.keys, browser.provider.signing = [key], key
    browser.provider.claims = {"at_hash": at_hash("at-1", method), "azp": "formstream", "aud": ["formstream", "other"]}
    assert (await browser.sign_in()).keys() == {"login_code"}


async def test_a_provider_may_want_the_secret_in_the_body(browser: Browser) -> None:
    browser.provider.metadata = {"token_endpoint_auth_methods_supported": ["client_secret_post"]}
    assert (await browser.sign_in()).keys() == {"login_code"}


async def test_an_answer_is_taken_once(browser: Browser) -> None:
    """U8: a state that is replayed is refused, whatever became of the first answer."""
    answer = browser.provider.consent((await browser.leave()).location)
    await browser.come_back(**answer)
    with pytest.raises(LoginStateInvalid):
        await browser.come_back(**answer)

    denied = await browser.leave()
    state = dict(parse_qsl(urlsplit(denied.location).query))["state"]
    assert await browser.come_back(state=state, error="access_denied") == {"error": "sso.denied"}
    with pytest.raises(LoginStateInvalid):
        await browser.come_back(**browser.provider.consent(denied.location))


async def test_an_answer_is_taken_once_even_at_the_same_moment(browser: Browser) -> None:
    """U8: single use holds under concurrency."""
    answer = browser.provider.consent((await browser.leave()).location)
    results = await asyncio.gather(*(browser.come_back(**answer) for _ in range(5)), return_exceptions=True)
    assert sum(isinstance(result, dict) for result in results) == 1
    assert sum(isinstance(result, LoginStateInvalid) for result in results) == 4


@pytest.mark.parametrize("cookie", [None, "", "x" * 43, "a b"])
async def test_an_answer_is_for_the_browser_that_began(browser: Browser, cookie: str | None) -> None:
    """U8: login CSRF: an attacker's answer in another browser opens nothing, and costs the attacked nothing."""
    answer = browser.provider.consent((await browser.leave()).location)
    own, browser.cookie = browser.cookie, cookie
    with pytest.raises(LoginStateInvalid):
        await browser.come_back(**answer)
    browser.cookie = own
    assert (await browser.come_back(**answer)).keys() == {"login_code"}


@pytest.mark.parametrize(
    "state",
    ["", "acme", "acme.", "acme." + "a" * 43, "ACME." + "a" * 43, "_platform." + "a" * 43, "other.x", "\0", "é"],
)
async def test_a_state_that_never_was_is_refused(browser: Browser, state: str) -> None:
    await browser.leave()
    with pytest.raises(LoginStateInvalid):
        await browser.come_back(state=state, code="code-0")


async def test_a_state_of_another_tenant_is_refused(browser: Browser, identity: Identity) -> None:
    """T5: the tenant's name in front of a state is where to look, never what to believe."""
    await owner_of(identity, "other")
    answer = browser.provider.consent((await browser.leave()).location)
    with pytest.raises(LoginStateInvalid):
        await browser.come_back(**(answer | {"state": answer["state"].replace("acme.", "other.")}))


async def test_two_tabs_can_log_in_at_once(browser: Browser) -> None:
    first, second = await browser.leave(), await browser.leave()
    assert first.browser == second.browser
    for departure in (second, first):
        assert (await browser.come_back(**browser.provider.consent(departure.location))).keys() == {"login_code"}


async def test_a_login_that_took_too_long_is_over(browser: Browser, database: Database, identity: Identity) -> None:
    """U8: ten minutes; what is over is forgotten by the next login."""
    late = federation_of(database, identity, login_life_s=1)
    browser.federation = late
    answer = browser.provider.consent((await browser.leave()).location)
    async with database.write("acme") as unit:
        row = (await unit.session.scalars(select(SsoLogin))).one()
        row.expires_at = row.created_at
    with pytest.raises(LoginStateInvalid):
        await browser.come_back(**answer)
    await browser.leave()
    async with database.read("acme") as unit:
        assert len((await unit.session.scalars(select(SsoLogin))).all()) == 1
    await late.close()


class TestCode:
    async def test_is_good_once(self, browser: Browser) -> None:
        """U8: a login code that somebody finds in a history is worthless."""
        code = (await browser.sign_in())["login_code"]
        results = await asyncio.gather(*(browser.exchange(code) for _ in range(4)), return_exceptions=True)
        assert sum(isinstance(result, LoginCodeInvalid) for result in results) == 3
        with pytest.raises(LoginCodeInvalid):
            await browser.exchange(code)

    async def test_is_good_in_its_browser_only(self, browser: Browser) -> None:
        """U8: nobody can be logged in to an attacker's account with a link."""
        code = (await browser.sign_in())["login_code"]
        own, browser.cookie = browser.cookie, "x" * 43
        with pytest.raises(LoginCodeInvalid):
            await browser.exchange(code)
        browser.cookie = own
        await browser.exchange(code)

    async def test_is_good_for_a_minute(self, browser: Browser, database: Database) -> None:
        code = (await browser.sign_in())["login_code"]
        async with database.write("acme") as unit:
            row = (await unit.session.scalars(select(SsoLogin))).one()
            assert row.answered_at is not None
            assert 55 < (row.expires_at - row.answered_at).total_seconds() < 70
            row.expires_at = row.created_at
        with pytest.raises(LoginCodeInvalid):
            await browser.exchange(code)

    @pytest.mark.parametrize("code", ["", "acme", "acme." + "a" * 43, "nobody." + "a" * 43, "\0", "é" * 50])
    async def test_that_never_was_is_refused(self, browser: Browser, code: str) -> None:
        await browser.sign_in()
        with pytest.raises(LoginCodeInvalid):
            await browser.exchange(code)

    async def test_is_worth_nothing_once_the_connection_is_off(self, browser: Browser, owner: Principal) -> None:
        code = (await browser.sign_in())["login_code"]
        await browser.federation.update_connection(owner, browser.connection.id, UpdateConnection(enabled=False))
        with pytest.raises(LoginCodeInvalid):
            await browser.exchange(code)


async def test_nothing_that_is_kept_is_of_use_to_whoever_reads_it(browser: Browser, database: Database) -> None:
    """U8: state, cookie, verifier, nonce and code are kept as hashes or sealed; the client secret is sealed."""
    departure = await browser.leave()
    asked = dict(parse_qsl(urlsplit(departure.location).query))
    code = (await browser.sign_in())["login_code"]
    async with database.read("acme") as unit:
        rows = (await unit.session.scalars(select(SsoLogin))).all()
        text = " ".join(row.model_dump_json() for row in rows)
    for secret in (asked["state"], asked["nonce"], departure.browser, code, code.partition(".")[2], "ada@"):
        assert secret not in text
    assert len(rows) == 2


async def test_another_secret_key_ends_what_is_under_way(
    browser: Browser, database: Database, identity: Identity
) -> None:
    """O9: a clear end for logins and connections that were sealed with the key before."""
    settings = settings_of()
    fresh = Federation(database, identity, Egress(settings.egress_allow), Vault("n" * 32), settings)
    answer = browser.provider.consent((await browser.leave()).location)
    code = (await browser.sign_in())["login_code"]
    browser.federation = fresh
    with pytest.raises(LoginStateInvalid):
        await browser.come_back(**answer)
    with pytest.raises(LoginCodeInvalid):
        await browser.exchange(code)
    assert await browser.sign_in() == {"error": "sso.provider_unavailable"}
    await fresh.close()


@pytest.mark.parametrize(
    "path",
    [
        *(
            "",
            "console",
            "//evil.example",
            "/\\evil.example",
            "\\/evil.example",
            "https://evil.example",
            "/\t/evil.example",
        ),
        *(
            "/a\r\nset-cookie: x",
            "/a b",
            "/a#login_code=x",
            "/é",
            "/" + "a" * 512,
            " /a",
            "/a\\b",
            "javascript:alert(1)",
        ),
    ],
)
async def test_people_come_back_to_this_origin_only(browser: Browser, path: str) -> None:
    """U8: no open redirect."""
    with pytest.raises(UnsafeReturn):
        await browser.leave(path)


@pytest.mark.parametrize("path", ["/", "/console", "/a/b?c=d&e=%2F%2Fevil.example", "/@evil.example", "/.evil.example"])
async def test_a_path_of_this_origin_is_kept(federation: Federation, browser: Browser, path: str) -> None:
    """The location is absolute, so no path can be taken for a host."""
    answer = browser.provider.consent((await browser.leave(path)).location)
    landing = await federation.arrive(ORIGIN, Arrival(**answer), browser.cookie)
    assert landing.location.startswith(f"https://forms.example.com{path}#login_code=")


async def test_a_connection_of_another_tenant_is_not_there(
    browser: Browser, identity: Identity, connect: Connect, owner: Principal
) -> None:
    """T5: one answer for another's, for none, for one that is off and for a tenant that is not there."""
    await owner_of(identity, "other")
    disabled = await connect()
    await browser.federation.update_connection(owner, disabled.id, UpdateConnection(enabled=False))
    refused: list[Any] = []
    for tenant_id, connection_id in (
        *(("other", browser.connection.id), ("nobody", browser.connection.id)),
        *(("acme", "sso_none"), ("acme", disabled.id)),
    ):
        with pytest.raises(ConnectionNotFound) as caught:
            await browser.federation.depart(Principal.anonymous(tenant_id, ORIGIN), connection_id, "/", None)
        refused.append((caught.value.code, caught.value.detail))
    assert len(set(refused)) == 1


async def test_what_ends_a_login_halfway(browser: Browser, owner: Principal) -> None:
    """A connection that is deleted or switched off meanwhile lets nobody in."""
    answer = browser.provider.consent((await browser.leave()).location)
    await browser.federation.update_connection(owner, browser.connection.id, UpdateConnection(enabled=False))
    assert await browser.come_back(**answer) == {"error": "sso.connection_not_found"}

    await browser.federation.update_connection(owner, browser.connection.id, UpdateConnection(enabled=True))
    answer = browser.provider.consent((await browser.leave()).location)
    await browser.federation.delete_connection(owner, browser.connection.id)
    with pytest.raises(LoginStateInvalid):
        await browser.come_back(**answer)


async def test_a_wrong_verifier_or_secret_is_refused_by_the_provider(
    browser: Browser, federation: Federation, owner: Principal, provider: Provider
) -> None:
    """U8: PKCE and the client's secret really reach the provider."""
    answer = provider.consent((await browser.leave()).location)
    provider.codes[answer["code"]]["code_challenge"] = "a" * 43
    assert await browser.come_back(**answer) == {"error": "sso.token_refused"}
    change = UpdateConnection(client_secret="another")  # type: ignore[arg-type]
    await federation.update_connection(owner, browser.connection.id, change)
    assert await browser.sign_in() == {"error": "sso.token_refused"}
    await federation.update_connection(
        owner,
        browser.connection.id,
        UpdateConnection(client_secret=CLIENT_SECRET),  # type: ignore[arg-type]
    )
    assert (await browser.sign_in()).keys() == {"login_code"}
