"""Whether a backup is what was made: every file of it against its checksum."""

import asyncio
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final

from serve_app.backup import manifest
from serve_app.backup.encryption import Keys, opened
from serve_app.backup.errors import BackupUnusable
from serve_app.backup.files import ENCRYPTED, copies_in, together
from serve_app.backup.manifest import Manifest
from serve_app.backup.parts import sum_of
from serve_app.backup.progress import Progress
from serve_app.backup.store_path import AnyPath

_AT_ONCE: Final = 4
_TOLD_EVERY: Final = 128


async def check(folder: AnyPath, found: Manifest, progress: Progress) -> None:
    """Compare all files with their checksums. Raises BackupUnusable with the name of one that is not what was
    written."""
    with progress.step("Check the backup"):
        # The index is one of the parts, so that what it says is checked before it is believed.
        await _compare_all(folder, [(name, part.size, part.sha256) for name, part in found.parts.items()])
        files = iter(_files(folder, found))
        done = 0
        while batch := await asyncio.to_thread(list, islice(files, _TOLD_EVERY)):
            await _compare_all(folder, batch)
            progress.report(done := done + len(batch), found.objects.count)


async def _compare_all(folder: AnyPath, files: Sequence[tuple[str, int, str]]) -> None:
    # A store takes its time to answer, whatever the size.
    turns = asyncio.Semaphore(_AT_ONCE)

    async def one(name: str, size: int, sha256: str) -> None:
        async with turns:
            await asyncio.to_thread(_compare, folder, name, size, sha256)

    async with together() as group:
        for each in files:
            group.create_task(one(*each))


def _compare(folder: AnyPath, name: str, size: int, sha256: str) -> None:
    try:
        actual = sum_of(folder / name)
    except FileNotFoundError:
        raise BackupUnusable(f"{name} is missing in the backup.") from None
    except OSError as error:
        raise BackupUnusable(f"{name} cannot be read ({error.strerror}).") from None
    if actual != (size, sha256):
        raise BackupUnusable(f"{name} is damaged: its checksum is not the one that was written.")


def _files(folder: AnyPath, found: Manifest) -> Iterator[tuple[str, int, str]]:
    suffix = ENCRYPTED if found.encryption is not None else ""
    count = 0
    for copy in copies_in(folder):
        count += 1
        yield f"{copy.store_name}{suffix}", copy.size, copy.sha256
    if count != found.objects.count:
        raise BackupUnusable(f"The backup lists {count} files instead of {found.objects.count}.")


def keys_of(folder: AnyPath, found: Manifest, passphrase: str, identities: Keys) -> Keys:
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
