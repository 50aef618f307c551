"""Documents that are needed out of their order, kept on disk meanwhile: versions by form, files by response."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import orjson

from deployments.imports.legacy.documents import Document

_TABLE: Final = """
CREATE TABLE kept (shelf TEXT, key TEXT, number INTEGER, content BLOB, used INTEGER DEFAULT 0);
CREATE INDEX kept_key ON kept (shelf, key, number);
"""
_KEPT: Final = ("collection", "place", "source_id", "sha256", "body", "notes", "problem")


class Spool:
    """Shelves of things by their keys; a context, at whose end they are gone."""

    def __init__(self, folder: Path) -> None:
        self._database = sqlite3.connect(folder / "spool.db", isolation_level=None, check_same_thread=False)
        self._database.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;" + _TABLE)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._database.close()

    def put(self, shelf: str, key: str, number: int, content: bytes) -> None:
        """Keep bytes."""
        row = (shelf, key, number, content)
        self._database.execute("INSERT INTO kept (shelf, key, number, content) VALUES (?, ?, ?, ?)", row)

    def pieces(self, shelf: str, key: str) -> Iterator[tuple[int, bytes]]:
        """The bytes below a key in the order of their numbers."""
        query = "SELECT number, content FROM kept WHERE shelf = ? AND key = ? ORDER BY number"
        yield from self._database.execute(query, (shelf, key))

    def put_document(self, shelf: str, key: str, document: Document) -> None:
        """Keep a document."""
        self.put(shelf, key, 0, orjson.dumps([getattr(document, name) for name in _KEPT]))

    def take_documents(self, shelf: str, key: str) -> list[Document]:
        """The documents below a key that nobody took before, in their order."""
        query = "SELECT rowid, content FROM kept WHERE shelf = ? AND key = ? AND used = 0 ORDER BY rowid"
        rows = self._database.execute(query, (shelf, key)).fetchall()
        if rows:
            self._database.execute("UPDATE kept SET used = 1 WHERE shelf = ? AND key = ?", (shelf, key))
        return [_document(content) for _, content in rows]

    def left(self, shelf: str) -> Iterator[Document]:
        """The documents of a shelf that nobody took, in their order."""
        last = 0
        query = "SELECT rowid, content FROM kept WHERE shelf = ? AND used = 0 AND rowid > ? ORDER BY rowid LIMIT 500"
        while rows := self._database.execute(query, (shelf, last)).fetchall():
            last = rows[-1][0]
            yield from (_document(content) for _, content in rows)

    def is_empty(self, shelf: str) -> bool:
        """Whether there is nothing on a shelf."""
        return self._database.execute("SELECT 1 FROM kept WHERE shelf = ? LIMIT 1", (shelf,)).fetchone() is None


def _document(content: bytes) -> Document:
    values: list[Any] = orjson.loads(content)
    return Document(*values)
