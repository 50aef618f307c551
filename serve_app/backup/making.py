"""Making a backup while the platform serves.

First every file is brought, which takes long; then the database is held at one moment, what its rows name and came
since is brought too, and the tables are copied. A file that was removed in between was named at no moment that can be
had: then the database is held anew, at a later one. So nobody has to wait with removing because of a backup.
"""

import asyncio
import importlib.metadata
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, closing
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Final

from db.backup.snapshot import Snapshot, snapshot
from db.backup.sqlite_file import database_file, forget_file
from db.repositories import component_state
from db.repositories.component_state import Seen
from db.repositories.named_objects import Named, named_objects
from db.session import Database
from db.settings import DatabaseSettings
from db.types import utc_now
from deployments.events.measuring import BACKUP
from deployments.files.places import final_object
from deployments.kit.objects import ObjectStore
from serve_app.backup import manifest
from serve_app.backup.configuration import SECRETS, SETTINGS, environment, keys_in, secrets_of
from serve_app.backup.encryption import Encryption, Wish
from serve_app.backup.errors import BackupFailed
from serve_app.backup.files import ENCRYPTED, INDEX, MODELS, OBJECTS, Copies, Earlier, earlier_in, pieces_of
from serve_app.backup.manifest import (
    AuditEnd,
    EncryptedFor,
    Manifest,
    Objects,
    Part,
    StreamPosition,
    TableRows,
)
from serve_app.backup.parts import PIECE, Stored, of_bytes, sum_of, write_part
from serve_app.backup.places import AnyShelf, shelf_at
from serve_app.backup.progress import SILENCE, Progress
from serve_app.backup.shelf import new_name
from serve_app.backup.store_path import AnyPath
from serve_app.cli.failure import CommandFailed
from serve_app.cli.private_file import write_private
from serve_app.settings import Settings

LAST: Final = "last-backup.json"
DATABASE_FILE: Final = "database.sqlite.gz"

_MOMENTS: Final = 5


@dataclass(frozen=True, slots=True)
class Backup:
    """A complete backup: its folder, and what it says of itself. `linked` files were in one before, `removed` are the
    names of backups that made room for it."""

    folder: AnyPath
    manifest: Manifest
    linked: int = 0
    removed: tuple[str, ...] = ()


async def back_up(
    settings: Settings,
    target: str | Path,
    *,
    wish: Wish | None = None,
    keep: int | None = None,
    full: bool = False,
    progress: Progress = SILENCE,
) -> Backup:
    """Make a backup in `target`, a folder or a URL, which may hold others, and let the newest `keep` stay (None: all).

    It is encrypted as the `wish` says, else with FORMSTREAM_BACKUP_PASSPHRASE if that is set. Files that an earlier
    one has are linked to, or copied by the store, unless it is to be `full`. Raises BackupFailed, BackupUnusable,
    DatabaseError, StoreUnavailable; then everything in `target` is as before, but for a folder that is no backup, which
    the next one uses and removes. Raises CommandFailed when the new one is complete, and the old ones stay.
    """
    if keep is not None and keep < 1:
        raise BackupFailed("At least one backup is kept.")
    shelf = shelf_at(settings, target)
    with shelf.locked():
        try:
            with closing(_Making(settings, shelf, wish or wish_of(settings), progress, full=full)) as making:
                made = await making.run()
        except OSError as error:
            raise BackupFailed(f"The backup cannot be written: {error}.") from error
        await _remember(settings, made)
        removed = () if keep is None else await _make_room(shelf, keep)
    return Backup(made.folder, made.manifest, made.linked, removed)


async def _make_room(shelf: AnyShelf, keep: int) -> tuple[str, ...]:
    try:
        return tuple(await asyncio.to_thread(shelf.keep, keep))
    except OSError as error:
        raise CommandFailed(f"The backup is complete, and older ones cannot be removed: {error}.") from error


def wish_of(settings: Settings) -> Wish:
    """What the settings say about encryption."""
    return Wish(settings.backup_passphrase.get_secret_value())


class _Making:
    def __init__(self, settings: Settings, shelf: AnyShelf, wish: Wish, progress: Progress, *, full: bool) -> None:
        self._settings = settings
        self._database = settings.database()
        self._shelf = shelf
        self._progress = progress
        self._objects = ObjectStore(settings.object_store(), **settings.object_store_options())
        last, left = shelf.complete()[-1:], shelf.unfinished()
        self.encryption = _encryption(wish, [*last, *left])
        earlier = [] if full else _earlier(left, last, self.encryption)
        self._name = new_name(utc_now())
        self._folder = shelf.begin(self._name)
        if self.encryption is not None and self.encryption.identity_file:
            # At once: what is left of this backup is of use to those who have its key.
            (self._folder / manifest.IDENTITY).write_bytes(self.encryption.identity_file)
        self._copies = Copies(self._folder, self.encryption, earlier)
        self._parts: dict[str, Part] = {}
        self._scratch = _scratch(self._database) if self._database.is_sqlite else None

    def close(self) -> None:
        """Leave nothing open, and nothing beside the database."""
        self._copies.close()
        if self._scratch is not None:
            forget_file(self._scratch)

    async def run(self) -> Backup:
        with self._progress.step("Copy files"):
            await self._copies.take_all(OBJECTS, self._objects, self._progress.report)
            models = self._settings.models().folder
            if models.is_dir():
                await self._copies.take_all(MODELS, ObjectStore(models.as_uri()), self._progress.report)
        # What was in it has been taken over.
        await asyncio.to_thread(self._shelf.clear_others, self._name)
        made = await self._at_one_moment()
        await self._configuration()
        with self._progress.step("Write it down"):
            await asyncio.to_thread(self._copies.finish)
            for name in (INDEX, manifest.IDENTITY):
                if (self._folder / name).exists():
                    size, digest = await asyncio.to_thread(sum_of, self._folder / name)
                    self._parts[name] = Part(size=size, sha256=digest, content=size)
            complete = made.model_copy(update={"parts": dict(self._parts)})
            await asyncio.to_thread(self._shelf.require_whole, self._name, complete)
            manifest.write(self._folder, complete, next(iter(keys_in(self._settings)), ""))
            await asyncio.to_thread(self._shelf.finish, self._name)
        return Backup(self._shelf.root / self._name, complete, self._copies.linked)

    async def _at_one_moment(self) -> Manifest:
        for attempt in range(_MOMENTS):
            async with snapshot(self._database) as moment:
                missing = await self._bring_named(moment)
                lost = await self._still_named(missing) if missing else []
                if len(lost) == len(missing) or attempt == _MOMENTS - 1:
                    return await self._copy(moment, missing)
        raise AssertionError("unreachable")

    async def _bring_named(self, moment: Snapshot) -> list[str]:
        """Copy what the moment's rows name and was not there before; what the store does not have."""
        missing: list[str] = []
        with self._progress.step("Copy files that came meanwhile"):
            async with aclosing(named_objects(moment.connection)) as pages:
                async for page in pages:
                    for key in map(_key, page):
                        if f"{OBJECTS}/{key}" in self._copies.there:
                            continue
                        listed = await self._objects.listed(key)
                        if listed is None or not await self._copies.take(OBJECTS, self._objects, listed):
                            missing.append(key)
        return missing

    async def _still_named(self, missing: list[str]) -> list[str]:
        """Those that the database names even now: they were lost, not removed."""
        async with snapshot(self._database) as now, aclosing(named_objects(now.connection)) as pages:
            wanted, found = set(missing), list[str]()
            async for page in pages:
                found += [key for key in map(_key, page) if key in wanted]
        return found

    async def _copy(self, moment: Snapshot, lost: list[str]) -> Manifest:
        with self._progress.step("Copy the database"):
            rows = await (self._copy_file(moment) if self._database.is_sqlite else self._copy_tables(moment))
        return Manifest(
            id=self._name,
            application=application_version(),
            dialect="sqlite" if self._database.is_sqlite else "postgresql",
            revision=moment.revision,
            taken_at=moment.taken_at,
            encryption=_told(self.encryption),
            has_secret_key=self.encryption is not None and bool(keys_in(self._settings)),
            tables={each.name: TableRows(rows=rows[each.name], columns=each.columns) for each in moment.tables},
            parts={},
            objects=Objects(count=len(self._copies.there), size=self._copies.size, lost=tuple(sorted(lost))),
            streams={
                each.stream: StreamPosition(last_sequence=each.last_seq, needed_since=each.needed_since)
                for each in await moment.positions()
            },
            audit={each.tenant_id: AuditEnd(sequence=each.sequence, hash=each.hash) for each in await moment.heads()},
        )

    async def _copy_file(self, moment: Snapshot) -> dict[str, int]:
        scratch = _scratch(self._database)
        await moment.copy_file(scratch, self._progress.report)
        rows = {each.name: await moment.count(each.name) for each in moment.tables}
        await self._write(DATABASE_FILE, pieces_of(scratch, PIECE), packed=True)
        forget_file(scratch)
        return rows

    async def _copy_tables(self, moment: Snapshot) -> dict[str, int]:
        rows: dict[str, int] = {}
        for number, each in enumerate(moment.tables, start=1):
            async with aclosing(moment.copy_rows(each)) as pieces:
                await self._write(table_part(each.name), pieces, packed=True)
            rows[each.name] = await moment.count(each.name)
            self._progress.report(number, len(moment.tables))
        return rows

    async def _configuration(self) -> None:
        secret = self.encryption is not None
        await self._write(SETTINGS, of_bytes(environment(self._settings, secret=secret)), packed=False)
        if secret:
            content = secrets_of(self._settings).model_dump_json().encode()
            await self._write(SECRETS, of_bytes(content), packed=False)

    async def _write(self, name: str, pieces: AsyncIterator[bytes], *, packed: bool) -> None:
        named = f"{name}{ENCRYPTED}" if self.encryption is not None else name
        stored: Stored = await write_part(self._folder / named, pieces, self.encryption, packed=packed)
        self._parts[named] = Part(size=stored.size, sha256=stored.sha256, content=stored.content)


def table_part(name: str) -> str:
    """Where the rows of a table of PostgreSQL are in a backup."""
    return f"tables/{name}.copy.gz"


def application_version() -> str:
    """The version of this installation."""
    try:
        return importlib.metadata.version("formstream")
    except importlib.metadata.PackageNotFoundError:
        return "of a checkout that is not installed"


def _key(named: Named) -> str:
    return named.key if named.key is not None else final_object(named.tenant_id, named.file_id or "")


def _scratch(database: DatabaseSettings) -> Path:
    """Beside the database, whose disk may be trusted with what people answered; the backup's own need not be."""
    place = database_file(database)
    return place.with_name(f"{place.name}.backup")


def _encryption(wish: Wish, earlier: Sequence[AnyPath]) -> Encryption | None:
    if not wish.passphrase and not wish.recipients:
        return None
    found = (folder / manifest.IDENTITY for folder in earlier)
    return wish.encryption(next((each.read_bytes() for each in found if each.exists()), b""))


def _earlier(left: Sequence[AnyPath], last: Sequence[AnyPath], encryption: Encryption | None) -> list[Earlier]:
    folders = [(folder, False) for folder in left] + [(folder, True) for folder in last]
    found = [earlier_in(folder, encryption, finished=finished) for folder, finished in folders]
    return [each for each in found if each is not None]


def _told(encryption: Encryption | None) -> EncryptedFor | None:
    if encryption is None:
        return None
    return EncryptedFor(recipients=encryption.names, passphrase=bool(encryption.identity_file))


async def _remember(settings: Settings, made: Backup) -> None:
    """Tell of the backup where monitoring looks: in the data folder and in the database."""
    now = utc_now()
    note = {
        "id": made.manifest.id,
        "folder": str(made.folder),
        "taken_at": made.manifest.taken_at.isoformat(),
        "finished_at": now.isoformat(),
        "bytes": made.manifest.size,
    }
    if settings.data_dir.is_dir():
        write_private(settings.data_dir / LAST, json.dumps(note, indent=2) + "\n")
    figures = {"last_success": _seconds(made.manifest.taken_at), "bytes": float(made.manifest.size)}
    seen = Seen(BACKUP, healthy=True, detail=made.manifest.id, figures=figures, checked_at=now)
    async with Database(settings.database()) as database:
        await database.transact(partial(component_state.note, parts=[seen]))


def _seconds(moment: datetime) -> float:
    return round(moment.timestamp(), 3)
