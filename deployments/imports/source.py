"""What every reader of a format gives: a form, its responses one by one, and what could not be carried over."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol

from deployments.imports.notices import Notice
from deployments.kit.engine import CompiledForm
from deployments.responses.contracts import ImportRow, RejectedRow

Row = ImportRow | RejectedRow


class Source(Protocol):
    """A file, understood. It was read through once; what it wrote into the folder must stay until the rows are read."""

    @property
    def form(self) -> CompiledForm:
        """The form of the file, as the engine takes it."""
        ...

    @property
    def total(self) -> int:
        """How many responses there are, broken ones included."""
        ...

    def rows(self) -> Iterator[Row]:
        """Every response, and every row that is none, in their order."""
        ...

    def warnings(self) -> Sequence[Notice]:
        """What its owner should know although the import can be done."""
        ...

    def details(self) -> dict[str, Any]:
        """How the file was read, for the report of a dry run."""
        ...


Reader = Callable[[IO[bytes], Path], Source]
"""Reads a file through, in bounded memory; a copy of its rows goes into the folder. Raises FileUnreadable."""


@dataclass(frozen=True, slots=True)
class DefinitionOnly:
    """A source without responses."""

    form: CompiledForm
    notices: tuple[Notice, ...] = ()
    total: int = 0

    def rows(self) -> Iterator[Row]:
        return iter(())

    def warnings(self) -> Sequence[Notice]:
        return self.notices

    def details(self) -> dict[str, Any]:
        return {}
