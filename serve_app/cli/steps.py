"""Shows what a command is doing, one named step after the other, and how long each took."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text


class Steps:
    """A spinner per step on a terminal; elsewhere a line when a step begins and one when it ends."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._spinner: Spinner | None = None
        self._name = ""

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Show `name` while the block runs, then its duration and whether it ended well."""
        started = time.monotonic()
        if not self._console.is_terminal:
            self._line(f"  … {name}")
        spinner = Spinner("dots", f" {name}")
        self._spinner, self._name = spinner, name
        try:
            # Not `Console.status`, which would bring what libraries print meanwhile to the terminal.
            with Live(
                spinner,
                console=self._console,
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
            ):
                yield
        except BaseException:
            self._line(f"  ✗ {name}", time.monotonic() - started, "red")
            raise
        finally:
            self._spinner = None
        self._line(f"  ✓ {name}", time.monotonic() - started, "green")

    def report(self, done: int, total: int | None = None) -> None:
        """Show how far the step is, on a terminal; from any thread."""
        if self._spinner is not None:
            self._spinner.update(
                text=f" {self._name}: {done:,}" if total is None else f" {self._name}: {done:,} of {total:,}"
            )

    def _line(self, text: str, seconds: float | None = None, style: str = "dim") -> None:
        duration = "" if seconds is None else f"{seconds:5.1f} s"
        self._console.print(Text.assemble((f"{text:<44}", style), duration), soft_wrap=True)
