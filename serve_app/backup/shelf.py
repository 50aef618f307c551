"""The folder with the backups of a platform: one folder for each, complete when it has its name."""

import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Final

from serve_app.backup import manifest
from serve_app.backup.errors import BackupFailed, BackupUnusable

_UNFINISHED: Final = ".unfinished-"
_REMOVED: Final = ".removed-"


class Shelf:
    """Backups by their names, which sort by time. Who makes one holds it `locked`."""

    def __init__(self, root: Path) -> None:
        self.root = root.expanduser().resolve()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Nobody else makes or removes backups here meanwhile. Raises BackupFailed when somebody does."""
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            file = os.open(self.root / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise BackupFailed(f"The folder {self.root} cannot be written ({error.strerror}).") from None
        try:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise BackupFailed(f"Another backup into {self.root} is being made.") from None
            yield
        finally:
            os.close(file)

    def complete(self) -> list[Path]:
        """The backups, oldest first."""
        if not self.root.is_dir():
            return []
        found = [each for each in self.root.iterdir() if not each.name.startswith(".")]
        return sorted(each for each in found if (each / manifest.SEAL).is_file())

    def newest(self) -> Path:
        """The newest backup. Raises BackupUnusable when there is none."""
        found = self.complete()
        if not found:
            raise BackupUnusable(f"There is no complete backup in {self.root}.")
        return found[-1]

    def unfinished(self) -> list[Path]:
        """What is left of backups whose maker died; of no use but for the files in it."""
        return sorted(self.root.glob(f"{_UNFINISHED}*"))

    def begin(self, now: datetime) -> Path:
        """An empty folder for a new backup, which is not one yet."""
        name = f"{now:%Y%m%dT%H%M%S}{now.microsecond // 1000:03}Z-{secrets.token_hex(2)}"
        folder = self.root / f"{_UNFINISHED}{name}"
        folder.mkdir(mode=0o700)
        return folder

    def name_of(self, folder: Path) -> str:
        """The name that an unfinished backup will have."""
        return folder.name.removeprefix(_UNFINISHED)

    def finish(self, folder: Path) -> Path:
        """Make it a backup, durably and at once."""
        os.sync()
        target = self.root / self.name_of(folder)
        folder.rename(target)
        _sync(self.root)
        return target

    def clear_others(self, mine: Path) -> None:
        """Remove what is left of others that were not finished, or not wholly removed."""
        for each in (*self.unfinished(), *self.root.glob(f"{_REMOVED}*")):
            if each != mine:
                shutil.rmtree(each)

    def keep(self, number: int) -> list[str]:
        """Remove all but the newest ones; the names of those that went."""
        gone = []
        for each in self.complete()[:-number]:
            # A backup that lacks files must not look like one.
            leaving = each.rename(self.root / f"{_REMOVED}{each.name}")
            shutil.rmtree(leaving)
            gone.append(each.name)
        return gone


def _sync(folder: Path) -> None:
    file = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
