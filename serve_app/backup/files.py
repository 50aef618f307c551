"""The files of the platform in a backup: objects of customers, and models, each copied once and linked from then on."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson

from deployments.kit.objects import Listed, ObjectStore, object_key
from serve_app.backup.encryption import Encryption
from serve_app.backup.errors import BackupUnusable
from serve_app.backup.index import Index
from serve_app.backup.parts import sum_of, write_part
from serve_app.backup.store_path import MOST_COPIED, AnyPath, StorePath

INDEX: Final = "objects.jsonl"
OBJECTS: Final = "objects"
MODELS: Final = "models"
ENCRYPTED: Final = ".age"

_AT_ONCE: Final = 4
_BATCH: Final = 256


@dataclass(frozen=True, slots=True)
class Copy:
    """A file that the backup has: `name` is its place there, `key` and `version` what it is in the store `area`."""

    area: str
    key: str
    version: str
    content: int
    size: int
    sha256: str

    @property
    def store_name(self) -> str:
        """Its name over all stores."""
        return f"{self.area}/{self.key}"

    def path(self, folder: AnyPath, suffix: str) -> AnyPath:
        """Where it lies in a backup."""
        return folder / self.area / f"{self.key}{suffix}"


@dataclass(frozen=True, slots=True)
class Earlier:
    """The files of a backup that was made before. Those of one that was not finished are looked at first."""

    folder: AnyPath
    copies: Mapping[str, Copy]
    finished: bool


@asynccontextmanager
async def together() -> AsyncIterator[asyncio.TaskGroup]:
    """A group of tasks; when some fail, the first failure is raised as it is."""
    try:
        async with asyncio.TaskGroup() as group:
            yield group
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None


class Copies:
    """Brings files into the unfinished backup `folder`, and writes its index."""

    def __init__(self, folder: AnyPath, encryption: Encryption | None, earlier: list[Earlier]) -> None:
        self._folder = folder
        self._encryption = encryption
        self._earlier = earlier
        self._suffix = "" if encryption is None else ENCRYPTED
        self.there: set[str] = set()
        self.size = 0
        self.linked = 0
        self._index = Index(folder / INDEX)
        head = {"recipients": [] if encryption is None else sorted(encryption.names)}
        self._index.add(orjson.dumps(head, option=orjson.OPT_APPEND_NEWLINE))

    def finish(self) -> None:
        """The index is complete."""
        self._index.keep()

    def close(self) -> None:
        """Leave nothing open."""
        self._index.close()

    async def take_all(self, area: str, store: ObjectStore, report: Callable[[int], None]) -> None:
        """Copy everything that the store has; what goes away meanwhile is left out."""
        batch: list[Listed] = []
        async for each in store.everything():
            if not _is_key(area, each.key) or f"{area}/{each.key}" in self.there:
                continue
            batch.append(each)
            if len(batch) >= _BATCH:
                await self._take_batch(area, store, batch)
                await asyncio.to_thread(self._index.grown)
                report(len(self.there))
                batch = []
        await self._take_batch(area, store, batch)
        await asyncio.to_thread(self._index.keep)
        report(len(self.there))

    async def take(self, area: str, store: ObjectStore, listed: Listed) -> bool:
        """Copy one object; whether it was there."""
        if (copy := await asyncio.to_thread(self._link, area, listed)) is None:
            path = self._path(area, listed.key)
            try:
                stored = await write_part(path, store.read(listed.key), self._encryption, packed=False)
            except FileNotFoundError:
                path.unlink(missing_ok=True)
                return False
            copy = Copy(area, listed.key, listed.version, stored.content, stored.size, stored.sha256)
        self._note(copy)
        return True

    async def _take_batch(self, area: str, store: ObjectStore, batch: list[Listed]) -> None:
        turns = asyncio.Semaphore(_AT_ONCE)

        async def one(listed: Listed) -> None:
            async with turns:
                await self.take(area, store, listed)

        async with together() as group:
            for each in batch:
                group.create_task(one(each))

    def _link(self, area: str, listed: Listed) -> Copy | None:
        """The same object out of an earlier backup, without copying it where disk or store can do that."""
        for earlier in self._earlier:
            copy = earlier.copies.get(f"{area}/{listed.key}")
            if copy is None or (copy.version, copy.content) != (listed.version, listed.size):
                continue
            source = copy.path(earlier.folder, self._suffix)
            if not _is_sound(source, copy, trusted=earlier.finished):
                continue
            if not _share(source, self._path(area, listed.key)):
                continue
            self.linked += 1
            return copy
        return None

    def _note(self, copy: Copy) -> None:
        line = orjson.dumps(
            [copy.area, copy.key, copy.version, copy.content, copy.size, copy.sha256], option=orjson.OPT_APPEND_NEWLINE
        )
        self._index.add(line)
        self.there.add(copy.store_name)
        self.size += copy.size

    def _path(self, area: str, key: str) -> AnyPath:
        return self._folder / area / f"{key}{self._suffix}"


def copies_in(folder: AnyPath) -> Iterator[Copy]:
    """What the index of a backup lists. Raises BackupUnusable."""
    try:
        with (folder / INDEX).open("rb") as file:
            next(file, None)
            for line in file:
                copy = Copy(*orjson.loads(line))
                if not _is_key(copy.area, copy.key):
                    raise BackupUnusable(f"{INDEX} has a name that cannot be one: {copy.key!r}.")
                yield copy
    except (OSError, orjson.JSONDecodeError, TypeError) as error:
        raise BackupUnusable(f"{INDEX} cannot be read: {error}.") from None


def earlier_in(folder: AnyPath, encryption: Encryption | None, *, finished: bool) -> Earlier | None:
    """The files of an earlier backup that a new one can have too; None when they are encrypted in another way."""
    names = [] if encryption is None else sorted(encryption.names)
    copies: dict[str, Copy] = {}
    try:
        with (folder / INDEX).open("rb") as file:
            if orjson.loads(next(file, b"{}")).get("recipients") != names:
                return None
        # The last line of one that was not finished may be half.
        with suppress(BackupUnusable):
            for copy in copies_in(folder):
                copies[copy.store_name] = copy
    except (OSError, orjson.JSONDecodeError):
        return None
    return Earlier(folder, copies, finished)


def _share(source: AnyPath, target: AnyPath) -> bool:
    """Make the same file once more without bringing its bytes here, where that can be had; whether it is there."""
    if isinstance(source, StorePath) and isinstance(target, StorePath):
        try:
            source.copy_to(target)
        except FileNotFoundError:  # its backup has just been removed
            return False
    elif isinstance(source, Path) and isinstance(target, Path):
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            os.link(source, target)
        except OSError:
            shutil.copyfile(source, target)
    return True


def _is_sound(path: AnyPath, copy: Copy, *, trusted: bool) -> bool:
    try:
        if isinstance(path, StorePath):
            # An object is whole or not there, so nothing can have been broken off in the middle of it.
            return path.stat().st_size == copy.size <= MOST_COPIED
        if trusted:
            return path.stat().st_size == copy.size
        return sum_of(path) == (copy.size, copy.sha256)
    except OSError:
        return False


def _is_key(area: str, key: str) -> bool:
    """Whether it is one of ours, and stays in the folder where it is put."""
    if area == MODELS:
        return all(part and not part.startswith(".") for part in key.split("/"))
    try:
        object_key(*key.split("/"))
    except ValueError:
        return False
    return area == OBJECTS


async def pieces_of(path: Path, size: int) -> AsyncIterator[bytes]:
    """A local file, in pieces."""
    with path.open("rb") as file:
        while piece := await asyncio.to_thread(file.read, size):
            yield piece
