"""A path in an object store, with as much of `pathlib.Path` as backups use: they are written and read by the same code.

Failures are OSErrors, as those of a disk. Everything waits, so it is for threads.
"""

import errno
import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Final, Literal, Self, TypeAlias, cast, overload

import obstore
from obstore.exceptions import BaseError
from obstore.store import ObjectStore as Backend
from obstore.store import from_url

_READ_BYTES: Final = 8 << 20
# S3 takes ten thousand pieces of one object: of these, 156 GiB.
_WRITTEN_BYTES: Final = 16 << 20
_WRITTEN_AT_ONCE: Final = 2
_REMOVED_AT_ONCE: Final = 500
# A piece has to go through the line of a small office while others do.
_PIECE_WAITS: Final = timedelta(minutes=5)
_TRIED_FOR: Final = timedelta(minutes=20)

MOST_COPIED: Final = 5 << 30
"""A larger object S3 does not copy by itself."""


@dataclass(frozen=True, slots=True)
class Stat:
    """What is known of an object."""

    st_size: int
    written_at: datetime


@dataclass(frozen=True, slots=True)
class StorePath:
    """The object `key` of a store, or all that begin with `key/`. Nothing has to be made before something is in it."""

    url: str
    key: str
    _store: Backend = field(compare=False, repr=False)

    @classmethod
    def at(cls, url: str, **options: Any) -> Self:
        """The root of a store. Raises ValueError for what is none."""
        patient: dict[str, Any] = {
            **options,
            "client_options": {"timeout": _PIECE_WAITS, **options.get("client_options", {})},
            "retry_config": {"retry_timeout": _TRIED_FOR},
        }
        try:
            store = from_url(url, **patient)
        except BaseError as error:
            raise ValueError(_first_line(error)) from None
        return cls(url.rstrip("/"), "", store)

    def __truediv__(self, name: str) -> "StorePath":
        return StorePath(self.url, f"{self.key}/{name}" if self.key else name, self._store)

    def __str__(self) -> str:
        return f"{self.url}/{self.key}" if self.key else self.url

    @property
    def name(self) -> str:
        """Its last part."""
        return self.key.rpartition("/")[2]

    @property
    def parent(self) -> "StorePath":
        """What it lies in."""
        return StorePath(self.url, self.key.rpartition("/")[0], self._store)

    def mkdir(self, mode: int = 0o777, *, parents: bool = False, exist_ok: bool = False) -> None:
        """A folder is there when something is in it."""

    def stat(self) -> Stat:
        """How the object is. Raises FileNotFoundError."""
        with self._asking():
            meta = obstore.head(self._store, self.key)
        return Stat(meta["size"], meta["last_modified"])

    def exists(self) -> bool:
        """Whether there is the object."""
        try:
            self.stat()
        except FileNotFoundError:
            return False
        return True

    def read_bytes(self) -> bytes:
        """All of a small object. Raises FileNotFoundError."""
        with self._asking():
            return bytes(obstore.get(self._store, self.key).bytes())

    def write_bytes(self, content: bytes) -> int:
        """Write a small object at once."""
        with self._writing():
            obstore.put(self._store, self.key, content)
        return len(content)

    @overload
    def open(self, mode: Literal["rb"]) -> BinaryIO: ...

    @overload
    def open(self, mode: Literal["xb"]) -> "Upload": ...

    def open(self, mode: Literal["rb", "xb"]) -> "BinaryIO | Upload":
        """Read the object, in requests that nobody who is slow holds open, or write it anew.

        Raises FileNotFoundError.
        """
        if mode == "rb":
            return cast(BinaryIO, io.BufferedReader(_Download(self), 1 << 20))
        return Upload(self)

    def copy_to(self, target: "StorePath") -> None:
        """Make another object of the same bytes, in the store itself. Raises FileNotFoundError."""
        with self._asking():
            obstore.copy(self._store, self.key, target.key)

    def unlink(self, missing_ok: bool = False) -> None:
        """Remove the object; stores do not tell whether there was one."""
        with self._asking():
            obstore.delete(self._store, self.key)

    def remove_all(self) -> None:
        """Remove everything that lies in it."""
        with self._asking():
            for found in obstore.list(self._store, prefix=self.key, chunk_size=_REMOVED_AT_ONCE):
                obstore.delete(self._store, [meta["path"] for meta in found])

    def folders(self) -> list[str]:
        """The names of the folders in it, sorted."""
        with self._asking():
            found = obstore.list_with_delimiter(self._store, prefix=self.key or None)
        return sorted(each.rstrip("/").rpartition("/")[2] for each in found["common_prefixes"])

    def contents(self) -> Iterator[tuple[str, int]]:
        """The objects that lie in it, by their names in it, with the size of each."""
        with self._asking():
            for found in obstore.list(self._store, prefix=self.key or None):
                for meta in found:
                    yield meta["path"].removeprefix(f"{self.key}/"), meta["size"]

    @contextmanager
    def _asking(self) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            raise FileNotFoundError(errno.ENOENT, "No such object", str(self)) from None
        except (BaseError, OSError) as error:  # writers know no other than OSError
            raise OSError(errno.EIO, _first_line(error), str(self)) from error

    @contextmanager
    def _writing(self) -> Iterator[None]:
        # That there is no bucket, or no upload any more, does not mean that what was to be written is missing.
        try:
            with self._asking():
                yield
        except FileNotFoundError as error:
            raise OSError(errno.EIO, "The store has no place for it", str(self)) from error


AnyPath: TypeAlias = Path | StorePath


class Upload:
    """A new object, there when it is closed, and not there when the block raises."""

    def __init__(self, path: StorePath) -> None:
        self._path = path
        with path._writing():
            self._file = obstore.open_writer(
                path._store, path.key, buffer_size=_WRITTEN_BYTES, max_concurrency=_WRITTEN_AT_ONCE
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.close()
        if kind is not None:
            # An unfinished multipart upload can only be ended by completing it.
            self._path.unlink()

    def write(self, piece: bytes) -> int:
        """Append. Returns when the bytes are taken, so a slow store slows its writer down."""
        with self._path._writing():
            return self._file.write(piece)

    def flush(self) -> None:
        """What is in memory stays there: a store has no half object."""

    def close(self) -> None:
        """The object is there, if everything was taken."""
        with self._path._writing():
            self._file.close()


class _Download(io.RawIOBase):
    def __init__(self, path: StorePath) -> None:
        self._path = path
        self._size = path.stat().st_size
        self._next = 0
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._rest and self._next < self._size:
            end = min(self._next + _READ_BYTES, self._size)
            with self._path._asking():
                piece = obstore.get_range(self._path._store, self._path.key, start=self._next, end=end)
            self._rest = memoryview(bytes(piece))
            self._next = end
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0]
