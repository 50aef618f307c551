"""Where backups lie: a folder, or a URL of an object store as `s3://bucket/prefix`."""

from pathlib import Path
from typing import Final, TypeAlias
from urllib.parse import unquote, urlsplit

from serve_app.backup.errors import BackupFailed, BackupUnusable
from serve_app.backup.manifest import MANIFEST
from serve_app.backup.shelf import Shelf
from serve_app.backup.store_path import AnyPath, StorePath
from serve_app.backup.store_shelf import StoreShelf
from serve_app.settings import Settings

_REMOTE: Final = "://"

AnyShelf: TypeAlias = Shelf | StoreShelf


def place_of(settings: Settings, named: str | Path) -> AnyPath:
    """What a name means: a local path, or one in a store, reached as the settings say. Raises BackupUnusable."""
    named = named or settings.backup_url
    if not named:
        raise BackupUnusable("Name a folder or a URL, or set FORMSTREAM_BACKUP_URL.")
    if isinstance(named, Path) or _REMOTE not in named:
        return Path(named)
    if named.startswith("file:"):
        return Path(unquote(urlsplit(named).path))
    try:
        return StorePath.at(named, **settings.backup_store_options(named))
    except ValueError as error:
        raise BackupUnusable(f"{named} is no place for backups: {error}.") from None


def shelf_at(settings: Settings, named: str | Path) -> AnyShelf:
    """The backups in a place. Raises BackupFailed for one that would be backed up itself, BackupUnusable."""
    place = place_of(settings, named)
    if isinstance(place, Path):
        return Shelf(place)
    if _is_below_files(settings, place):
        raise BackupFailed(
            f"{place} is where the platform keeps its files: each backup would have those before it in it.",
            "Name another bucket, or a prefix that is not below FORMSTREAM_OBJECT_STORE_URL.",
        )
    return StoreShelf(place)


def backup_at(settings: Settings, named: str | Path) -> AnyPath:
    """The backup that is named, or the newest of those in the place that is. Raises BackupUnusable."""
    place = place_of(settings, named)
    try:
        if (place / MANIFEST).exists():
            return place
    except OSError as error:
        raise BackupUnusable(f"{place} cannot be read ({error.strerror}).") from None
    return Shelf(place).newest() if isinstance(place, Path) else StoreShelf(place).newest()


def _is_below_files(settings: Settings, place: StorePath) -> bool:
    files = settings.object_store().rstrip("/")
    ours, theirs = settings.object_store_options(), settings.backup_store_options(place.url)
    return f"{place}/".startswith(f"{files}/") and ours.get("endpoint") == theirs.get("endpoint")
