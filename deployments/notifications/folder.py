"""Files that stand for messages where nothing sends them: whole or not there."""

import os
import tempfile
from pathlib import Path
from urllib.parse import quote


def file_name(idempotency_key: str, suffix: str) -> str:
    """The file of a key; characters that a file name must not have are percent-encoded.

    Raises ValueError for a key that is empty or longer than 200 bytes then.
    """
    name = quote(idempotency_key, safe="@:+=,")
    if not 0 < len(name) <= 200:
        raise ValueError("an idempotency key has between 1 and 200 bytes")
    return f"{name}.{suffix}"


def write_whole(path: Path, content: bytes) -> None:
    """Put the content there; on return it is on the disk, its name too. The folder is made when missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, part = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(part).replace(path)
    except BaseException:
        Path(part).unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
