"""What is told of the work while it is done."""

from contextlib import AbstractContextManager, nullcontext
from typing import Final, Protocol


class Progress(Protocol):
    """Hears of each step; `serve_app.cli.steps.Steps` shows them."""

    def step(self, name: str) -> AbstractContextManager[None]:
        """The block is this step."""
        ...

    def report(self, done: int, total: int | None = None) -> None:
        """How far the step is; from any thread."""
        ...


class _Silence:
    def step(self, name: str) -> AbstractContextManager[None]:
        return nullcontext()

    def report(self, done: int, total: int | None = None) -> None:
        pass


SILENCE: Final[Progress] = _Silence()
