"""A part of a backup as a file: streamed through a checksum, gzip and age, with a few pieces in memory."""

import asyncio
import hashlib
import threading
import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final, TypeVar

import pyrage  # type: ignore[import-untyped]

from serve_app.backup.encryption import Encryption, Keys
from serve_app.backup.errors import BackupUnusable
from serve_app.backup.store_path import AnyPath

PIECE: Final = 1 << 20
_QUEUED: Final = 4
_FAST: Final = 1
"""The level of gzip: others are at work on this machine."""
_GZIP: Final = 31

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Stored:
    """A file of a backup: its size and SHA-256 as it lies there, and how many bytes it holds unpacked."""

    size: int
    sha256: str
    content: int


class _Sink:
    """Writes a file and sums it up."""

    def __init__(self, path: AnyPath) -> None:
        self._file = path.open("xb")
        self._digest = hashlib.sha256()
        self.size = 0

    def write(self, piece: bytes) -> int:
        self._digest.update(piece)
        self.size += len(piece)
        return self._file.write(piece)

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> str:
        self._file.close()
        return self._digest.hexdigest()


class _Pieces:
    """What is to be read, for who reads a file."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = b""

    def read(self, size: int = -1) -> bytes:
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return b""
            self._rest = bytes(piece)
        wanted = len(self._rest) if size < 0 else size
        found, self._rest = self._rest[:wanted], self._rest[wanted:]
        return found


class Gone(Exception):
    """Nobody waits for the rest any more."""


async def write_part(
    path: AnyPath, pieces: AsyncIterator[bytes], encryption: Encryption | None, *, packed: bool
) -> Stored:
    """Write a new file with the pieces, compressed when `packed`. Raises what the pieces raise, and OSError."""
    loop = asyncio.get_running_loop()
    gone = threading.Event()

    def pulled() -> Iterator[bytes]:
        while True:
            piece = asyncio.run_coroutine_threadsafe(_next(pieces), loop).result()
            if gone.is_set():
                raise Gone
            if piece is None:
                return
            yield piece

    return await _in_thread(lambda: write_now(path, pulled(), encryption, packed=packed), gone)


def write_now(path: AnyPath, pieces: Iterable[bytes], encryption: Encryption | None, *, packed: bool) -> Stored:
    """As `write_part`, in this thread."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    count = 0

    def counted() -> Iterator[bytes]:
        nonlocal count
        for piece in pieces:
            count += len(piece)
            yield piece

    sink = _Sink(path)
    failures: list[BaseException] = []
    try:
        found = _deflated(counted()) if packed else counted()
        if encryption is None:
            for piece in found:
                sink.write(piece)
        else:
            _encrypt(found, sink, encryption, failures)
    finally:
        digest = sink.close()
    return Stored(sink.size, digest, count)


def _encrypt(pieces: Iterator[bytes], sink: _Sink, encryption: Encryption, failures: list[BaseException]) -> None:
    def remembered() -> Iterator[bytes]:
        try:
            yield from pieces
        except BaseException as error:
            failures.append(error)
            raise

    try:
        pyrage.encrypt_io(_Pieces(remembered()), sink, list(encryption.recipients))
    except Exception:
        if failures:  # age tells of it in words only
            raise failures[0] from None
        raise


def _deflated(pieces: Iterable[bytes]) -> Iterator[bytes]:
    packer = zlib.compressobj(_FAST, zlib.DEFLATED, _GZIP)
    for piece in pieces:
        if packed := packer.compress(piece):
            yield packed
    yield packer.flush()


async def read_part(path: AnyPath, keys: Keys, *, packed: bool) -> AsyncGenerator[bytes, None]:
    """The content of a part, in pieces. Raises BackupUnusable with its name when it cannot be opened."""
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[bytes | None] = asyncio.Queue(_QUEUED)
    gone = threading.Event()

    def take(piece: bytes) -> None:
        if gone.is_set():
            raise Gone
        asyncio.run_coroutine_threadsafe(queue.put(piece), loop).result()

    async def work() -> None:
        try:
            await asyncio.to_thread(read_now, path, keys, take, packed=packed)
        finally:
            if not gone.is_set():
                await queue.put(None)

    working = asyncio.create_task(work())
    try:
        while (piece := await queue.get()) is not None:
            yield piece
        await working
    finally:
        gone.set()
        while not working.done():
            while not queue.empty():
                queue.get_nowait()
            await asyncio.wait({working}, timeout=0.05)
        if not working.cancelled():
            working.exception()


def read_now(path: AnyPath, keys: Keys, take: Callable[[bytes], None], *, packed: bool) -> None:
    """As `read_part`, in this thread: `take` gets every piece."""
    unpacked = _Unpacked(take) if packed else None
    writer = _Taking(unpacked.feed if unpacked is not None else take)
    try:
        with path.open("rb") as file:
            if keys:
                pyrage.decrypt_io(file, writer, list(keys))
            else:
                while piece := file.read(PIECE):
                    writer.write(piece)
        if unpacked is not None:
            unpacked.end()
    except (pyrage.DecryptError, OSError, zlib.error, EOFError) as error:
        if writer.failure is not None:
            raise writer.failure from None
        if isinstance(error, pyrage.DecryptError) and "No matching keys" in str(error):
            raise BackupUnusable(f"{path.name} cannot be opened: the backup was encrypted for another key.") from None
        raise BackupUnusable(f"{path.name} cannot be opened: {error}.") from None


class _Taking:
    """Where age writes what it has decrypted."""

    def __init__(self, take: Callable[[bytes], None]) -> None:
        self._take = take
        self.failure: BaseException | None = None

    def write(self, piece: bytes) -> int:
        try:
            self._take(bytes(piece))
        except (zlib.error, EOFError):
            raise
        except BaseException as error:
            self.failure = error
            raise
        return len(piece)

    def flush(self) -> None:
        pass


class _Unpacked:
    """Unpacks gzip, however much it is packed, in pieces of one size."""

    def __init__(self, take: Callable[[bytes], None]) -> None:
        self._take = take
        self._unpacker = zlib.decompressobj(_GZIP)

    def feed(self, piece: bytes) -> None:
        if self._unpacker.eof:
            raise EOFError("something follows its end")
        while piece:
            if content := self._unpacker.decompress(piece, PIECE):
                self._take(content)
            piece = self._unpacker.unconsumed_tail

    def end(self) -> None:
        if content := self._unpacker.flush():
            self._take(content)
        if not self._unpacker.eof or self._unpacker.unused_data:
            raise EOFError("it is not whole")


def sum_of(path: AnyPath) -> tuple[int, str]:
    """The size of a file and its SHA-256."""
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            digest.update(piece)
            size += len(piece)
    return size, digest.hexdigest()


async def _next(pieces: AsyncIterator[bytes]) -> bytes | None:
    return await anext(pieces, None)


async def _in_thread(work: Callable[[], Result], gone: threading.Event) -> Result:
    working = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(working)
    except asyncio.CancelledError:
        gone.set()
        await asyncio.wait({working})
        if not working.cancelled():
            working.exception()
        raise


async def of_bytes(content: bytes) -> AsyncIterator[bytes]:
    """A small content as a part's pieces."""
    yield content
