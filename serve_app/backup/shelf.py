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
from serve_app.backup.manifest import Manifest

_UNFINISHED: Final = ".unfinished-"
_REMOVED: Final = ".removed-"


def new_name(now: datetime) -> str:
    """A name for a backup that is made now."""
    return f"{now:%Y%m%dT%H%M%S}{now.microsecond // 1000:03}Z-{secrets.token_hex(2)}"


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

    def begin(self, name: str) -> Path:
        """An empty folder for a new backup, which is not one yet."""
        folder = self._unfinished(name)
        folder.mkdir(mode=0o700)
        return folder

    def require_whole(self, name: str, made: Manifest) -> None:
        """A disk has what was written to it, and nobody else was here."""

    def finish(self, name: str) -> None:
        """Make it a backup, durably and at once."""
        os.sync()
        self._unfinished(name).rename(self.root / name)
        _sync(self.root)

    def clear_others(self, name: str) -> None:
        """Remove what is left of others that were not finished, or not wholly removed."""
        for each in (*self.unfinished(), *self.root.glob(f"{_REMOVED}*")):
            if each != self._unfinished(name):
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

    def _unfinished(self, name: str) -> Path:
        return self.root / f"{_UNFINISHED}{name}"


def _sync(folder: Path) -> None:
    file = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
