"""Migrations that follow the newest one, made by a test."""

from pathlib import Path

from alembic.config import Config

from db import migrate

BUILT_IN = migrate.config

_MIGRATION = '''"""Further"""

import sqlalchemy as sa
from alembic import op

from db.migrations.online import create_index_online, drop_index_online

revision = "{revision}"
down_revision = "{before}"
branch_labels = None
depends_on = None


def upgrade():
    {upgrade}


def downgrade():
    {downgrade}
'''


class Lineage:
    """The migrations of the platform and, in `folder`, those that are added."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.revisions = [migrate.head_revision()]

    def config(self) -> Config:
        """What stands for `db.migrate.config`."""
        result = BUILT_IN()
        folders = [Path(result.get_main_option("script_location") or "") / "versions", self._folder]
        result.set_main_option("version_locations", ":".join(map(str, folders)))
        return result

    def add(self, upgrade: str, downgrade: str) -> str:
        """Put a migration at the end; its revision."""
        before = self.revisions[-1]
        revision = f"{int(before) + 1:04}"
        text = _MIGRATION.format(revision=revision, before=before, upgrade=upgrade, downgrade=downgrade)
        (self._folder / f"{revision}_further.py").write_text(text)
        self.revisions.append(revision)
        return revision

    def add_column(self, table: str, name: str) -> str:
        """Add a column to a table that is there."""
        return self.add(
            f'op.add_column("{table}", sa.Column("{name}", sa.String(), nullable=True))',
            f'op.drop_column("{table}", "{name}")',
        )

    def add_index(self, name: str, table: str, columns: list[str], *, unique: bool = False) -> str:
        """Build an index of a table that is there, online."""
        return self.add(
            f'create_index_online("{name}", "{table}", {columns}, unique={unique})',
            f'drop_index_online("{name}", "{table}")',
        )
