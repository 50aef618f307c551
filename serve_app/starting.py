"""How a process starts."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_YOUNG: Final = 10_000


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


def collect_rarely() -> None:
    """Look for garbage after ten thousand new objects, instead of 700. Reference counts free nearly all of it, and
    every so often the look is at everything that is loaded: a quarter of a busy context's time, in long pauses."""
    gc.set_threshold(_YOUNG)
