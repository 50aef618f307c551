"""Archives of `mongodump --archive`: collections in turns in one stream, taken apart into a file for each.

The format is that of MongoDB's own tools: a magic number, blocks of a header and documents, and four bytes that no
document begins with at the end of each block.
"""

import struct
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any, Final

import bson
from bson.errors import BSONError

from deployments.imports.errors import FileUnreadable
from deployments.imports.legacy.documents import MAX_DOCUMENT, opened, take

MAGIC: Final = 0x8199E26D
END: Final = b"\xff\xff\xff\xff"
_MOST_COLLECTIONS: Final = 500


def is_archive(path: Path) -> bool:
    """Whether the file begins as an archive does, compressed or not."""
    with opened(path) as file:
        return take(file, 4) == struct.pack("<I", MAGIC)


def unpack(path: Path, folder: Path) -> None:
    """Write `folder/<database>/<collection>.bson` for each collection of the archive.

    What is cut off at the end is missing there, and the last document with it. Raises FileUnreadable for what is no
    archive.
    """
    with opened(path) as file, ExitStack() as files:
        take(file, 4)
        targets: dict[tuple[str, str], IO[bytes]] = {}
        blocks = _blocks(file)
        # What comes first says which collections there are; the headers say it again.
        next(blocks, None)
        for header, documents in blocks:
            name = (_plain_name(header.get("db")), _plain_name(header.get("collection")))
            if name not in targets:
                if len(targets) == _MOST_COLLECTIONS:
                    raise FileUnreadable(f"The archive has more than {_MOST_COLLECTIONS} collections.")
                (folder / name[0]).mkdir(parents=True, exist_ok=True)
                targets[name] = files.enter_context((folder / name[0] / f"{name[1]}.bson").open("wb"))
            for document in documents:
                targets[name].write(document)


def _blocks(file: IO[bytes]) -> Iterator[tuple[dict[str, Any], Iterator[bytes]]]:
    while (first := _document(file)) is not None:
        if len(first) < struct.unpack("<i", first[:4])[0]:
            # The archive is cut off here.
            return
        try:
            header = bson.decode(first)
        except BSONError as error:
            raise FileUnreadable("The archive is broken: a header is no BSON.") from error
        documents = _until_end(file)
        yield header, documents
        for _ in documents:
            pass


def _until_end(file: IO[bytes]) -> Iterator[bytes]:
    while (document := _document(file)) is not None:
        yield document


def _document(file: IO[bytes]) -> bytes | None:
    """The next document as it is, None at the end of a block or of the file."""
    head = take(file, 4)
    if len(head) < 4 or head == END:
        return None
    size = struct.unpack("<i", head)[0]
    if not 5 <= size <= MAX_DOCUMENT:
        raise FileUnreadable("The archive is broken: no document begins where one should.")
    # Cut off, it is told of where the documents are read.
    return head + take(file, size - 4)


def _plain_name(name: Any) -> str:
    text = str(name or "")
    if not text or "/" in text or "\0" in text or text.startswith("."):
        raise FileUnreadable("The archive names a collection that can be no file.")
    return text
