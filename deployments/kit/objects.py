"""Files of customers, in a folder or in an S3-compatible store; each key begins with its tenant's id."""

import asyncio
import re
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import IO, Any, Final, cast

import obstore
import structlog
from obstore.exceptions import BaseError, GenericError
from obstore.store import ObjectStore as Backend
from obstore.store import from_url

from deployments.kit.errors import Unavailable

_log = structlog.get_logger(__name__)

_KEY = re.compile(r"[A-Za-z0-9_-]+(/[A-Za-z0-9_-][A-Za-z0-9._-]*)+")
EXPORTS: Final = "exports"
LAKE: Final = "lake"
SEARCH: Final = "search"
REPORTS: Final = "reports"
DERIVED: Final = (EXPORTS, LAKE, SEARCH, REPORTS)
"""Folders of a tenant with files that were made of what the database holds. Those of a form are in a folder with its
id."""

_CHUNK_BYTES = 1 << 20
# S3 takes no piece of a multipart upload that is smaller, except the last.
_REMOTE_CHUNK_BYTES = 5 << 20
# With one request, which a busy store that needs 0.2 s for each has 30 s to answer.
_DELETED_AT_ONCE = 100


class StoreUnavailable(Unavailable):
    """The store did not answer, or with a failure of its own, however often it was asked."""

    code, title = "store_unavailable", "Files can be neither kept nor fetched at the moment"


def object_key(tenant_id: str, *parts: str) -> str:
    """The key of a tenant's object. Raises ValueError for a part that is not a plain name."""
    key = "/".join((tenant_id, *parts))
    if not _KEY.fullmatch(key):
        raise ValueError(f"not a key: {key!r}")
    return key


@dataclass(frozen=True, slots=True)
class Listed:
    """An object in a list: `version` is another one when it was written again."""

    key: str
    size: int
    version: str


class ObjectStore:
    """A store at a URL: `file:///folder` (made when missing), `s3://bucket/prefix`, `memory:///` and others.

    Everything may raise StoreUnavailable.
    """

    def __init__(self, url: str, **options: Any) -> None:
        if url.startswith("file:"):
            options.setdefault("mkdir", True)
        self._backend: Backend = from_url(url, **options)
        self._buffer = _CHUNK_BYTES if url.startswith(("file:", "memory:")) else _REMOTE_CHUNK_BYTES

    @asynccontextmanager
    async def writer(self, key: str) -> AsyncIterator["Writer"]:
        """Write an object piece by piece; it exists when the block ends, and does not when the block raises."""
        file = obstore.open_writer_async(self._backend, key, buffer_size=self._buffer)
        try:
            yield Writer(file)
            with _asking():
                await file.close()
        except BaseException:
            await asyncio.shield(self._discard(file, key))
            raise

    async def read(self, key: str) -> AsyncIterator[bytes]:
        """The object's bytes in pieces of about 1 MiB. Raises FileNotFoundError."""
        with _asking():
            found = await obstore.get_async(self._backend, key)
            async for piece in found.stream(min_chunk_size=_CHUNK_BYTES):
                yield bytes(piece)

    async def read_range(self, key: str, start: int, end: int) -> AsyncIterator[bytes]:
        """The bytes from `start` up to but without `end`, in pieces. Raises FileNotFoundError."""
        with _asking():
            found = await obstore.get_async(self._backend, key, options={"range": (start, end)})
            async for piece in found.stream(min_chunk_size=_CHUNK_BYTES):
                yield bytes(piece)

    async def put(self, key: str, content: bytes) -> None:
        """Write a small object at once."""
        with _asking():
            await obstore.put_async(self._backend, key, content)

    async def copy(self, key: str, to: str) -> None:
        """Make another object of the same bytes, in the store itself. Raises FileNotFoundError."""
        with _asking():
            await obstore.copy_async(self._backend, key, to)

    @asynccontextmanager
    async def local_copy(self, *keys: str) -> AsyncIterator[IO[bytes]]:
        """A temporary local file with the bytes of the objects, one after the other, positioned at its start.

        Raises FileNotFoundError.
        """
        with tempfile.TemporaryFile() as file:
            for key in keys:
                async for piece in self.read(key):
                    await asyncio.to_thread(file.write, piece)
            file.seek(0)
            yield cast(IO[bytes], file)

    async def delete(self, *keys: str) -> None:
        """Remove objects, in a remote store with one request; one that does not exist is no error."""
        with _asking():
            try:
                await obstore.delete_async(self._backend, keys)
            except FileNotFoundError:
                if len(keys) > 1:
                    # In a folder the first that is missing is the end of it.
                    for key in keys:
                        await self.delete(key)

    async def exists(self, key: str) -> bool:
        """Whether there is such an object."""
        try:
            with _asking():
                await obstore.head_async(self._backend, key)
        except FileNotFoundError:
            return False
        return True

    async def below(self, prefix: str) -> AsyncIterator[tuple[str, int]]:
        """The keys below `prefix/` and the size of each object in bytes, in no particular order."""
        with _asking():
            async for found in obstore.list(self._backend, prefix=prefix):
                for meta in found:
                    yield meta["path"], meta["size"]

    async def aged(self, prefix: str) -> AsyncIterator[tuple[str, datetime]]:
        """The keys below `prefix/` and when each object was last written, in no particular order."""
        with _asking():
            async for found in obstore.list(self._backend, prefix=prefix):
                for meta in found:
                    yield meta["path"], meta["last_modified"]

    async def everything(self) -> AsyncIterator[Listed]:
        """All objects of all tenants, in no particular order."""
        with _asking():
            async for found in obstore.list(self._backend):
                for meta in found:
                    yield _listed(meta)

    async def listed(self, key: str) -> Listed | None:
        """The object as `everything` lists it, None when there is none."""
        try:
            with _asking():
                return _listed(await obstore.head_async(self._backend, key))
        except FileNotFoundError:
            return None

    async def delete_some(self, prefix: str) -> int:
        """Remove some of the objects below `prefix/`, all when called until it answers 0; how many."""
        with _asking():
            async for found in obstore.list(self._backend, prefix=prefix, chunk_size=_DELETED_AT_ONCE):
                keys = [meta["path"] for meta in found]
                if keys:
                    await self.delete(*keys)
                    return len(keys)
        return 0

    async def _discard(self, file: Any, key: str) -> None:
        # Who wrote hears why that ended, not that there was no store to clear up in: the sweep finds what stays.
        with suppress(BaseError, StoreUnavailable):
            # An unfinished multipart upload can only be ended by completing it.
            with suppress(OSError, BaseError):  # closed already
                await file.close()
            await self.delete(key)


class Writer:
    """The open end of a new object."""

    def __init__(self, file: Any) -> None:
        self._file = file

    async def write(self, content: bytes) -> None:
        """Append. Returns when the bytes are taken, so a slow store slows its writer down."""
        with _asking():
            await self._file.write(content)


def _listed(meta: "obstore.ObjectMeta") -> Listed:
    return Listed(meta["path"], meta["size"], meta["e_tag"] or meta["last_modified"].isoformat())


@contextmanager
def _asking() -> Iterator[None]:
    """Raises StoreUnavailable for what the store should have done."""
    try:
        yield
    except FileNotFoundError:
        raise
    except (GenericError, OSError) as error:  # writers know no other than OSError
        _log.warning("object store unavailable", error=str(error).partition("\n")[0])
        raise StoreUnavailable from error
