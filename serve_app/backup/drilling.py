"""A drill: a backup is restored into a scratch place, what came back is looked at, and the place is removed."""

import fcntl
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Final

from pydantic import SecretStr
from sqlalchemy.exc import DBAPIError

from db.backup.scratch import scratch_database
from db.backup.sqlite_file import database_file
from db.engine import normalise_url
from db.errors import DatabaseError
from db.repositories import component_state
from db.repositories.component_state import Seen
from db.repositories.samples import SampleRepository
from db.repositories.tenants import TenantDirectory
from db.session import Database
from db.types import utc_now
from deployments.audit.deployment import Audit
from deployments.events.measuring import DRILL
from deployments.files.places import final_object
from deployments.kit.contract import Contract
from deployments.kit.engine import CompiledForm, compile_form, stored_definition
from deployments.kit.objects import ObjectStore
from deployments.kit.principal import Principal
from deployments.kit.secret_keys import KeyLine, written_keys
from serve_app.backup import manifest
from serve_app.backup.configuration import keys_in
from serve_app.backup.encryption import Keys
from serve_app.backup.manifest import Manifest
from serve_app.backup.progress import SILENCE, Progress
from serve_app.backup.restoring import restore
from serve_app.backup.store_path import AnyPath
from serve_app.cli.failure import CommandFailed
from serve_app.cli.private_file import write_private
from serve_app.settings import Settings

_PREFIX: Final = "formstream-drill-"
_IN_USE: Final = "in-use"
_TENANTS: Final = 200
_SHOWN: Final = 3


@dataclass(frozen=True, slots=True)
class Drill:
    """What is looked at, and where: `sample` responses and files of each tenant, chosen by `seed`."""

    sample: int = 100
    seed: int = 1
    scratch: Path | None = None
    server: str | None = None


class Check(Contract):
    """One thing that was looked at, and what was found."""

    name: str
    ok: bool
    said: str


class Report(Contract):
    """What a drill found; `wrong` names everything that is not as it should be."""

    backup: str
    taken_at: datetime
    checks: tuple[Check, ...]
    wrong: tuple[str, ...]
    seconds: float


async def drill_backup(
    settings: Settings,
    folder: AnyPath,
    wanted: Drill,
    *,
    passphrase: str = "",
    identities: Keys = (),
    progress: Progress = SILENCE,
) -> Report:
    """Try a backup. Raises BackupUnusable when there is none, DatabaseError when there is no place to try it in."""
    started = time.monotonic()
    found = manifest.read(folder)
    looking = _Looking(found, wanted)
    async with _scratch_place(settings, found, wanted) as place:
        try:
            done = await restore(place, folder, passphrase=passphrase, identities=identities, progress=progress)
        except (CommandFailed, DatabaseError) as error:
            sentences = error.sentences if isinstance(error, CommandFailed) else (str(error),)
            looking.note("restore", list(sentences), "it cannot be restored")
        else:
            looking.note("restore", [], f"{done.rows} rows of {len(found.tables)} tables and {done.files} files")
            await looking.look(place, progress)
    return Report(
        backup=found.id,
        taken_at=found.taken_at,
        checks=tuple(looking.checks),
        wrong=tuple(looking.wrong),
        seconds=round(time.monotonic() - started, 3),
    )


async def remember(settings: Settings, report: Report) -> bool:
    """Tell of a drill where monitoring looks, in the platform's database; whether that is there."""
    where = settings.database()
    if where.is_sqlite and not database_file(where).exists():
        return False
    now = utc_now()
    figures = {"findings": float(len(report.wrong))}
    if not report.wrong:
        figures["last_success"] = round(now.timestamp(), 3)
    part = Seen(DRILL, healthy=not report.wrong, detail=report.backup, figures=figures, checked_at=now)
    try:
        async with Database(where) as database:
            await database.transact(partial(component_state.note_over, part=part))
    except (DatabaseError, DBAPIError):
        return False
    return True


class _Looking:
    """Looks at a restored platform."""

    def __init__(self, found: Manifest, wanted: Drill) -> None:
        self._manifest = found
        self._wanted = wanted
        self.checks: list[Check] = []
        self.wrong: list[str] = []
        self._rules: dict[tuple[str, str, int], CompiledForm | None] = {}

    def note(self, name: str, wrong: list[str], said: str) -> None:
        """Write down what was found of one thing."""
        self.checks.append(Check(name=name, ok=not wrong, said=said))
        self.wrong += wrong

    async def look(self, place: Settings, progress: Progress) -> None:
        """Everything, tenant by tenant."""
        store = ObjectStore(place.object_store(), **place.object_store_options())
        async with Database(place.database()) as database:
            # Of the platform's own there is an audit trail, and no row.
            tenants = sorted({*self._manifest.audit, *[each async for each in _tenants(database)]})
            with progress.step("Verify the audit trails"):
                await self._each("audit trails", tenants, lambda tenant: self._audit(database, tenant))
            with progress.step("Look at responses"):
                await self._each("responses", tenants, lambda tenant: self._responses(database, tenant))
            with progress.step("Look at files"):
                await self._each("files", tenants, lambda tenant: self._files(database, store, tenant))

    async def _each(
        self, name: str, tenants: list[str], look: Callable[[str], Awaitable[tuple[int, list[str]]]]
    ) -> None:
        count, wrong = 0, list[str]()
        for tenant_id in tenants:
            looked, found = await look(tenant_id)
            count += looked
            wrong += found
        shown = f"{count} looked at in {len(tenants)} tenants, {len(wrong) or 'nothing'} wrong"
        if name == "files" and self._manifest.objects.lost:
            shown += f"; {len(self._manifest.objects.lost)} were lost before the backup"
        self.note(name, wrong, shown)

    async def _audit(self, database: Database, tenant_id: str) -> tuple[int, list[str]]:
        """The chain, from its first entry to the end that the backup noted."""
        found = await Audit(database).verify(Principal.system(tenant_id, "audit"))
        noted = self._manifest.audit.get(tenant_id)
        if not found.valid:
            return 1, [f"The audit trail of {tenant_id} is broken at entry {found.first_broken}."]
        if noted is not None and (found.head.sequence, found.head.hash) != (noted.sequence, noted.hash):
            return 1, [f"The audit trail of {tenant_id} does not end where the backup says."]
        return 1, []

    async def _responses(self, database: Database, tenant_id: str) -> tuple[int, list[str]]:
        wrong: list[str] = []
        async with database.read(tenant_id) as unit:
            samples = SampleRepository(unit.session, tenant_id)
            ids = await samples.responses(self._wanted.sample, self._wanted.seed)
            for response_id in ids:
                try:
                    fault = await self._fault(samples, tenant_id, response_id)
                except (ValueError, TypeError) as error:
                    fault = f"cannot be read: {error}"
                if fault is not None:
                    wrong.append(f"The response {response_id} of {tenant_id} {fault}.")
        return len(ids), wrong

    async def _fault(self, samples: SampleRepository, tenant_id: str, response_id: str) -> str | None:
        """What is wrong with a response. That answers are missing is not: partial ones, and those of erased persons."""
        row = await samples.response(response_id)
        if row is None or row.status == "purged":
            return None
        key = (tenant_id, row.form_id, row.version)
        if key not in self._rules:
            version = await samples.version(row.form_id, row.version)
            self._rules[key] = None if version is None else compile_form(stored_definition(version.definition))
        rules = self._rules[key]
        if rules is None:
            return f"answers version {row.version} of {row.form_id}, which is missing"
        _, faults = rules.check(row.answers, partial=True, now=row.updated_at or row.submitted_at)
        if faults:
            shown = ", ".join(f"{fault.pointer} {fault.code}" for fault in faults[:_SHOWN])
            return f"does not fit its form: {shown}"
        for _, file_id in rules.files(row.answers):
            if await samples.file(file_id) is None:
                return f"names the file {file_id}, which is missing"
        return None

    async def _files(self, database: Database, store: ObjectStore, tenant_id: str) -> tuple[int, list[str]]:
        async with database.read(tenant_id) as unit:
            samples = SampleRepository(unit.session, tenant_id)
            ids = await samples.files(self._wanted.sample, self._wanted.seed)
            rows = [row for file_id in ids if (row := await samples.file(file_id)) is not None]
        wrong: list[str] = []
        for row in rows:
            key = final_object(tenant_id, row.id)
            if row.state != "stored" or key in self._manifest.objects.lost:
                continue
            digest = hashlib.sha256()
            try:
                async for piece in store.read(key):
                    digest.update(piece)
            except FileNotFoundError:
                wrong.append(f"The file {row.id} of {tenant_id} is missing.")
                continue
            if digest.hexdigest() != row.sha256:
                wrong.append(f"The file {row.id} of {tenant_id} is not the one that was sent.")
        return len(rows), wrong


async def _tenants(database: Database) -> AsyncIterator[str]:
    after: str | None = None
    while True:
        async with database.unscoped_read() as unit:
            page = await TenantDirectory(unit.session).page_over_all_tenants(after, _TENANTS)
        for tenant in page:
            yield tenant.id
        if len(page) < _TENANTS:
            return
        after = page[-1].id


@asynccontextmanager
async def _scratch_place(settings: Settings, found: Manifest, wanted: Drill) -> AsyncIterator[Settings]:
    """An empty place of the backup's dialect, removed at the end whatever happens."""
    keys = keys_in(settings)
    with _scratch_folder(wanted.scratch) as folder:
        if keys:
            write_private(folder / "secret.key", written_keys(map(KeyLine, keys)))
        changes = {
            "data_dir": folder,
            "database_url": "",
            "database_replica_urls": "",
            "object_store_url": "",
            "models_dir": None,
            # In the folder, where a restore adds those of the backup.
            "secret_key": SecretStr(""),
            "old_secret_keys": SecretStr(""),
            "secret_key_file": None,
        }
        if found.dialect == "sqlite":
            yield settings.model_copy(update=changes)
            return
        named = settings if wanted.server is None else settings.model_copy(update={"database_url": wanted.server})
        server = named.database()
        if server.is_sqlite:
            raise CommandFailed("The backup is of a PostgreSQL database: name a server for the trial with --server.")
        async with scratch_database(server) as database:
            yield settings.model_copy(update={**changes, "database_url": normalise_url(database.url)})


@contextmanager
def _scratch_folder(parent: Path | None) -> Iterator[Path]:
    """A new folder; what is left of drills that were killed is removed first."""
    root = Path(tempfile.gettempdir()) if parent is None else parent.expanduser().resolve()
    root.mkdir(parents=True, exist_ok=True)
    for left in root.glob(f"{_PREFIX}*"):
        _remove_unless_used(left)
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=root))
    file = os.open(folder / _IN_USE, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(file)


def _remove_unless_used(left: Path) -> None:
    try:
        file = os.open(left / _IN_USE, os.O_RDWR)
    except OSError:  # of somebody else, or just begun
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(left, ignore_errors=True)
    except BlockingIOError:
        pass
    finally:
        os.close(file)
