"""U6: ten attempts in a quarter of an hour, per account and per address, whoever counts."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from sqlalchemy import text

from db.repositories.login_attempts import AttemptKey, LoginAttemptsDirectory
from db.session import Database
from db.settings import DatabaseSettings
from db.types import utc_now
from deployments.identity import attempts as rules
from deployments.identity.attempts import LIMIT, Attempts
from deployments.identity.deployment import Identity
from deployments.identity.errors import LoginFailed, LoginLimited
from deployments.identity.settings import IdentitySettings
from deployments.kit.addresses import network_of
from eventing.events.envelope import Origin
from tests.deployments.identity.conftest import ORIGIN, VAULT, RecordedEvents, login_of, signup_of


async def _outcomes(identity: Identity, count: int, tenant: str, email: str, password: str) -> list[str]:
    async def one(number: int) -> str:
        origin = Origin(address=f"198.51.{number // 250}.{number % 250}")
        try:
            await identity.log_in(origin, login_of(tenant, email, password))
        except (LoginFailed, LoginLimited) as error:
            return error.code
        return "in"

    return await asyncio.gather(*(one(number) for number in range(count)))


@pytest.fixture
async def patient(database_settings: DatabaseSettings, settings: IdentitySettings) -> AsyncIterator[Identity]:
    """An identity that turns nobody away because the database has so much to do."""
    database = Database(database_settings.model_copy(update={"wait_s": 60.0}))
    await database.ping()
    yield Identity(database, settings, VAULT)
    await database.close()


async def test_a_thousand_attempts_at_once_are_ten(patient: Identity, events: RecordedEvents) -> None:
    """U6: attempts are counted before the password is looked at; the lock-out is an event, once."""
    identity = patient
    await identity.sign_up(ORIGIN, signup_of("acme"))

    found = await _outcomes(identity, 1_000, "acme", "olga@example.com", "wrong password")

    assert (found.count("login.failed"), found.count("login.limited")) == (10, 990)
    assert [event.type for event in await events("acme")].count("user.locked") == 1
    with pytest.raises(LoginLimited) as caught:
        await identity.log_in(ORIGIN, login_of("acme"))
    assert caught.value.retry_after is not None
    assert 0 < caught.value.retry_after <= 15 * 60


@pytest.mark.parametrize(("tenant", "email"), [("acme", "nobody@example.com"), ("nowhere", "olga@example.com")])
async def test_unknown_accounts_are_limited_alike(identity: Identity, tenant: str, email: str) -> None:
    """U6: the limit tells nobody which accounts exist."""
    await identity.sign_up(ORIGIN, signup_of("acme"))

    found = await _outcomes(identity, LIMIT + 5, tenant, email, "wrong password")

    assert sorted(found) == ["login.failed"] * LIMIT + ["login.limited"] * 5


async def test_one_address_cannot_try_many_accounts(identity: Identity) -> None:
    """U6: ten failures from one address end its attempts on every account of every tenant."""
    await identity.sign_up(ORIGIN, signup_of("acme"))
    for number in range(LIMIT):
        with pytest.raises(LoginFailed):
            await identity.log_in(ORIGIN, login_of("acme", f"guess{number}@example.com"))

    with pytest.raises(LoginLimited):
        await identity.log_in(ORIGIN, login_of("acme"))
    await identity.log_in(Origin(address="203.0.113.9"), login_of("acme"))


async def test_who_gets_in_is_not_charged(identity: Identity) -> None:
    """U6: logging in often is no attack, and a success clears earlier mistakes."""
    await identity.sign_up(ORIGIN, signup_of("acme"))
    for number in range(3):
        for _ in range(LIMIT - 1):
            with pytest.raises(LoginFailed):
                await identity.log_in(Origin(address=f"192.0.2.{number}"), login_of("acme", password="wrong password"))
        await identity.log_in(ORIGIN, login_of("acme"))


async def test_nobody_gets_in_for_a_quarter_of_an_hour(database: Database) -> None:
    limits = Attempts(database)
    for _ in range(LIMIT):
        await limits.fail(await limits.start("acme", "olga", "192.0.2.1"))
    with pytest.raises(LoginLimited) as caught:
        await limits.start("acme", "olga", "192.0.2.2")
    assert caught.value.retry_after is not None
    assert 14 * 60 < caught.value.retry_after <= 15 * 60


async def test_whoever_has_a_network_has_no_more_attempts(database: Database) -> None:
    """U6: a /64 of IPv6 is one address, or somebody would have 2^64 times ten attempts."""
    limits = Attempts(database)
    for number in range(LIMIT):
        await limits.fail(await limits.start("acme", f"user{number}", f"2001:db8:0:1::{number:x}"))
    with pytest.raises(LoginLimited):
        await limits.start("acme", "olga", "2001:db8:0:1:ffff::")
    await limits.start("acme", "olga", "2001:db8:0:2::1")


async def test_the_window_ends(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    limits = Attempts(database)
    for _ in range(LIMIT):
        await limits.fail(await limits.start("acme", "olga", "192.0.2.1"))
    with pytest.raises(LoginLimited):
        await limits.start("acme", "olga", "192.0.2.2")

    later = utc_now() + rules.WINDOW + timedelta(seconds=1)
    monkeypatch.setattr(rules, "utc_now", lambda: later)

    await limits.release(await limits.start("acme", "olga", "192.0.2.2"))
    async with database.unscoped_read() as unit:
        kept = await unit.session.scalar(
            text("SELECT count(*) FROM login_attempts WHERE expires_at <= :at"), {"at": later}
        )
    assert kept == 0


async def test_a_window_that_began_anew_counts_on(database: Database) -> None:
    """U6: on both databases a second window bounds as the first did."""
    key, now = AttemptKey("acme", "account:1"), utc_now()
    for moment in (now, now + rules.WINDOW):
        for number in (1, 2, 3):
            async with database.unscoped_write() as unit:
                counter = await LoginAttemptsDirectory(unit.session).start_in_any_tenant(
                    key, moment, moment + rules.WINDOW
                )
            assert (counter.started, counter.expires_at) == (number, moment + rules.WINDOW)


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:0:1::5", "2001:db8:0:1::/64"),
        ("2001:db8:0:1:ffff::", "2001:db8:0:1::/64"),
        ("", ""),
    ],
)
def test_who_has_many_addresses_of_one_network_is_one(address: str, network: str) -> None:
    assert network_of(address) == network
