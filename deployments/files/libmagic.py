"""libmagic, from the wheel that carries it: importing that wheel's own module would change how the process loads
libraries, so only its files are used."""

import ctypes
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Final

_SPEC: Final = find_spec("pylibmagic")
if _SPEC is None or not _SPEC.submodule_search_locations:
    raise ImportError("the package pylibmagic is missing")
_FOLDER: Final = Path(_SPEC.submodule_search_locations[0])
if sys.platform == "linux":
    # What is loaded already is found again by its name, whatever the system has.
    ctypes.CDLL(str(_FOLDER / "libmagic.so.1"))
else:
    import pylibmagic  # noqa: F401

import magic  # noqa: E402

_MAGIC: Final = magic.Magic(mime=True, magic_file=str(_FOLDER / "magic.mgc"))


def media_type(head: bytes) -> str:
    """What the beginning of a file is, by its content; safe to call from several threads."""
    found: str = _MAGIC.from_buffer(head)
    return found
