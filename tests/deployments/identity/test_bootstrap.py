"""The platform's first administrator."""

import asyncio

import pytest
from sqlalchemy import select

from db.models.identity import Tenant, User
from db.repositories.tenants import TenantRepository
from db.session import Database
from db.settings import DatabaseSettings
from db.types import utc_now
from deployments.identity.bootstrap import GeneratedAdministrator, ensure_administrator
from deployments.identity.deployment import Identity
from deployments.identity.errors import LoginFailed
from deployments.identity.passwords import Passwords
from deployments.kit.errors import Invalid
from deployments.kit.principal import PLATFORM_TENANT
from tests.deployments.identity.conftest import ORIGIN, PASSWORD, RecordedEvents, login_of


async def administrators(database: Database) -> list[str]:
    async with database.read(PLATFORM_TENANT) as unit:
        return list((await unit.session.execute(select(User.email))).scalars())


async def test_generates_an_administrator_once(identity: Identity, database: Database, events: RecordedEvents) -> None:
    generated = await ensure_administrator(database, None, None)
    assert generated is not None
    assert generated.email == "admin@localhost"
    assert generated.password not in repr(generated)
    session = await identity.log_in(ORIGIN, login_of(None, generated.email, generated.password))
    principal = await identity.authenticate(session.access_token)
    assert (principal.tenant_id, principal.role) == (PLATFORM_TENANT, "administrator")
    assert principal.may("platform:admin")
    assert await ensure_administrator(database, None, None) is None
    assert await administrators(database) == ["admin@localhost"]
    recorded = await events(PLATFORM_TENANT)
    assert [event.type for event in recorded] == ["user.registered", "user.logged_in"]
    assert '"actor":"system:bootstrap"' in recorded[0].envelope


async def test_takes_the_credentials_that_are_given(identity: Identity, database: Database) -> None:
    assert await ensure_administrator(database, "Root@Example.com", PASSWORD) is None
    assert await identity.log_in(ORIGIN, login_of(None, "root@example.com"))


async def test_generates_the_password_that_is_not_given(identity: Identity, database: Database) -> None:
    generated = await ensure_administrator(database, "root@example.com", None)
    assert generated is not None
    assert await identity.log_in(ORIGIN, login_of(None, "root@example.com", generated.password))


async def test_leaves_an_existing_administrator_alone(identity: Identity, database: Database) -> None:
    await ensure_administrator(database, "root@example.com", PASSWORD)
    assert await ensure_administrator(database, "root@example.com", "another password") is None
    assert await identity.log_in(ORIGIN, login_of(None, "root@example.com"))
    with pytest.raises(LoginFailed):
        await identity.log_in(ORIGIN, login_of(None, "root@example.com", "another password"))


async def test_refuses_a_short_password(database: Database) -> None:
    with pytest.raises(Invalid) as caught:
        await ensure_administrator(database, "root@example.com", "short")
    assert [fault.code for fault in caught.value.faults] == ["password.too_short"]
    assert await administrators(database) == []


@pytest.mark.parametrize("platform_exists", [False, True])
async def test_of_many_at_once_one_creates(
    database: Database,
    database_settings: DatabaseSettings,
    platform_exists: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await database.ping()
    all_found_nobody = asyncio.Barrier(4)

    async def hashed(_self: Passwords, _password: str) -> str:
        await all_found_nobody.wait()
        return "a hash"

    monkeypatch.setattr(Passwords, "hash", hashed)
    if platform_exists:
        async with database.write(PLATFORM_TENANT) as unit:
            now = utc_now()
            platform = Tenant(id=PLATFORM_TENANT, name="Platform", settings={}, created_at=now, updated_at=now)
            assert await TenantRepository(unit.session, PLATFORM_TENANT).add(platform)
    databases = [Database(database_settings) for _ in range(4)]
    outcomes = await asyncio.gather(
        *(ensure_administrator(one, f"a{n}@x.example", None) for n, one in enumerate(databases))
    )
    for one in databases:
        await one.close()
    [generated] = [outcome for outcome in outcomes if outcome is not None]
    assert isinstance(generated, GeneratedAdministrator)
    assert await administrators(database) == [generated.email]
