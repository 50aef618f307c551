"""O5: `formstream migrate`, told before it is done, done as far as asked for, and taken back."""

import asyncio
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from db import migrate
from db.errors import DatabaseError
from serve_app.cli.app import app
from serve_app.settings import Settings


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("FORMSTREAM_DATA_DIR", str(tmp_path))
    return Settings(data_dir=tmp_path)


def run(*words: str, says: str | None = None) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["migrate", *words], input=says)
    if isinstance(result.exception, Exception) and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout


def revision(settings: Settings) -> str | None:
    return asyncio.run(migrate.current_revision(settings.database()))


def test_a_dry_run_tells_everything_and_does_nothing(settings: Settings) -> None:
    _, told = run("--dry-run")
    assert "CREATE TABLE tenant" in told
    assert f"From an empty database to {migrate.head_revision()}; nothing was done." in " ".join(told.split())
    assert revision(settings) is None


def test_back_and_forth(settings: Settings) -> None:
    run("--to", "0035")
    assert revision(settings) == "0035"
    plan = json.loads(run("--dry-run", "--json")[1])
    assert plan["steps"][0]["revision"] == "0036"
    run()
    assert revision(settings) == migrate.head_revision()
    assert "nothing to do" in run("--dry-run")[1]

    code, asked = run("--to", "0035", says="n\n")
    assert code != 0
    assert "Is there a backup?" in asked
    assert revision(settings) == migrate.head_revision()
    run("--to", "0035", "--yes")
    assert revision(settings) == "0035"


def test_an_older_version_starts_with_the_schema_of_a_newer_one(settings: Settings) -> None:
    """O7: a container that is taken back migrates first, as every container does."""
    run()
    with closing(sqlite3.connect(settings.data_dir / "formstream.db")) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    assert "at revision 9999, of a newer version" in run()[1]
    assert revision(settings) == "9999"


def test_a_revision_that_nobody_knows(settings: Settings) -> None:
    with pytest.raises(DatabaseError, match="knows no revision 9999"):
        run("--to", "9999")
    assert revision(settings) is None
