"""The list of files of a backup that is being made, kept beside them as it grows, so that the next one can go on."""

import shutil
import tempfile
from typing import BinaryIO, Final, cast

from serve_app.backup.store_path import AnyPath, StorePath

_FIRST: Final = 64
_EIGHTH: Final = 8


class Index:
    """Lines that are added one by one.

    A folder has each at once. An object cannot be added to: it is written anew whenever it has grown by an eighth, so
    that one whose maker is killed lacks few, and that all these writings are no more than nine of the last.
    """

    def __init__(self, path: AnyPath) -> None:
        self._object: StorePath | None = None
        if isinstance(path, StorePath):
            self._object = path
            self._file = cast(BinaryIO, tempfile.TemporaryFile())  # noqa: SIM115 - until `close`
        else:
            self._file = path.open("xb")
        self._lines = 0
        self._kept = 0

    def add(self, line: bytes) -> None:
        """One more."""
        self._file.write(line)
        self._file.flush()
        self._lines += 1

    def grown(self) -> None:
        """Keep it where it lies, if that is worth it."""
        if self._lines >= self._kept + max(_FIRST, self._kept // _EIGHTH):
            self.keep()

    def keep(self) -> None:
        """Where it lies it has every line."""
        if self._object is None or self._lines == self._kept:
            return
        self._file.seek(0)
        with self._object.open("xb") as upload:
            shutil.copyfileobj(self._file, upload, 1 << 20)
        self._kept = self._lines

    def close(self) -> None:
        """Nothing more is added."""
        self._file.close()
