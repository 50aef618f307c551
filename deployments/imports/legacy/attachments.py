"""The bytes of files: below a folder, or in pieces as GridFS keeps them."""

import base64
import binascii
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

from deployments.imports.legacy.documents import Document
from deployments.imports.legacy.reading import Members, text_of
from deployments.imports.legacy.spool import Spool
from deployments.imports.legacy.values import id_of, plain

OF_RESPONSE: Final = "files.of"
BY_ID: Final = "files.by_id"
CHUNKS: Final = "chunks"
MISSING: Final = "file.missing"
INCOMPLETE: Final = "file.incomplete"

_PIECE: Final = 1 << 18
_RESPONSE: Final = ("formresponseid", "responseid", "submissionid", "formresponse", "response")


@dataclass(frozen=True, slots=True)
class Attachment:
    """A document about a file. `names` are what an answer may call it."""

    document: Document
    name: str
    field: str
    size: int | None
    grid_id: str
    paths: tuple[str, ...]
    names: frozenset[str]
    extra: dict[str, Any]


def response_of(body: Mapping[str, Any]) -> str:
    """What the response of a file is called; empty when it names none."""
    members = Members(body)
    inner = members.take("metadata")
    found = id_of(members.take(*_RESPONSE))
    return found or (id_of(Members(inner).take(*_RESPONSE)) if isinstance(inner, dict) else "")


def read(document: Document) -> Attachment:
    """What a document says about its file."""
    inner = document.body.get("metadata")
    members = Members({**(inner if isinstance(inner, dict) else {}), **document.body})
    members.take(*_RESPONSE, "id", "v", "metadata", "md5", "chunksize", "uploaddate", "createdat", "uploadedat")
    members.take("contenttype", "mimetype", "type", "formid", "form", "deleted", "isdeleted")
    original = members.text("originalname", "originalfilename", "filename", "name")
    stored = members.text("filename", "name", "storedname")
    paths = [members.text("path", "filepath", "storagepath", "location"), members.text("key"), members.text("url")]
    size = members.take("size", "length", "filesize")
    grid_id = id_of(members.take("gridfsid", "fileid", "gridid"))
    places = tuple(dict.fromkeys(filter(None, (*paths, stored, original, document.source_id))))
    return Attachment(
        document=document,
        name=original or "file",
        field=members.text("fieldid", "field", "questionid", "fieldname"),
        size=size if isinstance(size, int) else None,
        grid_id=grid_id or document.source_id,
        paths=places,
        names=frozenset((*places, grid_id, document.source_id)) - {""},
        extra={name: value for name, value in members.left() if name != "_id"},
    )


def tokens(value: Any) -> Iterator[str]:
    """Every text in an answer that may name a file."""
    if isinstance(value, dict):
        for part in value.values():
            yield from tokens(part)
    elif isinstance(value, list):
        for part in value:
            yield from tokens(part)
    elif text := text_of(value):
        yield text


def keep_chunk(spool: Spool, body: Mapping[str, Any]) -> None:
    """Keep a piece of GridFS until its file is asked for; what is none is missed then."""
    of, number, data = id_of(plain(body.get("files_id"), {})), plain(body.get("n"), {}), body.get("data")
    if isinstance(data, dict):
        data = plain(data, {})
    if isinstance(data, str):
        data = _decoded(data)
    if of and isinstance(number, int) and isinstance(data, bytes):
        spool.put(CHUNKS, of, number, bytes(data))


class FileSource:
    """Finds the bytes of files: in GridFS, else below a folder and nowhere else."""

    def __init__(self, spool: Spool, folder: Path) -> None:
        self._spool = spool
        self._folder = folder.resolve()

    def find(self, attachment: Attachment) -> "Bytes | str":
        """Where the bytes are, or the code of why there are none."""
        sizes = [(number, len(content)) for number, content in self._spool.pieces(CHUNKS, attachment.grid_id)]
        if sizes:
            whole = [number for number, _ in sizes] == list(range(len(sizes)))
            length = sum(size for _, size in sizes)
            if not whole or (attachment.size is not None and length != attachment.size):
                return INCOMPLETE
            return Bytes(self._spool, attachment.grid_id, None, length)
        for path in attachment.paths:
            for candidate in (path.lstrip("/"), PurePosixPath(path.replace("\\", "/")).name):
                found = self._below(candidate)
                if found is not None:
                    return Bytes(self._spool, "", found, found.stat().st_size)
        return MISSING

    def _below(self, path: str) -> Path | None:
        try:
            found = (self._folder / path).resolve()
            return found if found.is_relative_to(self._folder) and found.is_file() else None
        except (OSError, ValueError):
            return None


@dataclass(frozen=True, slots=True)
class Bytes:
    """The bytes of a file, wherever they are."""

    spool: Spool
    grid_id: str
    path: Path | None
    size: int

    async def pieces(self) -> AsyncIterator[bytes]:
        """They in pieces."""
        if self.path is None:
            for _, content in self.spool.pieces(CHUNKS, self.grid_id):
                yield content
            return
        with self.path.open("rb") as file:
            while piece := file.read(_PIECE):
                yield piece


def _decoded(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
