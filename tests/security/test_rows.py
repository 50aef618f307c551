"""T5: PostgreSQL refuses, in every table, what a query of another tenant's unit asks for: the last of the defences."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import Table, func, insert, select, text, update
from sqlalchemy.exc import DBAPIError

from db.models import SQLModel
from db.session import Database
from db.settings import DatabaseSettings
from tests.security.scene import CANARY, furnish
from tests.serve_app.one_process import one_process, settings_for

TABLES = [table for table in SQLModel.metadata.sorted_tables if "tenant_id" in table.c]


@pytest.fixture
async def furnished(
    postgres_settings: DatabaseSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Database]:
    """A database in which two tenants have one of everything."""
    async with one_process(settings_for(tmp_path, postgres_settings), monkeypatch, works=False) as platform:
        for tenant_id, mark in (("acme", CANARY), ("other", "strangers-own")):
            await furnish(await platform.sign_up(tenant_id), tenant_id, mark)
        database = Database(postgres_settings)
        yield database
        await database.close()


async def test_another_tenants_rows_can_neither_be_seen_nor_touched_nor_made(furnished: Database) -> None:
    filled = [table for table in TABLES if await _count(furnished, None, table, "acme")]
    assert len(filled) > 12
    for table in filled:
        before = await _count(furnished, None, table, "acme")
        assert await _count(furnished, "other", table, "acme") == 0, table.name
        await _refused_or_nothing(furnished, table, text(f"DELETE FROM \"{table.name}\" WHERE tenant_id = 'acme'"))
        await _refused_or_nothing(
            furnished, table, text(f"UPDATE \"{table.name}\" SET tenant_id = 'other' WHERE tenant_id = 'acme'")
        )
        assert await _count(furnished, None, table, "acme") == before, table.name


async def test_no_row_is_made_for_or_moved_to_another_tenant(furnished: Database) -> None:
    for table in TABLES:
        async with furnished.unscoped_read() as unit:
            row = (
                (await unit.session.execute(select(table).where(table.c.tenant_id == "acme").limit(1)))
                .mappings()
                .first()
            )
        if row is None:
            continue
        with pytest.raises(DBAPIError, match=r"row-level security|permission denied"):
            async with furnished.write("other") as unit:
                await unit.session.execute(insert(table).values(**row))
        if await _count(furnished, None, table, "other"):
            moved = update(table).where(table.c.tenant_id == "other").values(tenant_id="acme")
            with pytest.raises(DBAPIError, match=r"row-level security|permission denied|append-only|foreign key"):
                async with furnished.write("other") as unit:
                    await unit.session.execute(moved)


async def test_without_a_tenant_there_are_no_rows(furnished: Database) -> None:
    """It fails closed: a connection that was told nothing sees nothing."""
    async with furnished.read("acme") as unit:
        await unit.session.execute(text("SELECT set_config('app.tenant', '', true)"))
        for table in TABLES:
            assert (await unit.session.execute(select(func.count()).select_from(table))).scalar_one() == 0, table.name


async def _count(database: Database, tenant: str | None, table: Table, of: str) -> int:
    query = select(func.count()).select_from(table).where(table.c.tenant_id == of)
    async with database.unscoped_read() if tenant is None else database.read(tenant) as unit:
        return int((await unit.session.execute(query)).scalar_one())


async def _refused_or_nothing(database: Database, table: Table, statement: object) -> None:
    try:
        async with database.write("other") as unit:
            result = await unit.session.execute(statement)  # type: ignore[call-overload]
            assert result.rowcount == 0, table.name
    except DBAPIError as error:
        assert "permission denied" in str(error), table.name  # noqa: PT017 - most tables answer with no rows instead
