"""The process in which statements of one tenant are carried out, one after the other.

It gives up what it does not need before it reads the first of them: the network where the kernel lets it, memory,
writing to files; nothing of the platform's environment is in it.
"""

import ctypes
import os
import resource
import signal
import sys
from typing import Final

from deployments.analytics.warehouse import frames

_BEYOND: Final = 1_536 << 20
"""What the interpreter and its libraries reserve beside the engine's memory, most of which is never touched."""
_DESCRIPTORS: Final = 1_024
_NEW_NETWORK: Final = 0x40000000
_NEW_USER: Final = 0x10000000
_PARENT_DEATH_SIGNAL: Final = 1


def leave_network() -> bool:
    """Go into a namespace without any network; whether the kernel allows that.

    Where it refuses, the engine still has no extension that opens a socket. Without privileges it takes a namespace of
    users too, which a process with several threads does not get.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    return any(libc.unshare(what) == 0 for what in (_NEW_NETWORK, _NEW_USER | _NEW_NETWORK))


def confine(memory: int) -> None:
    """Give up what else is not needed, for good."""
    for what, most in (
        (resource.RLIMIT_AS, memory + _BEYOND),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, _DESCRIPTORS),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(what, (most, most))
    # Whoever asks may be killed while a statement runs.
    ctypes.CDLL(None).prctl(_PARENT_DEATH_SIGNAL, signal.SIGKILL)
    os.nice(5)


def main(memory: int, threads: int) -> None:
    """Answer until nobody asks any more."""
    offline = leave_network()
    # Not before: Arrow begins threads.
    from deployments.analytics.warehouse.engine import answer, keep_to_one_thread

    confine(memory)
    keep_to_one_thread()
    while (message := frames.read(sys.stdin.buffer)) is not None:
        head, body = answer(message[0], memory, threads)
        sys.stdout.buffer.write(frames.packed({**head, "offline": offline}, body))
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
