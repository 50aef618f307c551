"""A SQLite database as one file: copied page by page in a reader's snapshot, checked, and given its place."""

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final

from sqlalchemy import make_url

from db.errors import DatabaseError
from db.settings import DatabaseSettings

_PAGES_AT_ONCE: Final = 512
_SIDE_FILES: Final = ("-wal", "-shm", "-journal")


def database_file(settings: DatabaseSettings) -> Path:
    """Where a SQLite database is."""
    return Path(make_url(settings.url).database or "")


def copy_pages(source: sqlite3.Connection, path: Path, report: Callable[[int, int], None]) -> None:
    """Copy what `source`, which is in a read transaction, sees into a new file.

    Others may write meanwhile: inside its transaction the source keeps seeing the same pages.
    """
    forget_file(path)
    path.touch(mode=0o600)
    with closing(sqlite3.connect(path)) as target:
        source.backup(
            target,
            pages=_PAGES_AT_ONCE,
            progress=lambda _, remaining, total: report(total - remaining, total),
            sleep=0,
        )


def check_file(path: Path) -> None:
    """See that the file is a whole database. Raises DatabaseError."""
    try:
        with closing(sqlite3.connect(path)) as connection:
            ((found,),) = connection.execute("PRAGMA integrity_check(1)").fetchall()
    except sqlite3.DatabaseError as error:
        raise DatabaseError(f"the database file cannot be read: {error}") from error
    if found != "ok":
        raise DatabaseError(f"the database file is damaged: {found}")


def forget_file(path: Path) -> None:
    """Remove a database file and what SQLite keeps beside it."""
    for name in ("", *_SIDE_FILES):
        path.with_name(path.name + name).unlink(missing_ok=True)


def put_in_place(fresh: Path, place: Path) -> None:
    """Give a database file its place, durably and at once; nobody may have either open."""
    with fresh.open("rb") as file:
        os.fsync(file.fileno())
    forget_file(place)
    fresh.replace(place)
    folder = os.open(place.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
