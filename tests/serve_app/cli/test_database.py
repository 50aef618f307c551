"""The database is brought up to date, or refused in a sentence."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from pydantic import SecretStr

from db.settings import DatabaseSettings
from serve_app.cli.database import administrator_file, migrate, prepare
from serve_app.cli.failure import CommandFailed
from serve_app.settings import Settings


def test_the_administrator_is_made_once_and_kept_private(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    generated = prepare(settings)
    assert generated is not None
    file = administrator_file(settings)
    assert json.loads(file.read_text()) == {"email": generated.email, "password": generated.password}
    assert file.stat().st_mode & 0o777 == 0o600
    assert prepare(settings) is None


def test_daily_work_is_ordered_once(tmp_path: Path) -> None:
    """U1: whoever starts the platform first; the job orders the next day itself."""
    settings = Settings(data_dir=tmp_path)
    for _ in range(2):
        prepare(settings)
    with closing(sqlite3.connect(tmp_path / "formstream.db")) as database:
        ordered = database.execute("SELECT tenant_id, kind FROM job ORDER BY kind").fetchall()
    assert ordered == [("_platform", kind) for kind in ("identity.prune", "responses.prune", "tenancy.erase_due")]


def test_a_given_administrator_is_not_written(tmp_path: Path) -> None:
    settings = Settings(
        data_dir=tmp_path, admin_email="root@example.com", admin_password=SecretStr("correct horse battery")
    )
    assert prepare(settings) is None
    assert not administrator_file(settings).exists()


@pytest.mark.parametrize(
    "url",
    [
        "sqlite+aiosqlite:////proc/no/such/folder/formstream.db",
        "sqlite+aiosqlite:////proc",
        "sqlite+aiosqlite://",
        "postgresql+asyncpg://user:hunter2@127.0.0.1:1/formstream",
        "postgresql+asyncpg://user:hunter2@no.such.host.invalid/formstream",
    ],
)
def test_a_database_that_is_not_there_is_a_sentence(url: str) -> None:
    with pytest.raises(CommandFailed) as refused:
        migrate(DatabaseSettings(url=url))
    (sentence,) = refused.value.sentences
    assert "FORMSTREAM_DATABASE_URL" in sentence
    assert "hunter2" not in sentence
    assert "\n" not in sentence


def test_a_server_without_that_database_is_a_sentence(postgres_server: str) -> None:
    url = postgres_server.replace("postgresql://", "postgresql+asyncpg://").replace("/postgres?", "/no_such_database?")
    with pytest.raises(CommandFailed, match="no_such_database"):
        migrate(DatabaseSettings(url=url))


def test_a_file_that_is_no_database_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "formstream.db").write_bytes(b"nothing of that kind" * 100)
    with pytest.raises(CommandFailed, match="not a database"):
        migrate(DatabaseSettings(url=f"sqlite+aiosqlite:///{tmp_path}/formstream.db"))
