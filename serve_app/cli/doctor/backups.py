"""Where backups go, and who could read them there."""

import asyncio
from typing import Final
from uuid import uuid4

from serve_app.backup.places import shelf_at
from serve_app.backup.store_shelf import StoreShelf
from serve_app.cli.doctor.finding import Finding, doubtful, fine, wrong
from serve_app.cli.doctor.installation import Installation
from serve_app.cli.failure import CommandFailed
from serve_app.settings import Settings

_CURE: Final = (
    "See FORMSTREAM_BACKUP_URL and FORMSTREAM_BACKUP_STORE_*: the bucket has to exist, and the key may read, write, "
    "list and delete in it."
)


async def examine(installation: Installation) -> list[Finding]:
    """Look at the place that is set."""
    settings = installation.settings
    return [await asyncio.to_thread(place, settings), encryption(settings)]


def place(settings: Settings) -> Finding:
    """A store is written to, read from, and cleaned up."""
    name = "backups.place"
    if not settings.backup_url:
        return fine(name, "None is set: each command names one.")
    try:
        shelf = shelf_at(settings, "")
        if not isinstance(shelf, StoreShelf):
            return fine(name, f"{shelf.root} is a folder; see that what is in it goes elsewhere.")
        content, path = b"written by formstream doctor", shelf.root / f"doctor-{uuid4().hex}"
        path.write_bytes(content)
        read = path.read_bytes()
        path.unlink()
        count = len(shelf.complete())
    except CommandFailed as error:
        return wrong(name, error.sentences[0], _CURE)
    except OSError as error:
        return wrong(name, f"{settings.backup_url} cannot be used: {error.strerror}.", _CURE)
    if read != content:
        return wrong(name, f"{shelf.root} gave back something else than was written.", _CURE)
    return fine(name, f"{shelf.root} can be written and read; it has {count} backups.")


def encryption(settings: Settings) -> Finding:
    """Who has the bucket has the answers."""
    name = "backups.encryption"
    if settings.backup_passphrase.get_secret_value():
        return fine(name, "Backups are encrypted.")
    if not settings.backup_url or settings.backup_url.startswith(("/", "file:")):
        return fine(name, "Backups are encrypted where the command says so.")
    return doubtful(
        name,
        f"Whoever reads {settings.backup_url} reads every answer: no passphrase is set.",
        "Set FORMSTREAM_BACKUP_PASSPHRASE and keep it elsewhere, or give each command a --recipient.",
    )
