"""O6: a dump of another backend by command, from the dry run to the rollback."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from benchmarks.legacy_dump import write_dump
from serve_app.cli.app import app
from serve_app.cli.database import prepare
from serve_app.cli.failure import CommandFailed
from serve_app.settings import Settings


@pytest.fixture
def dump(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FORMSTREAM_DATA_DIR", str(tmp_path / "data"))
    (tmp_path / "data").mkdir()
    prepare(Settings(data_dir=tmp_path / "data"))
    write_dump(tmp_path / "dump", 100, form="json")
    return tmp_path / "dump"


def run(*words: str) -> str:
    result = CliRunner().invoke(app, ["legacy", *words])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout


def as_json(*words: str) -> Any:
    return json.loads(run(*words, "--json").splitlines()[-1])


def test_a_dump_goes_in_and_out_again(dump: Path) -> None:
    order = ("import", str(dump), "--tenant", "acme", "--create-tenant", "Acme")
    dry = as_json(*order, "--dry-run")
    assert dry["run"] is None
    assert as_json("status") == []
    with pytest.raises(CommandFailed, match="--no-backup"):
        run(*order)
    imported = as_json(*order, "--no-backup")
    assert imported["collections"] == dry["collections"]
    (known,) = as_json("status")
    assert (known["id"], known["status"], known["tenant"]) == (imported["run"], "done", "acme")
    assert as_json("verify", imported["run"])["is_right"]
    assert "Everything is accounted for." in run("verify", imported["run"])
    users = dump / "users.json"
    users.write_text(users.read_text().replace("No. 1", "No. One"))
    with pytest.raises(CommandFailed, match="not as they were imported"):
        run("verify", imported["run"])
    assert as_json("rollback", imported["run"])["kept"] == {}
    assert "rolled_back" in {each["status"] for each in as_json("status")}


def test_what_a_person_reads_names_what_is_not_carried_over(dump: Path) -> None:
    told = run("import", str(dump), "--tenant", "acme", "--create-tenant", "Acme", "--dry-run")
    assert "users: password.not_carried" in told
    assert "form_responses: 93 done" not in told
    assert "A dry run: nothing was written." in told


def test_a_tenant_that_can_be_none_is_refused_with_the_reason(dump: Path) -> None:
    with pytest.raises(CommandFailed, match="id:"):
        run("import", str(dump), "--tenant", "No Slug", "--create-tenant", "Acme", "--no-backup")


def test_the_backup_comes_first_and_without_one_nothing_is_begun(dump: Path, tmp_path: Path) -> None:
    place = tmp_path / "backups"
    place.touch()
    order = ("import", str(dump), "--tenant", "acme", "--create-tenant", "Acme", "--backup", str(place))
    with pytest.raises(CommandFailed):
        run(*order)
    assert as_json("status") == []
    assert as_json(*order, "--dry-run")["run"] is None
    place.unlink()
    assert as_json(*order)["run"] is not None
    (made,) = (path for path in place.iterdir() if (path / "manifest.json").exists())
    assert json.loads((made / "manifest.json").read_text())["tables"]["response"]["rows"] == 0
