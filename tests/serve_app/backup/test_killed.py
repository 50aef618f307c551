"""O4: `kill -9` in the middle of a backup or a restore leaves nothing that is half done."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from db.backup.loading import occupants
from db.session import Database
from serve_app.backup.errors import RestoreRefused
from serve_app.backup.files import copies_in
from serve_app.backup.making import back_up
from serve_app.backup.restoring import require_whole, restore
from serve_app.backup.shelf import Shelf
from serve_app.settings import Settings
from tests.serve_app.backup.scene import Place, everything_in, flip, objects_in


async def kill_at(settings: Settings, action: str, place: Path | str, function: str, count: int) -> None:
    """Run a process with these settings and kill it when it comes to the call."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.serve_app.backup.stopping", action, str(place), function, str(count)),
        env={
            **os.environ,
            "FORMSTREAM_DATA_DIR": str(settings.data_dir),
            "FORMSTREAM_DATABASE_URL": settings.database_url,
            "FORMSTREAM_SECRET_KEY": settings.secret_key.get_secret_value(),
            "FORMSTREAM_BACKUP_PASSPHRASE": settings.backup_passphrase.get_secret_value(),
            "FORMSTREAM_BACKUP_STORE_ENDPOINT": settings.backup_store_endpoint,
            "FORMSTREAM_BACKUP_STORE_ACCESS_KEY": settings.backup_store_access_key,
            "FORMSTREAM_BACKUP_STORE_SECRET_KEY": settings.backup_store_secret_key.get_secret_value(),
        },
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"here\n"
    process.send_signal(signal.SIGKILL)
    await process.wait()


@pytest.mark.parametrize(
    ("function", "count"),
    [
        ("serve_app.backup.files:Copies._note", 3),
        ("serve_app.backup.making:_Making._write", 1),
        ("serve_app.backup.shelf:Shelf.finish", 1),
    ],
    ids=["files", "database", "end"],
)
async def test_a_backup_that_was_killed_is_none_and_the_next_one_goes_on(
    sqlite_filled: Settings, shelf: Path, function: str, count: int
) -> None:
    """O4: it is not listed, nothing is left beside the database, and files that it had are not copied again."""
    await kill_at(sqlite_filled, "backup", shelf, function, count)
    assert Shelf(shelf).complete() == []
    (left,) = Shelf(shelf).unfinished()
    flip(next(copies_in(left)).path(left, ""))
    made = await back_up(sqlite_filled, shelf)
    # Not the one that is damaged, as one may be when the power went, too.
    assert made.linked == (1 if count == 3 else 3)
    assert Shelf(shelf).complete() == [made.folder]
    assert Shelf(shelf).unfinished() == []
    assert not list(sqlite_filled.data_dir.parent.glob("*.db.backup*"))


async def test_a_restore_that_was_killed_cannot_be_used_and_goes_on_when_it_is_run_again(
    filled: Settings, database: Database, shelf: Path, place: Place
) -> None:
    """O4: the platform does not start on it, its database is as empty as before, and then everything is there."""
    made = await back_up(filled, shelf)
    there = await place()
    places = [("db.backup.loading:_compare", 1)]
    if database.is_sqlite:
        # Files come back alike, whatever the database.
        places = [("serve_app.backup.restoring:_Restoring._restore_one", 3), ("db.backup.loading:put_in_place", 1)]
    for function, count in places:
        await kill_at(there, "restore", made.folder, function, count)
        assert await occupants(there.database()) == []
        with pytest.raises(RestoreRefused, match="did not come to its end"):
            require_whole(there.data_dir)
    await restore(there, made.folder)
    require_whole(there.data_dir)
    async with Database(there.database()) as again:
        assert await everything_in(again) == await everything_in(database)
    assert await objects_in(there) == await objects_in(filled)
