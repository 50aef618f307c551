"""Whether a backup is what was made: every file of it against its checksum."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from serve_app.backup import manifest
from serve_app.backup.encryption import Keys, opened
from serve_app.backup.errors import BackupUnusable
from serve_app.backup.files import ENCRYPTED, copies_in
from serve_app.backup.manifest import Manifest
from serve_app.backup.parts import sum_of
from serve_app.backup.progress import Progress

_TOLD_EVERY: Final = 100


async def check(folder: Path, found: Manifest, progress: Progress) -> None:
    """Compare all files with their checksums. Raises BackupUnusable with the name of the first that is not what was
    written."""
    with progress.step("Check the backup"):
        await asyncio.to_thread(_check, folder, found, progress)


def _check(folder: Path, found: Manifest, progress: Progress) -> None:
    for number, (name, size, sha256) in enumerate(_files(folder, found), start=1):
        _compare(folder, name, size, sha256)
        if number % _TOLD_EVERY == 0:
            progress.report(number, found.objects.count + len(found.parts))


def _compare(folder: Path, name: str, size: int, sha256: str) -> None:
    try:
        actual = sum_of(folder / name)
    except FileNotFoundError:
        raise BackupUnusable(f"{name} is missing in the backup.") from None
    except OSError as error:
        raise BackupUnusable(f"{name} cannot be read ({error.strerror}).") from None
    if actual != (size, sha256):
        raise BackupUnusable(f"{name} is damaged: its checksum is not the one that was written.")


def _files(folder: Path, found: Manifest) -> Iterator[tuple[str, int, str]]:
    # The index is one of the parts, so that what it says is checked before it is believed.
    for name, part in found.parts.items():
        yield name, part.size, part.sha256
    suffix = ENCRYPTED if found.encryption is not None else ""
    count = 0
    for copy in copies_in(folder):
        count += 1
        yield f"{copy.store_name}{suffix}", copy.size, copy.sha256
    if count != found.objects.count:
        raise BackupUnusable(f"The backup lists {count} files instead of {found.objects.count}.")


def keys_of(folder: Path, found: Manifest, passphrase: str, identities: Keys) -> Keys:
    """What opens the parts: none for a backup that is not encrypted. Raises BackupUnusable."""
    if found.encryption is None:
        return ()
    if identities:
        return identities
    if not found.encryption.passphrase:
        names = ", ".join(found.encryption.recipients)
        raise BackupUnusable(f"The backup is encrypted for {names}: name the file of its key with --identity.")
    if not passphrase:
        raise BackupUnusable("The backup is encrypted: FORMSTREAM_BACKUP_PASSPHRASE is not set.")
    identity = found.parts[manifest.IDENTITY]
    _compare(folder, manifest.IDENTITY, identity.size, identity.sha256)
    return opened((folder / manifest.IDENTITY).read_bytes(), passphrase)
