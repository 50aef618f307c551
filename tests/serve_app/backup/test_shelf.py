"""O4: many backups in one folder: shared files, those that make room, and who makes one."""

import json
from pathlib import Path

import pytest

from db.errors import DatabaseError
from db.session import Database
from deployments.events.measuring import measure
from deployments.files.places import final_object
from deployments.kit.objects import ObjectStore
from serve_app.backup.errors import BackupFailed
from serve_app.backup.making import LAST, back_up
from serve_app.backup.shelf import Shelf
from serve_app.settings import Settings
from tests.serve_app.backup.scene import PASSPHRASE, add_file, flip


async def test_files_are_copied_once_and_old_backups_make_room(sqlite_filled: Settings, shelf: Path) -> None:
    """O4: a file that changed is copied anew; the newest backups stay; monitoring is told of the last."""
    store = ObjectStore(sqlite_filled.object_store())
    first = await back_up(sqlite_filled, shelf)
    database = Database(sqlite_filled.database())
    new = final_object("acme", await add_file(database, store, "acme", b"new"))
    await database.close()
    changed = next(path for path in sorted((first.folder / "objects").rglob("*")) if path.is_file())
    key = str(changed.relative_to(first.folder / "objects"))
    await store.put(key, b"written again")
    second = await back_up(sqlite_filled, shelf, keep=2)
    assert (first.linked, second.linked) == (0, 3)
    assert (second.folder / "objects" / key).read_bytes() == b"written again"
    assert (second.folder / "objects" / new).read_bytes() == b"new"
    assert changed.read_bytes() != b"written again"
    third = await back_up(sqlite_filled, shelf, keep=2, full=True)
    assert (third.linked, third.removed) == (0, (first.manifest.id,))
    assert Shelf(shelf).complete() == [second.folder, third.folder]
    told = json.loads((sqlite_filled.data_dir / LAST).read_text())
    assert told["id"] == third.manifest.id
    database = Database(sqlite_filled.database())
    measures = await measure(database)
    await database.close()
    assert measures.last_backup == pytest.approx(third.manifest.taken_at.timestamp(), abs=0.001)
    assert [(each.name, each.healthy) for each in measures.components] == [("workers", False)]
    with pytest.raises(BackupFailed, match="At least one"):
        await back_up(sqlite_filled, shelf, keep=0)


async def test_encrypted_files_are_shared_by_backups_of_one_passphrase(sqlite_filled: Settings, shelf: Path) -> None:
    """O4: and by no others."""
    with_passphrase = sqlite_filled.model_copy(
        update={"backup_passphrase": type(sqlite_filled.backup_passphrase)(PASSPHRASE)}
    )
    await back_up(with_passphrase, shelf)
    assert (await back_up(with_passphrase, shelf)).linked == 4
    assert (await back_up(sqlite_filled, shelf)).linked == 0


async def test_one_backup_at_a_time_and_none_that_failed(sqlite_filled: Settings, shelf: Path) -> None:
    """O4: what a failed one leaves is no backup, and those before it stay."""
    nothing = sqlite_filled.model_copy(update={"database_url": f"sqlite:///{shelf.parent / 'none.db'}"})
    with pytest.raises(DatabaseError, match=r"no database file .*none\.db"):
        await back_up(nothing, shelf)
    first = await back_up(sqlite_filled, shelf)
    with Shelf(shelf).locked(), pytest.raises(BackupFailed, match="Another backup"):
        await back_up(sqlite_filled, shelf)
    flip(first.folder / "objects.jsonl")  # of an earlier one, which is no reason to fail
    with pytest.MonkeyPatch.context() as patch:

        async def full(*_: object, **__: object) -> None:
            raise OSError(28, "No space left on device")

        for module in ("making", "files"):
            patch.setattr(f"serve_app.backup.{module}.write_part", full)
            with pytest.raises(BackupFailed, match="No space left"):
                await back_up(sqlite_filled, shelf, keep=1, full=True)
    assert Shelf(shelf).complete() == [first.folder]
