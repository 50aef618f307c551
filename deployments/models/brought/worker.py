"""The process in which one model from a stranger lives, started with the archive and an empty folder.

It has few rights left before it looks at the first byte: bounded memory, files and open descriptors, no network where
the kernel lets it give that up, nothing of the platform's environment. It answers a line of JSON for each line.
"""

import ctypes
import json
import os
import resource
import signal
import sys
from pathlib import Path
from typing import Any, Final

_MEMORY: Final = 4 << 30
_FILE: Final = 600 << 20
_DESCRIPTORS: Final = 64
_NEW_NETWORK: Final = 0x40000000
_NEW_USER: Final = 0x10000000
_PARENT_DEATH_SIGNAL: Final = 1


def confine() -> None:
    """Give up what the model does not need, for good."""
    for what, most in (
        (resource.RLIMIT_AS, _MEMORY),
        (resource.RLIMIT_FSIZE, _FILE),
        (resource.RLIMIT_NOFILE, _DESCRIPTORS),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(what, (most, most))
    libc = ctypes.CDLL(None, use_errno=True)
    # Whoever asks may be killed while the model computes.
    libc.prctl(_PARENT_DEATH_SIGNAL, signal.SIGKILL)
    # A namespace without any network; where the kernel refuses, the graph still has no operator that opens a socket.
    if libc.unshare(_NEW_NETWORK) != 0:
        libc.unshare(_NEW_USER | _NEW_NETWORK)
    os.nice(5)


def main(archive: Path, folder: Path) -> None:
    """Say what the model is, then answer until nobody asks any more."""
    confine()
    # Not before: what is imported here reads what the stranger sent.
    from deployments.models.brought.archive import GRAPH, unpack
    from deployments.models.brought.classifier import Classifier
    from deployments.models.brought.errors import Refused
    from deployments.models.brought.inspection import inspect

    try:
        unpack(archive, folder)
        inspect(folder / GRAPH)
        model = Classifier(folder)
    except Refused as error:
        _say({"refused": error.code, "reason": error.reason})
        return
    except MemoryError:
        _say({"refused": "model.memory", "reason": "the model takes too much memory"})
        return
    _say({"kind": model.kind, "labels": model.labels})
    for line in sys.stdin:
        texts = json.loads(line)
        if model.kind == "sequence":
            _say({"scores": model.scores(texts)})
        else:
            _say({"tags": [[tag.model_dump() for tag in tags] for tags in model.tags(texts)]})


def _say(what: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
