"""O5: what a migration would do is told before it is done, forth and back, on both dialects."""

import pytest

from db import migrate
from db.errors import DatabaseError
from db.migration_plan import plan
from db.models.identity import Tenant
from db.session import Database
from db.settings import DatabaseSettings
from db.types import utc_now


async def test_the_way_back_says_what_is_dropped_and_what_is_lost(database_settings: DatabaseSettings) -> None:
    database = Database(database_settings)
    now = utc_now()
    async with database.unscoped_write() as unit:
        unit.session.add_all(
            Tenant(id=f"t{number}", name="T", settings={}, created_at=now, updated_at=now) for number in range(3)
        )
    await database.close()

    found = await plan(database_settings, "base")

    assert (found.current, found.target, found.backwards) == (migrate.head_revision(), "base", True)
    assert [step.revision for step in found.steps] == sorted((step.revision for step in found.steps), reverse=True)
    dropped = {statement for step in found.steps for statement in step.statements}
    assert {"DROP TABLE legacy_run", "DROP TABLE secret_key"} <= dropped
    lost = {each.table: each.rows for step in found.steps for each in step.affected}
    assert lost["tenant"] == 3
    assert await migrate.current_revision(database_settings) == migrate.head_revision(), "nothing was done"


async def test_the_way_forth_says_each_statement_and_is_what_is_done(database_settings: DatabaseSettings) -> None:
    await migrate.downgrade(database_settings, "0035")
    try:
        found = await plan(database_settings)
        assert [step.revision for step in found.steps][:2] == ["0036", "0037"]
        assert found.steps[1].title == "What became of the documents of another backend"
        created = [each for step in found.steps for each in step.statements if each.startswith("CREATE TABLE")]
        assert [each.split()[2] for each in created][:3] == ["sso_session", "legacy_run", "legacy_document"]
        assert not [each for step in found.steps for each in step.statements if "alembic_version" in each]
    finally:
        await migrate.upgrade(database_settings)
    assert (await plan(database_settings)).steps == ()


async def test_another_version_of_the_program_is_needed_for_what_it_does_not_know(
    sqlite_settings: DatabaseSettings,
) -> None:
    with pytest.raises(DatabaseError, match="knows no revision 9999"):
        await plan(sqlite_settings, "9999")
