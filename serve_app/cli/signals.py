"""Ctrl-C and SIGTERM: the first asks to stop, a second one to hurry."""

import signal
import threading
import time
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Self

_TICK_S = 0.1


class Stopped(BaseException):
    """A signal came while the platform was starting."""


class Signals:
    """Counts the signals; a plain number, because a handler may run in the middle of anything."""

    def __init__(self) -> None:
        self._received = 0
        self._starting = True
        self._before: dict[signal.Signals, signal._HANDLER] = {}

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.getsignal(number)
        self.install()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def install(self) -> None:
        """Take the signals, again after a library has taken them."""
        for number in self._before:
            signal.signal(number, self._handle)

    def started(self) -> None:
        """From now on signals are counted and interrupt nothing. Raises Stopped when one came already."""
        self._starting = False
        if self._received:
            raise Stopped

    @property
    def stopping(self) -> bool:
        return self._received > 0

    @property
    def hurried(self) -> bool:
        return self._received > 1

    def bounded(self, action: Callable[[], object], timeout_s: float) -> bool:
        """Run `action` in a thread; False when it has not ended in time, or a second signal came first."""
        # A daemon: a call into a Ray that is gone may never return.
        thread = threading.Thread(target=action, daemon=True)
        thread.start()
        deadline = time.monotonic() + timeout_s
        while thread.is_alive() and time.monotonic() < deadline and not self.hurried:
            thread.join(_TICK_S)
        return not thread.is_alive()

    def _handle(self, _number: int, _frame: FrameType | None) -> None:
        self._received += 1
        if self._starting:
            self._starting = False
            raise Stopped
