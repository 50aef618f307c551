"""The backups in an object store: below one prefix a folder for each, complete when it has its seal, which comes last.

A store has no locks and renames nothing. Who makes a backup says again and again that it is alive; what was not sealed
and whose maker has been silent is of use to the next one, and then removed. Several may work at once.
"""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from typing import Final

from serve_app.backup import manifest
from serve_app.backup.errors import BackupFailed, BackupUnusable
from serve_app.backup.manifest import Manifest
from serve_app.backup.store_path import StorePath

ALIVE: Final = "in-use"

_TOLD_EVERY_S: Final = 60.0
_SILENT: Final = timedelta(minutes=15)
_NAME: Final = re.compile(r"\d{8}T\d{9}Z-[0-9a-f]{4}")
"""Of what has another name nothing is removed: it is not ours."""


class StoreShelf:
    """As `Shelf`, in a store."""

    def __init__(self, root: StorePath) -> None:
        self.root = root
        self._life: _Life | None = None

    @contextmanager
    def locked(self) -> Iterator[None]:
        """When the block ends, nobody makes the backup any more that was begun in it."""
        try:
            yield
        finally:
            if self._life is not None:
                self._life.end()

    def complete(self) -> list[StorePath]:
        """The backups, oldest first."""
        return [each for each in self._folders() if _is_complete(each)]

    def newest(self) -> StorePath:
        """The newest backup. Raises BackupUnusable when there is none."""
        try:
            found = self.complete()
        except OSError as error:
            raise BackupUnusable(f"{self.root} cannot be read ({error.strerror}).") from None
        if not found:
            raise BackupUnusable(f"There is no complete backup in {self.root}.")
        return found[-1]

    def unfinished(self) -> list[StorePath]:
        """What is there of backups that are being made, or whose maker died."""
        return [each for each in self._folders() if not _is_complete(each)]

    def begin(self, name: str) -> StorePath:
        """An empty folder for a new backup, which is not one yet."""
        folder = self.root / name
        self._life = _Life(folder / ALIVE)
        return folder

    def require_whole(self, name: str, made: Manifest) -> None:
        """See that everything is there that the backup shall have, before it is sealed: somebody may have taken its
        maker for dead. Raises BackupFailed."""
        folder = self.root / name
        sizes = [size for name, size in folder.contents() if name != ALIVE]
        if (len(sizes), sum(sizes)) != (made.objects.count + len(made.parts), made.size):
            raise BackupFailed(
                f"What was written to {folder} is not what lies there: {len(sizes)} objects with {sum(sizes)} bytes "
                f"instead of {made.objects.count + len(made.parts)} with {made.size}."
            )

    def finish(self, name: str) -> None:
        """It is a backup since it was sealed; nobody works on it any more."""
        if self._life is not None:
            self._life.end(wait=True)
        with suppress(OSError):  # one that stays does no harm
            (self.root / name / ALIVE).unlink()

    def clear_others(self, name: str) -> None:
        """Remove what is left of others that were not finished, or not wholly removed, and that nobody works on."""
        now = (self.root / name / ALIVE).stat().written_at
        for each in self.unfinished():
            if each.name != name and _is_silent(each, now):
                each.remove_all()

    def keep(self, number: int) -> list[str]:
        """Remove all but the newest ones; the names of those that went."""
        gone = []
        for each in self.complete()[:-number]:
            # A backup that lacks files must not look like one.
            (each / manifest.SEAL).unlink()
            each.remove_all()
            gone.append(each.name)
        return gone

    def _folders(self) -> Iterator[StorePath]:
        for name in self.root.folders():
            if _NAME.fullmatch(name):
                yield self.root / name


def _is_complete(folder: StorePath) -> bool:
    return (folder / manifest.SEAL).exists()


def _is_silent(folder: StorePath, now: datetime) -> bool:
    """Whether nobody works on it, by the clock of the store."""
    try:
        return now - (folder / ALIVE).stat().written_at >= _SILENT
    except FileNotFoundError:
        return True


class _Life:
    """Writes an object again and again, from the first until the end."""

    def __init__(self, path: StorePath) -> None:
        self._path = path
        self._over = threading.Event()
        self._path.write_bytes(b"")
        self._telling = threading.Thread(target=self._tell, name="backup-in-use", daemon=True)
        self._telling.start()

    def end(self, *, wait: bool = False) -> None:
        """It is not written any more; with `wait` not even by what is on its way."""
        self._over.set()
        if wait:
            self._telling.join()

    def _tell(self) -> None:
        while not self._over.wait(_TOLD_EVERY_S):
            with suppress(OSError):
                self._path.write_bytes(b"")
