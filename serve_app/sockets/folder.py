"""The folder with the sockets of one node, which only the platform's own user may enter."""

import os
import socket
import stat
from pathlib import Path
from typing import Final

import structlog

log = structlog.get_logger(__name__)

_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_LONGEST: Final = 107
"""Bytes in the address of a socket (unix(7))."""

LONGEST_NAME: Final = 23
"""Characters in the name of an application that answers at a socket."""

_OWN: Final = 9
"""Characters that each of its replicas adds to it."""


def folder_of_this_node() -> Path | None:
    """The folder of the node that this process runs on. None outside of Ray, when it cannot be had, and on systems that
    do not tell whose process is at the other end of a socket."""
    import ray

    if not ray.is_initialized() or not hasattr(socket, "SO_PEERCRED"):
        return None
    context = ray.get_runtime_context()
    try:
        return private(Path(context.get_temp_dir(), context.get_session_name(), f"node-{context.get_node_id()[:8]}"))
    except OSError as error:
        log.warning("processes of this node call each other over Ray only", error=str(error))
        return None


def private(folder: Path) -> Path:
    """The folder, made if need be.

    Who may write to a socket in it can make the other end do anything, since messages are pickles. Raises
    PermissionError when it is not this user's alone, as somebody else could have made it before, OSError when it cannot
    be made or sockets in it would have no address.
    """
    if len(os.fsencode(folder)) + 1 + LONGEST_NAME + _OWN > _LONGEST:
        raise OSError(f"the addresses of sockets in {folder} would be too long")
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & _OTHERS:
        raise PermissionError(f"{folder} is open to others")
    return folder
