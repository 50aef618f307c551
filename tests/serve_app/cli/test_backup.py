"""Y3, O4: backups by command."""

import asyncio
import json
from functools import partial
from pathlib import Path
from typing import Any

import pyrage  # type: ignore[import-untyped]
import pytest

from db.repositories import stream_state
from db.session import Database
from eventing.streams import EVENTS
from serve_app.backup.errors import BackupUnusable, RestoreRefused
from serve_app.backup.restoring import MARK
from serve_app.cli.backup import drill, make, restore, show
from serve_app.cli.database import prepare
from serve_app.cli.environment import ensure_secret_key
from serve_app.cli.events import rebuild_stream
from serve_app.cli.failure import CommandFailed
from serve_app.settings import Settings

_DRILL: dict[str, Any] = {"sample": 10, "seed": 1, "server": None, "as_json": True}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    found = Settings(data_dir=tmp_path / "data")
    found.data_dir.mkdir()
    prepare(found)
    ensure_secret_key(found)
    return found


def back_up(settings: Settings, shelf: Path, *recipients: str, as_json: bool = True) -> None:
    make(settings, shelf, encrypt=False, recipients=[*recipients], keep=3, full=False, as_json=as_json)


def test_a_backup_is_made_tried_and_restored(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """O4: encrypted for a key, with the secret key in it, and the newest of a folder by the folder's name."""
    owner = pyrage.x25519.Identity.generate()
    key, shelf = tmp_path / "key.txt", tmp_path / "backups"
    key.write_text(f"# public key: {owner.to_public()}\n{owner}\n")
    back_up(settings, shelf, str(owner.to_public()))
    made = json.loads(capsys.readouterr().out)
    assert (made["encrypted"], made["has_secret_key"], made["removed"]) == (True, True, [])
    (shelf / ".unfinished-1").mkdir()
    show(settings, str(shelf), as_json=False)
    listed = capsys.readouterr().out.splitlines()
    assert listed[0].startswith(f"{made['backup']}: {made['rows']} rows, 0 files, ")
    assert listed[0].endswith(", encrypted")
    assert listed[1] == f"1 backups in {shelf}."
    assert listed[2].endswith(str(shelf / ".unfinished-1"))
    drill(settings, shelf, key, scratch=tmp_path / "scratch", **_DRILL)
    tried = json.loads(capsys.readouterr().out)
    assert (tried["backup"], tried["wrong"]) == (made["backup"], [])
    # The platform's own trail, of its administrator.
    assert tried["checks"][1]["said"] == "1 looked at in 1 tenants, nothing wrong"
    there = Settings(data_dir=tmp_path / "there")
    restore(there, Path(made["folder"]), key, as_json=False)
    assert f"Restored {made['backup']}: {made['rows']} rows" in capsys.readouterr().out
    assert there.secret_keys().all() == settings.secret_keys().all()
    assert prepare(there) is None
    assert (there.data_dir / "restored-settings.env").read_text() == f"FORMSTREAM_DATA_DIR={settings.data_dir}\n"


def test_what_is_wrong_is_told_and_is_a_failure(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """O4: a drill of a damaged backup fails; without the secret key in it the backup says so; nobody is asked for a
    passphrase where nobody is."""
    shelf = tmp_path / "backups"
    back_up(settings, shelf, as_json=False)
    assert "The secret key is not in it" in capsys.readouterr().out
    (part,) = shelf.glob("*/database.sqlite.gz")
    part.write_bytes(part.read_bytes()[:-1])
    with pytest.raises(CommandFailed, match="is not in order: 1 findings"):
        drill(settings, shelf, None, scratch=tmp_path / "scratch", **_DRILL)
    assert "database.sqlite.gz is damaged" in capsys.readouterr().out
    monkeypatch.setattr("sys.stdin.isatty", lambda: False)
    with pytest.raises(BackupUnusable, match="FORMSTREAM_BACKUP_PASSPHRASE"):
        make(settings, shelf, encrypt=True, recipients=[], keep=None, full=False, as_json=True)
    with pytest.raises(BackupUnusable, match="no complete backup"):
        restore(settings, tmp_path / "nowhere", None, as_json=True)


def test_a_half_restored_place_does_not_start(settings: Settings) -> None:
    """O4: neither `up` nor `migrate` touch it."""
    (settings.data_dir / MARK).write_text('{"backup": "20261122T000000000Z-abcd"}')
    with pytest.raises(RestoreRefused, match=r"20261122T000000000Z-abcd .* did not come to its end"):
        prepare(settings)


def test_the_platform_is_told_that_its_database_was_put_back(settings: Settings) -> None:
    """O4: by PostgreSQL's own recovery, of which it hears nothing."""
    rebuild_stream(settings, everything=False, restored=True, as_json=True)

    async def known() -> stream_state.Known | None:
        async with Database(settings.database()) as database:
            return await database.view(partial(stream_state.known, name=EVENTS))

    found = asyncio.run(known())
    assert found is not None
    assert found.last_seq == stream_state.ABANDONED
