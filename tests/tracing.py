"""What coverage traces: it doubles the time of whatever runs, so modules of others and repetitions are left out."""

import importlib.machinery
import sys
import threading
from collections.abc import Generator
from pathlib import Path
from types import ModuleType
from typing import Any

import coverage

_ROOMS = tuple(f"{Path(__file__).parents[1] / room}/" for room in ("serve_app", "deployments", "eventing", "db"))
_TRACER: Any = sys.gettrace() if coverage.Coverage.current() is not None else None
_execute = importlib.machinery.SourceFileLoader.exec_module


def begin() -> None:
    """From now on, whoever imports: modules of ours are traced, and what they need of others is not."""
    if _TRACER is not None:
        importlib.machinery.SourceFileLoader.exec_module = _execute_traced  # type: ignore[method-assign, assignment]


def _execute_traced(loader: importlib.machinery.SourceFileLoader, module: ModuleType) -> None:
    if threading.current_thread() is not threading.main_thread():
        _execute(loader, module)
        return
    # In one frame, since the tracer counts how often each is entered and left.
    before = sys.gettrace()
    sys.settrace(_TRACER if loader.path.startswith(_ROOMS) else None)
    try:
        _execute(loader, module)
    finally:
        sys.settrace(before)


def untraced() -> Generator[None, object, object]:
    """A hook of pytest around what is not traced."""
    if _TRACER is None:
        return (yield)
    before = sys.gettrace()
    sys.settrace(None)
    try:
        return (yield)
    finally:
        sys.settrace(before)
