"""A dump on disk: which collections it has, in which files, whatever tool wrote them."""

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from deployments.imports.errors import FileUnreadable
from deployments.imports.legacy.archive import is_archive, unpack
from deployments.imports.legacy.documents import Document, Raw, read_documents, read_raw

USERS: Final = "users"
FORMS: Final = "forms"
VERSIONS: Final = "form_versions"
RESPONSES: Final = "form_responses"
FILES: Final = "files"
GRID_FILES: Final = "fs.files"
GRID_CHUNKS: Final = "fs.chunks"
CARRIED: Final = (USERS, FORMS, VERSIONS, RESPONSES, FILES)
"""The collections that are brought in, in the order in which they are reported."""

_NAMES: Final = {
    **dict.fromkeys(("users", "user", "accounts"), USERS),
    **dict.fromkeys(("forms", "form"), FORMS),
    **dict.fromkeys(("formversions", "formversion"), VERSIONS),
    **dict.fromkeys(("formresponses", "formresponse", "responses", "submissions", "formsubmissions"), RESPONSES),
    **dict.fromkeys(("files", "file", "attachments", "uploads"), FILES),
    "fs.files": GRID_FILES,
    "fs.chunks": GRID_CHUNKS,
}
_FILE: Final = re.compile(r"(?P<name>.+?)\.(bson|jsonl|ndjson|json)(\.gz)?")
_NOT_DATA: Final = re.compile(r".*\.metadata\.json(\.gz)?|prelude\.json(\.gz)?|oplog\.bson(\.gz)?|system\..*|\..*")
_NOT_THEIRS: Final = frozenset(("admin", "config", "local"))
_PIECE: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Dump:
    """The files of a dump by collection. `unread` are collections that nothing is known about."""

    path: Path
    files: dict[str, Path]
    unread: dict[str, Path]

    def documents(self, collection: str) -> Iterator[Document]:
        """The documents of a collection, none when the dump has no such collection."""
        path = self._path(collection)
        if path is not None:
            yield from read_documents(collection, path)

    def raw(self, collection: str) -> Iterator[Raw]:
        """The same without a look into them."""
        path = self._path(collection)
        if path is not None:
            yield from read_raw(path)

    def _path(self, collection: str) -> Path | None:
        # Where nothing else tells of files, GridFS does.
        return self.files.get(collection) or (self.files.get(GRID_FILES) if collection == FILES else None)

    def checksum(self) -> str:
        """What tells this dump from others: of its files' bytes."""
        whole = hashlib.sha256()
        for collection, path in sorted(self.files.items()):
            own = hashlib.sha256()
            with path.open("rb") as file:
                while piece := file.read(_PIECE):
                    own.update(piece)
            whole.update(f"{collection}:{own.hexdigest()}\n".encode())
        return whole.hexdigest()


@contextmanager
def open_dump(path: Path) -> Iterator[Dump]:
    """The dump in a folder of `mongodump` or `mongoexport`, or in an archive. Raises FileUnreadable with what to do."""
    if not path.exists():
        raise FileUnreadable(f"There is no {path}.")
    if path.is_dir():
        yield _found(path, path)
        return
    if not is_archive(path):
        detail = f"{path.name} is no archive of mongodump. Give the folder with the files of all collections."
        raise FileUnreadable(detail)
    with TemporaryDirectory(prefix="formstream-legacy-") as folder:
        unpack(path, Path(folder))
        yield _found(path, Path(folder))


def _found(path: Path, folder: Path) -> Dump:
    known, others = _collections(folder)
    if known:
        return Dump(path, known, others)
    inner = [each for each in sorted(folder.iterdir()) if each.is_dir() and each.name not in _NOT_THEIRS]
    with_forms = [(each, *_collections(each)) for each in inner]
    databases = [(each, known, others) for each, known, others in with_forms if known]
    if len(databases) > 1:
        names = ", ".join(each.name for each, *_ in databases)
        raise FileUnreadable(f"The dump has several databases: {names}. Give the folder of one of them.")
    if not databases:
        expected = ", ".join(CARRIED)
        raise FileUnreadable(f"{path} has none of the collections {expected} as .bson, .json or .jsonl files.")
    _, known, others = databases[0]
    return Dump(path, known, others)


def _collections(folder: Path) -> tuple[dict[str, Path], dict[str, Path]]:
    known: dict[str, Path] = {}
    others: dict[str, Path] = {}
    for file in sorted(folder.iterdir()):
        match = _FILE.fullmatch(file.name)
        if match is None or _NOT_DATA.fullmatch(file.name) or not file.is_file():
            continue
        name = match["name"]
        collection = _NAMES.get(name.lower()) or _NAMES.get(re.sub(r"[^a-z]", "", name.lower()))
        if collection is None:
            others[name] = file
        elif collection in known:
            raise FileUnreadable(f"{known[collection].name} and {file.name} are the same collection; remove one.")
        else:
            known[collection] = file
    return known, others
