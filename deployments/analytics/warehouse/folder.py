"""The folder of local copies of one process. What a process leaves behind that was killed, the next one removes."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

_LOCK: Final = "lock"


class Folder:
    """Made when it is first needed, below `parent`, or where temporary files go."""

    def __init__(self, parent: Path | None) -> None:
        self._parent = parent or Path(tempfile.gettempdir()) / f"formstream-warehouse-{os.getuid()}"
        self._own: Path | None = None
        self._lock: int | None = None

    def path(self, tenant_id: str, form_id: str) -> Path:
        """The folder of a form's copy, which is there."""
        if self._own is None:
            self._parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # One after the other: a folder that is being made is nobody's yet.
            with _locked(self._parent / _LOCK):
                self._remove_orphans()
                self._own = Path(tempfile.mkdtemp(dir=self._parent))
                self._lock = os.open(self._own / _LOCK, os.O_CREAT | os.O_RDWR, 0o600)
                fcntl.flock(self._lock, fcntl.LOCK_EX)
        path = self._own / tenant_id / form_id
        path.mkdir(parents=True, exist_ok=True)
        return path

    def remove(self) -> None:
        """Remove it with all copies."""
        if self._own is not None:
            shutil.rmtree(self._own, ignore_errors=True)
            self._own = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _remove_orphans(self) -> None:
        for each in self._parent.iterdir():
            with suppress(OSError):
                lock = os.open(each / _LOCK, os.O_RDWR)
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(each, ignore_errors=True)
                finally:
                    os.close(lock)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    lock = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)
