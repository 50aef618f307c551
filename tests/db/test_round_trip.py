"""O5: what is stored outlives every migration, taken back and done again, on both dialects."""

from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from db import migrate
from db.engine import owner_engine
from db.settings import DatabaseSettings
from tests.db.filled import changed, fill, stored


async def test_there_and_back_with_a_row_in_every_table(database_settings: DatabaseSettings) -> None:
    """Each migration is taken back, done and taken back again; what it did not make itself has to be as before."""
    engine = owner_engine(database_settings)
    async with engine.begin() as connection:
        await connection.run_sync(_there_and_back)
    await engine.dispose()


def _there_and_back(connection: Connection) -> None:
    fill(connection)
    lineage = [script.module for script in ScriptDirectory.from_config(migrate.config()).walk_revisions()]
    above = stored(connection)
    assert all(above.values())
    with Operations.context(MigrationContext.configure(connection)):  # type: ignore[no-untyped-call]
        for migration in lineage:
            migration.downgrade()
            below = stored(connection)
            assert changed(above, below) == [], f"{migration.revision} is taken back"
            migration.upgrade()
            assert changed(below, stored(connection)) == [], f"{migration.revision} is done again"
            migration.downgrade()
            above = below
        assert above == {}
        for migration in reversed(lineage):
            migration.upgrade()
