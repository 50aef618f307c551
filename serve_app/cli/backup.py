"""Backups by command: made, listed, restored, tried."""

import asyncio
import json
import signal
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, Final, TypeVar

import typer
from rich.console import Console
from rich.text import Text

from serve_app.backup.drilling import Drill, Report, drill_backup, remember
from serve_app.backup.encryption import Keys, Wish, read_identities
from serve_app.backup.errors import BackupUnusable
from serve_app.backup.making import Backup, back_up, wish_of
from serve_app.backup.manifest import Manifest
from serve_app.backup.manifest import read as read_manifest
from serve_app.backup.places import backup_at, shelf_at
from serve_app.backup.restoring import Restored
from serve_app.backup.restoring import restore as restore_backup
from serve_app.backup.store_path import AnyPath
from serve_app.cli.failure import CommandFailed
from serve_app.cli.steps import Steps
from serve_app.settings import Settings

_MIB: Final = 1 << 20

Result = TypeVar("Result")


def make(
    settings: Settings,
    target: str,
    *,
    encrypt: bool,
    recipients: list[str],
    keep: int | None,
    full: bool,
    as_json: bool,
) -> None:
    """Make a backup and print what it is. Raises BackupFailed, BackupUnusable, DatabaseError, StoreUnavailable."""
    passphrase = wish_of(settings).passphrase
    if encrypt and not passphrase:
        passphrase = _asked("Passphrase", confirm=True)
    wish = Wish(passphrase, tuple(recipients))
    made = _run(back_up(settings, target, wish=wish, keep=keep, full=full, progress=_steps()))
    if as_json:
        _print_json(_made(made))
    else:
        _tell_made(made)


def show(settings: Settings, target: str, *, as_json: bool) -> None:
    """Print the backups in a place, and what is left of others. Raises BackupFailed, BackupUnusable."""
    shelf = shelf_at(settings, target)
    try:
        found = [_listed(each) for each in shelf.complete()]
        left = [str(each) for each in shelf.unfinished()]
    except OSError as error:
        raise BackupUnusable(f"{shelf.root} cannot be read ({error.strerror}).") from None
    if as_json:
        _print_json({"backups": found, "unfinished": left})
        return
    for each in found:
        if "wrong" in each:
            _say(f"{each['backup']}: {each['wrong']}")
        else:
            kind = "encrypted" if each["encrypted"] else "readable"
            size = f"{each['bytes'] / _MIB:.1f} MiB"
            _say(f"{each['backup']}: {each['rows']} rows, {each['files']} files, {size}, {kind}")
    _say(f"{len(found)} backups in {shelf.root}.")
    for name in left:
        _say(f"No backup, of one that is being made or was broken off: {name}")


def restore(settings: Settings, backup: str, identity: Path | None, *, as_json: bool) -> None:
    """Restore a backup and print what came back. Raises BackupUnusable, RestoreRefused, RestoreFailed."""
    folder = backup_at(settings, backup)
    passphrase, identities = _keys(settings, folder, identity)
    done = _run(restore_backup(settings, folder, passphrase=passphrase, identities=identities, progress=_steps()))
    if as_json:
        _print_json(_restored(done))
    else:
        _tell_restored(settings, done)


def drill(
    settings: Settings,
    backup: str,
    identity: Path | None,
    *,
    sample: int,
    seed: int,
    scratch: Path | None,
    server: str | None,
    as_json: bool,
) -> None:
    """Try a backup and print the report. Raises CommandFailed when something is wrong."""
    folder = backup_at(settings, backup)
    passphrase, identities = _keys(settings, folder, identity)
    wanted = Drill(sample=sample, seed=seed, scratch=scratch, server=server)
    report, told = _run(_drilled(settings, folder, wanted, passphrase, identities))
    if as_json:
        _print_json(report.model_dump(mode="json"))
    else:
        _tell_report(report)
    if not told:
        Console(stderr=True).print("The platform's database is not here: monitoring is not told of this drill.")
    if report.wrong:
        raise CommandFailed(f"The backup {report.backup} is not in order: {len(report.wrong)} findings.")


async def _drilled(
    settings: Settings, folder: AnyPath, wanted: Drill, passphrase: str, identities: Keys
) -> tuple[Report, bool]:
    report = await drill_backup(
        settings, folder, wanted, passphrase=passphrase, identities=identities, progress=_steps()
    )
    return report, await remember(settings, report)


def _run(work: Coroutine[Any, Any, Result]) -> Result:
    """What `work` returns. SIGTERM ends it as Ctrl-C does, so that it can clear up."""

    async def run() -> Result:
        if (task := asyncio.current_task()) is not None:
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        return await work

    try:
        return asyncio.run(run())
    except asyncio.CancelledError:
        raise typer.Abort from None


def _keys(settings: Settings, folder: AnyPath, identity: Path | None) -> tuple[str, Keys]:
    if identity is not None:
        return "", read_identities(identity)
    found = read_manifest(folder)
    passphrase = wish_of(settings).passphrase
    if found.encryption is not None and found.encryption.passphrase and not passphrase:
        passphrase = _asked("Passphrase of the backup", confirm=False)
    return passphrase, ()


def _asked(prompt: str, *, confirm: bool) -> str:
    if not sys.stdin.isatty():
        raise BackupUnusable("There is nobody to ask for the passphrase: set FORMSTREAM_BACKUP_PASSPHRASE.")
    return str(typer.prompt(prompt, hide_input=True, confirmation_prompt=confirm, err=True))


def _steps() -> Steps:
    # What is printed may be JSON for another program.
    return Steps(Console(stderr=True))


def _made(made: Backup) -> dict[str, Any]:
    return {**_described(made.folder, made.manifest), "files_linked": made.linked, "removed": made.removed}


def _listed(folder: AnyPath) -> dict[str, Any]:
    try:
        return _described(folder, read_manifest(folder))
    except BackupUnusable as error:
        return {"backup": folder.name, "folder": str(folder), "wrong": " ".join(error.sentences)}


def _described(folder: AnyPath, found: Manifest) -> dict[str, Any]:
    return {
        "backup": found.id,
        "folder": str(folder),
        "taken_at": found.taken_at.isoformat(),
        "bytes": found.size,
        "rows": sum(each.rows for each in found.tables.values()),
        "files": found.objects.count,
        "files_lost": found.objects.lost,
        "encrypted": found.encryption is not None,
        "has_secret_key": found.has_secret_key,
    }


def _tell_made(made: Backup) -> None:
    found, said = made.manifest, _made(made)
    _say(f"Backup {found.id} of {found.taken_at:%Y-%m-%d %H:%M:%S} UTC: {said['rows']} rows, {said['files']} files,")
    _say(f"{found.size / _MIB:.1f} MiB in {made.folder}.")
    if not found.has_secret_key:
        _say("The secret key is not in it: keep it elsewhere, or encrypt backups. Without it, stored secrets are lost.")
    if found.objects.lost:
        _say(f"Files that the store had lost before, {len(found.objects.lost)}: {', '.join(found.objects.lost[:5])}.")
    if made.removed:
        _say(f"Removed: {', '.join(made.removed)}.")


def _restored(done: Restored) -> dict[str, Any]:
    return {
        "backup": done.manifest.id,
        "taken_at": done.manifest.taken_at.isoformat(),
        "rows": done.rows,
        "files": done.files,
        "settings": str(done.settings_file),
        "has_secret_key": done.has_secret_key,
    }


def _tell_restored(settings: Settings, done: Restored) -> None:
    _say(f"Restored {done.manifest.id}: {done.rows} rows, {done.files} files; all counts are those of the backup.")
    _say(f"The settings of that platform are in {done.settings_file}; they are not applied.")
    if not done.has_secret_key:
        _say("There is no secret key here, and none in the backup: set FORMSTREAM_SECRET_KEY to that platform's before")
        _say(f"it starts, or put it into {settings.data_dir / 'secret.key'}.")
    _say("The event stream is made anew at the next start.")


def _tell_report(report: Report) -> None:
    for check in report.checks:
        _say(f"  {'✓' if check.ok else '✗'} {check.name}: {check.said}")
    for wrong in report.wrong:
        _say(f"    {wrong}")


def _print_json(value: Any) -> None:
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def _say(sentence: str) -> None:
    Console(highlight=False, soft_wrap=True).print(Text(sentence))
