"""The database is brought up to date, or refused in a sentence."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from pydantic import SecretStr

from db.settings import DatabaseSettings
from eventing.jobs import JobPolicy
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


def test_standing_work_is_scheduled_once(tmp_path: Path) -> None:
    """U1, J3: whoever starts the platform first; what an operator changed about it stays."""
    settings = Settings(data_dir=tmp_path)
    prepare(settings)
    with closing(sqlite3.connect(tmp_path / "formstream.db")) as database, database:
        database.execute("UPDATE schedule SET cron = '30 4 * * *' WHERE kind = 'files.sweep'")
    prepare(settings)
    with closing(sqlite3.connect(tmp_path / "formstream.db")) as database:
        found = database.execute("SELECT tenant_id, kind, cron, is_enabled FROM schedule ORDER BY kind").fetchall()
    daily = (
        *("events.prune", "exports.lake_due", "exports.prune", "files.sweep", "forms.purge_due", "identity.prune"),
        *("jobs.prune", "mails.prune", "reports.prune", "responses.prune", "tenancy.erase_due", "webhooks.prune"),
    )
    expected = dict.fromkeys(daily, "0 0 * * *") | {
        "analytics.check_alarms": "10 * * * *",
        "files.sweep": "30 4 * * *",
    }
    assert found == [("_platform", kind, expected[kind], 1) for kind in sorted(expected)]


def test_a_given_administrator_is_not_written(tmp_path: Path) -> None:
    settings = Settings(
        data_dir=tmp_path, admin_email="root@example.com", admin_password=SecretStr("correct horse battery")
    )
    assert prepare(settings) is None
    assert not administrator_file(settings).exists()


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:////proc/no/such/folder/formstream.db",
        "sqlite:////proc",
        "sqlite://",
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
        migrate(DatabaseSettings(url=f"sqlite:///{tmp_path}/formstream.db"))


def test_a_policy_of_jobs_that_fits_no_job_is_a_sentence(tmp_path: Path) -> None:
    """J1: found out before anything is started."""
    policy = JobPolicy.model_validate({"kinds": {"webhook.delivre": {"attempts": 2}}})
    with pytest.raises(CommandFailed) as refused:
        prepare(Settings(data_dir=tmp_path, secret_key=SecretStr("s" * 32), job_policy=policy))
    (sentence,) = refused.value.sentences
    assert sentence.startswith("FORMSTREAM_JOB_POLICY: there is no kind of job 'webhook.delivre'; there are ")
    assert not (tmp_path / "formstream.db").exists()
