"""Restoring a backup into an empty place, so that it is either all there or not to be used.

Files come first and the database last, in one transaction or with one renaming. Until then a note in the data folder
keeps the platform from starting; run again, a restore does what is left.
"""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from db import migrate
from db.backup.loading import load_file, load_rows, occupants
from db.backup.snapshot import Table
from db.backup.sqlite_file import database_file, forget_file
from db.repositories import stream_state
from deployments.kit.objects import ObjectStore
from deployments.kit.secret_keys import KeyLine, parse_keys, written_keys
from eventing.streams import EVENTS
from serve_app.backup import manifest
from serve_app.backup.checking import check, keys_of
from serve_app.backup.configuration import ADMIN_FILE, SECRETS, SETTINGS, Secrets, keys_in
from serve_app.backup.encryption import Keys
from serve_app.backup.errors import RestoreFailed, RestoreRefused
from serve_app.backup.files import ENCRYPTED, MODELS, OBJECTS, Copy, copies_in, together
from serve_app.backup.making import DATABASE_FILE, application_version, table_part
from serve_app.backup.manifest import Manifest
from serve_app.backup.parts import read_part
from serve_app.backup.progress import SILENCE, Progress
from serve_app.backup.store_path import AnyPath
from serve_app.cli.instance import InstanceLock
from serve_app.cli.preflight import check_data_dir
from serve_app.cli.private_file import write_private
from serve_app.settings import Settings

MARK: Final = "restoring.json"
"""Lies in the data folder while a restore is not finished."""
RESTORED_SETTINGS: Final = "restored-settings.env"

_REGISTERED: Final = "manifest.json"
_AT_ONCE: Final = 4
_REPORT_EVERY: Final = 50


@dataclass(frozen=True, slots=True)
class Restored:
    """What came back. `settings_file` has the settings of the platform that was backed up, for its operator to look
    at; `has_secret_key` says whether the place has the key that the database's secrets were encrypted with."""

    manifest: Manifest
    rows: int
    files: int
    settings_file: Path
    has_secret_key: bool


async def restore(
    settings: Settings,
    folder: AnyPath,
    *,
    passphrase: str = "",
    identities: Keys = (),
    progress: Progress = SILENCE,
) -> Restored:
    """Bring a backup into the place that the settings describe, which must be empty, or hold what an interrupted
    restore of the same backup left.

    Raises BackupUnusable, RestoreRefused before anything is touched; RestoreFailed, DatabaseError and StoreUnavailable
    afterwards, and then the place cannot be used before a restore has come to its end.
    """
    restoring = await _Restoring.open(settings, folder, passphrase, identities, progress)
    check_data_dir(settings.data_dir)
    with InstanceLock(settings.data_dir):
        await restoring.require_empty()
        await check(folder, restoring.manifest, progress)
        return await restoring.run()


def require_whole(data_dir: Path) -> None:
    """See that no restore was interrupted in this data folder. Raises RestoreRefused."""
    if (backup := _begun(data_dir)) is not None:
        raise RestoreRefused(
            f"The restore of {backup} into {data_dir} did not come to its end: run `formstream restore` again."
        )


class _Restoring:
    def __init__(self, settings: Settings, folder: AnyPath, found: Manifest, keys: Keys, progress: Progress) -> None:
        self._settings = settings
        self._database = settings.database()
        self._folder = folder
        self.manifest = found
        self._keys = keys
        self._suffix = ENCRYPTED if found.encryption is not None else ""
        self._progress = progress
        self._mark = settings.data_dir / MARK
        self._again = _begun(settings.data_dir) == found.id
        self._secrets = Secrets(secret_key="")
        self._files = 0

    @classmethod
    async def open(
        cls, settings: Settings, folder: AnyPath, passphrase: str, identities: Keys, progress: Progress
    ) -> "_Restoring":
        """The backup, if it can be opened and restored by this version. Raises BackupUnusable, RestoreRefused."""
        found = await asyncio.to_thread(manifest.read, folder)
        _require_fit(settings, found)
        passphrase = passphrase or settings.backup_passphrase.get_secret_value()
        keys = await asyncio.to_thread(keys_of, folder, found, passphrase, identities)
        restoring = cls(settings, folder, found, keys, progress)
        await restoring._open_secrets()
        return restoring

    async def _open_secrets(self) -> None:
        if self._keys:
            content = b"".join([piece async for piece in self._read(SECRETS, packed=False)])
            self._secrets = Secrets.model_validate_json(content)
        here, theirs = keys_in(self._settings), self._secrets.every_key()
        if self._settings.secret_key.get_secret_value() and not set(theirs) <= set(here):
            raise RestoreRefused(
                "The secret keys that are set here are not those of the backup. Name its keys among "
                "FORMSTREAM_OLD_SECRET_KEYS, or set no FORMSTREAM_SECRET_KEY: then they are put into the data folder."
            )
        if keys := (*here, *theirs):
            manifest.require_ours(self._folder, keys)

    async def require_empty(self) -> None:
        """Raise RestoreRefused with what is there, unless an interrupted restore of the same backup left it."""
        begun = _begun(self._settings.data_dir)
        if begun is not None and not self._again:
            raise RestoreRefused(
                f"A restore of another backup, {begun}, was interrupted here: run that again, or empty the place and "
                f"remove {self._mark}."
            )
        found = await occupants(self._database)
        strange, count = await self._strangers()
        if count:
            found.append(f"{count} files in the object store that are not in the backup, as {strange}")
        if found:
            raise RestoreRefused(f"A backup is restored into an empty place. There is {', and '.join(found)}.")

    async def _strangers(self) -> tuple[str, int]:
        expected = {copy.key: copy.content for copy in copies_in(self._folder) if copy.area == OBJECTS}
        first, count = "", 0
        async for each in self._store().everything():
            if expected.get(each.key) != each.size:
                first, count = first or each.key, count + 1
        return first, count

    async def run(self) -> Restored:
        """Do it, or what is left of it."""
        write_private(self._mark, json.dumps({"backup": self.manifest.id}) + "\n")
        try:
            with self._progress.step("Restore files"):
                await self._restore_files()
            settings_file = await self._restore_configuration()
            with self._progress.step("Restore the database"):
                await (self._restore_file() if self._database.is_sqlite else self._restore_tables())
        except OSError as error:
            raise RestoreFailed(f"The restore cannot go on: {error}.", "Run it again.") from error
        self._mark.unlink()
        return Restored(
            self.manifest,
            sum(each.rows for each in self.manifest.tables.values()),
            self._files,
            settings_file,
            bool(keys_in(self._settings)),
        )

    async def _restore_files(self) -> None:
        turns = asyncio.Semaphore(_AT_ONCE)
        models = self._settings.models().folder
        stores = {OBJECTS: self._store()}
        registered = {path.parent.relative_to(models).as_posix() for path in models.glob(f"*/*/{_REGISTERED}")}
        last: list[Copy] = []

        async def one(copy: Copy) -> None:
            try:
                await self._restore_one(stores[copy.area], copy)
            finally:
                turns.release()

        async with together() as group:
            for copy in copies_in(self._folder):
                if copy.area == MODELS:
                    if copy.key.rpartition("/")[0] in registered:
                        continue
                    if MODELS not in stores:
                        stores[MODELS] = ObjectStore(models.as_uri())
                    if copy.key.endswith(f"/{_REGISTERED}"):
                        last.append(copy)
                        continue
                await turns.acquire()
                group.create_task(one(copy))
        # A version of a model is one when its manifest is there.
        for copy in last:
            await self._restore_one(stores[MODELS], copy)

    async def _restore_one(self, store: ObjectStore, copy: Copy) -> None:
        there = await store.listed(copy.key) if self._again else None
        if there is None or there.size != copy.content:
            async with (
                aclosing(read_part(copy.path(self._folder, self._suffix), self._keys, packed=False)) as pieces,
                store.writer(copy.key) as writer,
            ):
                async for piece in pieces:
                    await writer.write(piece)
        self._files += 1
        if self._files % _REPORT_EVERY == 0:
            self._progress.report(self._files, self.manifest.objects.count)

    async def _restore_configuration(self) -> Path:
        folder = self._settings.data_dir
        text = b"".join([piece async for piece in self._read(SETTINGS, packed=False)]).decode()
        write_private(folder / RESTORED_SETTINGS, text)
        self._restore_keys()
        if self._secrets.administrator is not None and not (folder / ADMIN_FILE).exists():
            write_private(folder / ADMIN_FILE, f"{self._secrets.administrator}\n")
        return folder / RESTORED_SETTINGS

    def _restore_keys(self) -> None:
        """Where keys are kept, those of the backup are accepted beside those that are there."""
        if self._settings.secret_key.get_secret_value():
            return
        file, here = self._settings.keys_file(), keys_in(self._settings)
        if missing := [key for key in self._secrets.every_key() if key not in here]:
            kept = parse_keys(file.read_text(encoding="utf-8")) if here else ()
            write_private(file, written_keys((*kept, *map(KeyLine, missing))))

    async def _restore_file(self) -> None:
        place = database_file(self._database)
        fresh = place.with_name(f"{place.name}.restoring")
        await asyncio.to_thread(forget_file, fresh)
        await asyncio.to_thread(place.parent.mkdir, parents=True, exist_ok=True)
        file = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            async for piece in self._read(DATABASE_FILE, packed=True):
                await asyncio.to_thread(os.write, file, piece)
        finally:
            os.close(file)
        await load_file(self._database, fresh, self._rows, _finish)

    async def _restore_tables(self) -> None:
        tables = [Table(name, found.columns) for name, found in self.manifest.tables.items()]
        done = 0

        def read(table: Table) -> AsyncIterator[bytes]:
            nonlocal done
            self._progress.report(done := done + 1, len(tables))
            return self._read(table_part(table.name), packed=True)

        await load_rows(self._database, self.manifest.revision, tables, self._rows, read, _finish)

    @property
    def _rows(self) -> dict[str, int]:
        return {name: found.rows for name, found in self.manifest.tables.items()}

    def _read(self, name: str, *, packed: bool) -> AsyncIterator[bytes]:
        return read_part(self._folder / f"{name}{self._suffix}", self._keys, packed=packed)

    def _store(self) -> ObjectStore:
        return ObjectStore(self._settings.object_store(), **self._settings.object_store_options())


_finish = partial(stream_state.abandon, name=EVENTS)


def _require_fit(settings: Settings, found: Manifest) -> None:
    dialect = "sqlite" if settings.database().is_sqlite else "postgresql"
    if found.dialect != dialect:
        raise RestoreRefused(
            f"The backup is of a {found.dialect} database, and FORMSTREAM_DATABASE_URL names one of {dialect}."
        )
    if not migrate.knows(found.revision):
        raise RestoreRefused(
            f"The backup was made by version {found.application} with the schema {found.revision}, which this version, "
            f"{application_version()}, does not know yet: install that version or a later one."
        )


def _begun(data_dir: Path) -> str | None:
    """The backup whose restore was interrupted here."""
    try:
        return str(json.loads((data_dir / MARK).read_text(encoding="utf-8"))["backup"])
    except FileNotFoundError:
        return None
