"""Unpacking an archive from a stranger: three files by their names, and nothing else reaches the disk."""

import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Generator
from contextlib import closing
from pathlib import Path, PurePosixPath
from typing import IO, Final

from deployments.models.brought.errors import Refused

CONFIG: Final = "config.json"
TOKENIZER: Final = "tokenizer.json"
GRAPH: Final = "model.onnx"

_LIMITS: Final = {CONFIG: 1 << 20, TOKENIZER: 32 << 20, GRAPH: 512 << 20}
"""What each of them may have in bytes, unpacked."""
_MEMBERS: Final = 64
_BLOCK: Final = 1 << 20
_UNREADABLE: Final = (
    *(tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError),
    *(EOFError, OSError, RuntimeError, ValueError, NotImplementedError),
)


def unpack(archive: Path, folder: Path) -> None:
    """Write the three files of a zip or tar archive into `folder`. They may be in one folder of the archive.

    Raises Refused: for what is no archive, for links and devices and names that lead elsewhere, for what is too large
    unpacked, for a file that is missing or there twice.
    """
    found: set[str] = set()
    try:
        with closing(_members(archive)) as members:
            for path, file in members:
                name = path.name
                with closing(file):
                    if name not in _LIMITS:
                        continue
                    if len(path.parts) > 2 or name in found:
                        raise Refused("archive.files", f"{path} is there twice or too deep")
                    found.add(name)
                    with (folder / name).open("xb") as target:
                        _copy(file, target, name)
    except _UNREADABLE as error:
        raise Refused("archive.unreadable", f"the archive cannot be read: {type(error).__name__}") from error
    if missing := [name for name in _LIMITS if name not in found]:
        raise Refused("archive.files", f"the archive has no {', '.join(missing)}")


def _members(archive: Path) -> Generator[tuple[PurePosixPath, IO[bytes]], None, None]:
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as opened:
            for count, info in enumerate(opened.infolist()):
                # The upper half has the file's mode, when a Unix wrote it.
                kind = info.external_attr >> 16 & 0o170000
                _check(info.filename, count, is_plain=info.is_dir() or kind in (0, 0o100000, 0o040000))
                if not info.is_dir():
                    yield PurePosixPath(info.filename), opened.open(info)
        return
    with tarfile.open(archive) as opened_tar:
        for count, member in enumerate(opened_tar):
            _check(member.name, count, is_plain=member.isreg() or member.isdir())
            file = opened_tar.extractfile(member) if member.isreg() else None
            if file is not None:
                yield PurePosixPath(member.name), file


def _check(name: str, count: int, *, is_plain: bool) -> None:
    if count >= _MEMBERS:
        raise Refused("archive.files", f"the archive has more than {_MEMBERS} files")
    path = PurePosixPath(name)
    if not is_plain or path.is_absolute() or ".." in path.parts or "\\" in name or "\0" in name:
        raise Refused("archive.path", "the archive has a link, a device or a name that leads elsewhere")


def _copy(source: IO[bytes], target: IO[bytes], name: str) -> None:
    # What the archive says of sizes may be wrong; what comes out is counted.
    left = _LIMITS[name]
    while block := source.read(min(_BLOCK, left + 1)):
        left -= len(block)
        if left < 0:
            raise Refused("archive.size", f"{name} has more than {_LIMITS[name]} bytes unpacked")
        target.write(block)
