"""One platform per data folder."""

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from serve_app.cli.failure import CommandFailed


class InstanceLock:
    """Held while the platform runs; the kernel releases it even when this process is killed."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._file = -1

    def __enter__(self) -> Self:
        """Raises CommandFailed, with the other's process id, when the folder is in use."""
        # Not inherited by children (PEP 446): a left-over child must not keep the folder locked.
        file = os.open(self._data_dir / "instance.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.pread(file, 32, 0).decode(errors="replace").strip() or "unknown"
            os.close(file)
            raise CommandFailed(
                f"Formstream already runs on {self._data_dir} (process {holder}); "
                "stop it first or choose another folder with --data-dir."
            ) from None
        os.ftruncate(file, 0)
        os.pwrite(file, str(os.getpid()).encode(), 0)
        self._file = file
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._file)
