"""Units of work on both databases: all or nothing, one tenant, and failures that say what they mean."""

import asyncio
import contextlib

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from db.errors import DatabaseUnavailable
from db.models.identity import Tenant
from db.session import Database, UnitOfWork
from db.settings import DatabaseSettings
from db.types import utc_now
from tests.factories import make_form, make_tenant


def a_tenant(tenant_id: str) -> Tenant:
    return Tenant(id=tenant_id, name=tenant_id, settings={}, created_at=utc_now(), updated_at=utc_now())


async def tenants(database: Database) -> list[str]:
    async with database.unscoped_read() as unit:
        return list(await unit.session.scalars(text("SELECT id FROM tenant ORDER BY id")))


async def test_a_unit_is_all_or_nothing(database: Database) -> None:
    heard: list[frozenset[str]] = []
    database.listen(heard.append)

    async def change() -> None:
        async with database.unscoped_write() as unit:
            unit.session.add(a_tenant("acme"))
            await unit.session.flush()
            unit.announce("events")
            raise RuntimeError("the change failed")

    with pytest.raises(RuntimeError):
        await change()
    assert await tenants(database) == []
    assert heard == []


async def test_listeners_hear_of_a_commit_after_it(database: Database) -> None:
    heard: list[frozenset[str]] = []
    database.listen(heard.append)
    async with database.unscoped_write() as unit:
        unit.announce("events")
        unit.announce("jobs.high")
        unit.session.add(a_tenant("acme"))
        assert heard == []
    assert heard == [frozenset({"events", "jobs.high"})]
    async with database.unscoped_write():
        pass
    assert len(heard) == 1


async def test_nothing_can_be_written_in_a_read_on_sqlite(sqlite_settings: DatabaseSettings) -> None:
    database = Database(sqlite_settings)
    with pytest.raises(DatabaseUnavailable, match="readonly"):
        async with database.unscoped_read() as unit:
            unit.session.add(a_tenant("acme"))
    await database.close()


async def test_a_broken_rule_is_not_an_outage(database: Database) -> None:
    """A caller must be able to tell "try again" from "never"."""
    await make_tenant(database)
    with pytest.raises(IntegrityError):
        async with database.unscoped_write() as unit:
            unit.session.add(a_tenant("acme"))


async def test_an_unscoped_unit_can_be_narrowed_to_a_tenant(database: Database) -> None:
    async with database.unscoped_write() as unit:
        with pytest.raises(LookupError):
            _ = unit.tenant
        await unit.enter_tenant("acme")
        assert unit.tenant == "acme"


async def test_row_level_security_keeps_tenants_apart(postgres_settings: DatabaseSettings) -> None:
    """T4: PostgreSQL shows a unit its own tenant's rows only, whatever is asked."""
    database = Database(postgres_settings)
    for tenant_id in ("acme", "globex"):
        await make_form(database, await make_tenant(database, tenant_id))

    async def seen(unit: UnitOfWork) -> set[str]:
        return set(await unit.session.scalars(text("SELECT tenant_id FROM form")))

    async with database.read("acme") as unit:
        assert await seen(unit) == {"acme"}
    async with database.unscoped_write() as unit:
        assert await seen(unit) == {"acme", "globex"}
        await unit.enter_tenant("globex")
        assert await seen(unit) == {"globex"}
    with pytest.raises(Exception, match="row-level security"):
        async with database.write("acme") as unit:
            await unit.session.execute(text("UPDATE form SET tenant_id = 'globex'"))
    await database.close()


async def test_a_pool_that_is_taken_is_an_outage_with_a_deadline(database_settings: DatabaseSettings) -> None:
    """Every wait has a deadline: who gets no connection in time is told to try again, and can."""
    database = Database(database_settings.model_copy(update={"pool_size": 1, "wait_s": 0.3}))
    held, release = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        async with database.unscoped_write() as unit:
            await unit.session.execute(text("SELECT 1"))
            held.set()
            await release.wait()

    holder = asyncio.create_task(hold())
    await held.wait()
    with pytest.raises(DatabaseUnavailable):
        async with asyncio.timeout(10), database.unscoped_write():
            pass
    release.set()
    await holder
    async with database.unscoped_write() as unit:
        unit.session.add(a_tenant("acme"))
    assert await tenants(database) == ["acme"]
    await database.close()


@pytest.mark.parametrize(
    "url",
    ["postgresql+asyncpg://nobody@127.0.0.1:1/formstream", "sqlite:////no/such/folder/formstream.db"],
)
async def test_a_database_that_is_away_is_an_outage(url: str) -> None:
    database = Database(DatabaseSettings(url=url, wait_s=2))
    with pytest.raises(DatabaseUnavailable):
        await database.ping()
    await database.close()


async def test_a_database_that_is_there_answers(database: Database) -> None:
    await database.ping()


async def test_a_database_without_a_free_connection_is_unavailable(
    postgres_settings: DatabaseSettings, postgres_server: str
) -> None:
    """Z5: a refused connection passes, so it is 503 and not a defect."""
    database = Database(postgres_settings)
    held: list[asyncpg.Connection] = []
    try:
        with contextlib.suppress(asyncpg.TooManyConnectionsError):
            while len(held) < 1000:
                held.append(await asyncpg.connect(postgres_server))
        with pytest.raises(DatabaseUnavailable):
            await database.ping()
    finally:
        for connection in held:
            await connection.close()
        await database.close()
