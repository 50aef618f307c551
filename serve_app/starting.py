"""How a process starts."""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_collections() -> Iterator[None]:
    """No garbage is collected within: what is imported stays, and to look through all of it again and again takes a
    fifth of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@contextmanager
def without_module(name: str) -> Iterator[None]:
    """Within, importing a module that is not loaded yet fails, as if it were not installed."""
    if name in sys.modules:
        yield
        return
    sys.modules[name] = None  # type: ignore[assignment]  # how the import system marks what must fail
    try:
        yield
    finally:
        del sys.modules[name]
