"""A newer version of the platform: a copy of this code with another number, a migration, and what makes use of it."""

import shutil
from pathlib import Path

from db.migrate import head_revision
from tests.e2e.platform import ROOT

VERSION = "99.0.0"
MARK = "made by a newer version"

_COPIED = ("serve_app", "deployments", "eventing", "db", "examples")
_COLUMN = '''"""Which version stored a response"""

import sqlalchemy as sa
from alembic import op

revision = "{column}"
down_revision = "{head}"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("response", sa.Column("stored_by", sa.String(), nullable=True))


def downgrade() -> None:
    op.drop_column("response", "stored_by")
'''
_INDEX = '''"""Responses by which version stored them"""

from db.migrations.online import create_index_online, drop_index_online

revision = "{index}"
down_revision = "{column}"
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_index_online("ix_response_stored_by", "response", ["tenant_id", "stored_by"])


def downgrade() -> None:
    drop_index_online("ix_response_stored_by", "response")
'''


def make_newer_version(folder: Path) -> str:
    """Write its code into the folder; the newest revision of its schema, which is two further than ours."""
    for name in _COPIED:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    named = folder / f"formstream-{VERSION}.dist-info"
    named.mkdir()
    (named / "METADATA").write_text(f"Metadata-Version: 2.1\nName: formstream\nVersion: {VERSION}\n")

    head = head_revision()
    column, index = (f"{int(head) + further:04}" for further in (1, 2))
    for revision, text in ((column, _COLUMN), (index, _INDEX)):
        path = folder / "db" / "migrations" / "versions" / f"{revision}_newer.py"
        path.write_text(text.format(head=head, column=column, index=index))

    _change(
        folder / "db" / "models" / "responses.py",
        "    suspicion: str | None = None\n",
        "    suspicion: str | None = None\n"
        f'    stored_by: str | None = Field(default="{MARK}", sa_column_kwargs={{"default": "{MARK}"}})\n',
    )
    return index


def _change(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert text.count(old) == 1, f"{path} is not what it was"
    path.write_text(text.replace(old, new))
