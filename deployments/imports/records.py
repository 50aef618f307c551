"""CSV records with the physical line where each one starts, read so that one broken quote spoils one record only."""

import csv
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final, TextIO

from deployments.imports.errors import FileUnreadable

MAX_RECORD: Final = 1 << 20
"""Characters after which a record that spans lines is taken for an opening quote without its end."""

MAX_CELLS: Final = 5_000

_DELIMITERS: Final = (",", ";", "\t", "|")
_SAMPLE: Final = 50


@dataclass(frozen=True, slots=True)
class Record:
    """The cells of a record. `problem` says why it cannot be one; its cells are then no cells."""

    line: int
    cells: list[str]
    problem: str = ""

    @property
    def blank(self) -> bool:
        """Whether there is nothing in it: a blank line, or a row of separators."""
        return not any(cell.strip() for cell in self.cells)


@dataclass(frozen=True, slots=True)
class Dialect:
    """The separator of the cells, and the lines of the file before the header."""

    delimiter: str
    skip: int = 0


def sniff(path: Path) -> Dialect:
    """The dialect under which the first records agree best with the first of them.

    Raises FileUnreadable when there are more than MAX_CELLS cells in one.
    """
    with path.open(encoding="utf-8", newline="") as file:
        first = file.readline(64).strip()
    # Excel's way to say which separator a file has.
    if len(first) == len("sep=;") and first.lower().startswith("sep="):
        return Dialect(first[-1], skip=1)
    ranked = []
    for delimiter in _DELIMITERS:
        sample = [r.cells for r in islice(_filled(path, Dialect(delimiter)), _SAMPLE)]
        widths = Counter(map(len, sample))
        header = len(sample[0]) if sample else 0
        if header > MAX_CELLS:
            raise FileUnreadable(f"The first row has more than {MAX_CELLS} cells.")
        agreeing = widths[header] / len(sample) if header > 1 else 0.0
        ranked.append((round(agreeing, 1), header, delimiter))
    best = max(ranked, key=lambda rank: rank[:2])
    return Dialect(best[2] if best[1] > 1 else ",")


def _filled(path: Path, dialect: Dialect) -> Iterator[Record]:
    return (record for record in read_records(path, dialect) if not record.problem and not record.blank)


def read_records(path: Path, dialect: Dialect, width: int | None = None) -> Iterator[Record]:
    """The records of a UTF-8 file in their order, empty lines left out; lines end with LF, CRLF or CR.

    A quote that is not closed properly is given back as a record with a `problem`, and reading goes on with the next
    line. From there, only a record of `width` cells is one again: what comes before is the rest of the broken one.
    """
    with path.open(encoding="utf-8", newline="") as file:
        lines = _Lines(file, dialect.skip)
        resuming = False
        while (line := lines.begin()) is not None:
            record = _read(lines, line, dialect)
            if record.problem:
                resuming = width is not None
            elif resuming and record.cells and len(record.cells) != width:
                record = Record(line, [], "This belongs to a row with a broken quote.")
            else:
                resuming = False
            if record.cells or record.problem:
                yield record


def _read(lines: "_Lines", line: int, dialect: Dialect) -> Record:
    try:
        return Record(line, next(csv.reader(lines, delimiter=dialect.delimiter, strict=True), []))
    except csv.Error:
        if lines.taken == 1 and not lines.open:
            return _lenient(line, lines.text, dialect)
        lines.put_back()
        return Record(line, [], "A quote is opened and not closed properly.")


def _lenient(line: int, text: str, dialect: Dialect) -> Record:
    """The record of one line with a stray quote; the text after the closing quote is kept."""
    try:
        return Record(line, next(csv.reader([text], delimiter=dialect.delimiter), []))
    except csv.Error:
        return Record(line, [], f"A cell is longer than {csv.field_size_limit()} characters.")


class _Lines:
    """Hands physical lines to the CSV reader, remembers those of the current record and can take them back."""

    def __init__(self, file: TextIO, skip: int) -> None:
        self._file = file
        self._waiting: deque[str] = deque()
        self._record: list[str] = []
        self._size = 0
        self._line = skip
        self.open = False
        for _ in range(skip):
            file.readline()

    @property
    def taken(self) -> int:
        """Lines of the current record so far."""
        return len(self._record)

    @property
    def text(self) -> str:
        """The first line of the current record."""
        return self._record[0]

    def begin(self) -> int | None:
        """Start a record: its line number from 1; None at the end of the file."""
        self._line += len(self._record)
        self._record, self._size, self.open = [], 0, False
        if not self._waiting:
            self._waiting.extend(self._next())
        return self._line + 1 if self._waiting else None

    def put_back(self) -> None:
        """Keep the first line as the whole record; the others are read again."""
        self._waiting.extendleft(reversed(self._record[1:]))
        del self._record[1:]

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        if not self._waiting:
            self._waiting.extend(self._next())
        # The reader asks for another line only inside quotes.
        self.open = bool(self._record)
        if not self._waiting or self._size > MAX_RECORD:
            raise csv.Error("a quote is not closed")
        line = self._waiting.popleft()
        self._record.append(line)
        self._size += len(line)
        return line

    def _next(self) -> list[str]:
        line = self._file.readline(MAX_RECORD)
        part = line
        while part and part[-1] not in "\r\n":
            part = self._file.readline(MAX_RECORD)
        # What is cut off belongs to a cell that is too long anyway.
        return [line] if line else []
