"""O5: one lineage of migrations, on both dialects, forth and back."""

import sqlite3
from contextlib import closing

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text

from db import migrate
from db.engine import owner_engine
from db.errors import DatabaseError
from db.models import SQLModel
from db.session import Database
from db.settings import DatabaseSettings


async def test_the_migrations_make_exactly_the_tables_of_the_models(
    database_settings: DatabaseSettings,
) -> None:
    engine = owner_engine(database_settings)
    async with engine.connect() as connection:
        differences = await connection.run_sync(
            lambda c: compare_metadata(MigrationContext.configure(c), SQLModel.metadata)
        )
    await engine.dispose()
    assert differences == []


async def test_down_to_nothing_and_up_again(database_settings: DatabaseSettings) -> None:
    await migrate.downgrade(database_settings, "base")
    assert await migrate.current_revision(database_settings) is None
    await migrate.upgrade(database_settings)
    assert await migrate.current_revision(database_settings) == migrate.head_revision()


async def test_a_database_of_nobodys_is_left_alone(sqlite_settings: DatabaseSettings) -> None:
    with closing(sqlite3.connect(sqlite_settings.url.removeprefix("sqlite:///"))) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '0000'")
    with pytest.raises(DatabaseError, match="knows no revision 0000, which the database has"):
        await migrate.upgrade(sqlite_settings)
    assert await migrate.current_revision(sqlite_settings) == "0000"


async def test_every_table_is_protected_by_forced_row_level_security(
    postgres_settings: DatabaseSettings,
) -> None:
    """T5: a new table without a policy, or with one that asks for no tenant, fails here."""
    engine = owner_engine(postgres_settings)
    async with engine.connect() as connection:
        rows = await connection.execute(
            text(
                "SELECT c.relname, c.relrowsecurity AND c.relforcerowsecurity,"
                " coalesce(array_agg(p.polname::text) FILTER (WHERE p.polname IS NOT NULL), '{}'),"
                " coalesce(bool_and(pg_get_expr(p.polqual, c.oid)"
                "  ~ '^\\(.*id.* = NULLIF\\(current_setting\\(''app.tenant')"
                "  FILTER (WHERE p.polname = 'tenant_isolation'), false)"
                " FROM pg_class c LEFT JOIN pg_policy p ON p.polrelid = c.oid"
                " WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace GROUP BY 1, 2"
            )
        )
        found = {name: (forced, set(policies), of_tenant) for name, forced, policies, of_tenant in rows}
    await engine.dispose()
    of_the_platform = {"lease", "stream_state", "component_state", "job_tally"}
    assert found.pop("alembic_version") == (False, set(), False)
    for name in of_the_platform:
        assert found.pop(name) == (True, {"system_access"}, False)
    assert found == dict.fromkeys(found, (True, {"tenant_isolation", "system_access"}, True))


async def test_the_planner_knows_the_tenant(postgres_settings: DatabaseSettings) -> None:
    """T5: the policy is a condition on the tenant that was asked for, checked once and not for each row."""
    query = "SELECT * FROM response WHERE tenant_id = 'acme' AND form_id = 'frm_1' ORDER BY submitted_at, id"
    database = Database(postgres_settings)
    async with database.read("acme") as unit:
        await unit.session.execute(text("SET LOCAL enable_seqscan = off"))
        lines = [str(row) for row in await unit.session.execute(text(f"EXPLAIN {query}"))]
    await database.close()
    assert any("One-Time Filter" in line for line in lines)
    assert not any("Sort" in line for line in lines)


@pytest.mark.parametrize(("tenant", "expected"), [("acme", "formstream_app"), (None, "formstream_system")])
async def test_the_platform_works_as_roles_that_own_nothing(
    postgres_settings: DatabaseSettings, tenant: str | None, expected: str
) -> None:
    """T5: the owner of a table would bypass what is not forced."""
    database = Database(postgres_settings)
    async with database.unscoped_read() if tenant is None else database.read(tenant) as unit:
        role, bypass, owned = (
            await unit.session.execute(
                text(
                    "SELECT current_user, (SELECT rolbypassrls OR rolsuper FROM pg_roles WHERE rolname = current_user),"
                    " (SELECT count(*) FROM pg_tables WHERE tableowner = current_user)"
                )
            )
        ).one()
    await database.close()
    assert (role, bypass, owned) == (expected, False, 0)


@pytest.mark.parametrize("tenant", ["acme", "other"])
async def test_a_tenants_unit_sees_its_own_rows_only(postgres_settings: DatabaseSettings, tenant: str) -> None:
    """T5: row-level security answers even a query that forgot the tenant."""
    database = Database(postgres_settings)
    insert = (
        "INSERT INTO tenant (id, name, status, settings, created_at, updated_at)"
        " VALUES (:t, :t, 'active', '{}', now(), now())"
    )
    async with database.unscoped_write() as unit:
        await unit.session.execute(text(insert), [{"t": "acme"}, {"t": "other"}])
    async with database.read(tenant) as unit:
        assert (await unit.session.execute(text("SELECT id FROM tenant"))).scalars().all() == [tenant]
    await database.close()
