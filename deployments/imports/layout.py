"""What a file's header says: which columns describe the response, and which belong to one question."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

from deployments.imports.errors import FileUnreadable
from deployments.imports.metadata import Kind, metadata_columns
from deployments.imports.records import Dialect, Record, read_records, sniff

OPEN: Final = frozenset(("open-ended response", "open-ended comment"))
CLOSED: Final = "response"

_SINGLE: Final = OPEN | {CLOSED}
_UNNAMED: Final = re.compile(r"unnamed: ?\d+(_level_\d+)?", re.IGNORECASE)
_BREAKS: Final = re.compile(r"[\t\r\n]+")
# Begins only where the blanks begin, or a name full of blanks would take quadratic time.
_SEPARATOR: Final = re.compile(r"(?<=\S)\s++[-–]\s+")
_OTHER: Final = re.compile(
    r"\b(other|specify|autres?|précisez|sonstige[rs]?|anderes?|otr[oa]s?|especifique|altro|outr[oa]s?|anders|annet|andet|annat)\b"
    r"|другое|其他|其它|その他|기타",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Heading:
    """A column: its place, the question's title, and its part of the question ('' when it is the whole)."""

    index: int
    title: str
    part: str = ""

    @property
    def full(self) -> str:
        """The column's own name, in one line."""
        return f"{self.title} - {self.part}" if self.part and self.part.lower() not in _SINGLE else self.title

    @property
    def other(self) -> bool:
        """Whether the part is named like the free text beside options."""
        return len(self.part) <= 80 and _OTHER.search(self.part) is not None


@dataclass(frozen=True, slots=True)
class Group:
    """The neighbouring columns of one question."""

    title: str
    headings: tuple[Heading, ...]


@dataclass(frozen=True, slots=True)
class Layout:
    """The header of a file. `header_rows` are its cells, `line` is the physical line of the last of them."""

    dialect: Dialect
    width: int
    line: int
    header_rows: int
    metadata: dict[int, Kind]
    names: tuple[str, ...]
    groups: tuple[Group, ...]

    def rows(self, path: Path) -> Iterator[Record]:
        """The records after the header that are not blank, in their order; one with a `problem` is no response."""
        for record in read_records(path, self.dialect, self.width):
            if record.line <= self.line or (record.blank and not record.problem):
                continue
            if any(cell.strip() for cell in record.cells[self.width :]):
                detail = f"The row has {len(record.cells)} cells, the header has {self.width}."
                yield Record(record.line, [], detail)
            else:
                yield record


def read_layout(path: Path) -> Layout:
    """The layout of a UTF-8 CSV file. Raises FileUnreadable when there is no header or nothing below it."""
    dialect = sniff(path)
    records = (record for record in read_records(path, dialect) if record.problem or not record.blank)
    head = list(islice(records, 3))
    if not head or head[0].problem:
        raise FileUnreadable("The first row must name the questions.")
    first = [one_line(cell) for cell in head[0].cells]
    second = head[1].cells if len(head) > 1 else []
    metadata = metadata_columns(first)
    two_rows = _is_header(first, second, metadata)
    if len(head) < (3 if two_rows else 2):
        raise FileUnreadable("There is no response below the header.")
    # Trailing separators in every line are columns without a name; they stay, for cells may be in them.
    width = max(len(first), len(second)) if two_rows else len(first)
    first += [""] * (width - len(first))
    parts = [one_line(cell) for cell in second] + [""] * (width - len(second)) if two_rows else [""] * width
    questions = [index for index in range(width) if index not in metadata]
    groups = _carried(first, parts, questions) if two_rows else _prefixed(first, questions)
    return Layout(
        dialect=dialect,
        width=width,
        line=head[1].line if two_rows else head[0].line,
        header_rows=2 if two_rows else 1,
        metadata=metadata,
        names=tuple(first),
        groups=tuple(groups),
    )


def one_line(cell: str) -> str:
    """The name that a cell of the header gives, without line breaks; '' for what pandas writes for none."""
    text = _BREAKS.sub(" ", cell).strip()
    return "" if _UNNAMED.fullmatch(text) else text


def _is_header(first: Sequence[str], second: Sequence[str], metadata: dict[int, Kind]) -> bool:
    """Whether the second record goes on with the header: it names parts and describes no response."""
    parts = {index: text for index, cell in enumerate(second) if (text := one_line(cell))}
    if not parts or any(parts.get(index, CLOSED).lower() not in _SINGLE for index in metadata):
        return False
    if any(part.lower() in _SINGLE for part in parts.values()):
        return True
    unnamed = [index for index, name in enumerate(first) if not name]
    questions = [index for index, name in enumerate(first) if name and index not in metadata]
    if unnamed and questions and questions[0] < unnamed[0] and all(index in parts for index in unnamed):
        return True
    return any(kind.always for kind in metadata.values()) and len(parts) == len(first) - len(metadata)


def _carried(first: Sequence[str], parts: Sequence[str], questions: Sequence[int]) -> Iterator[Group]:
    """Two header rows: a question's name stands over its first column, or over each of them."""
    group: list[Heading] = []
    for index in questions:
        title = first[index]
        follows = group and group[-1].index == index - 1 and parts[index].lower() not in _SINGLE
        if group and not (follows and title in ("", group[0].title)):
            yield Group(group[0].title, tuple(group))
            group = []
        title = title or (group[0].title if group else parts[index] or f"Column {index + 1}")
        group.append(Heading(index, title, parts[index]))
    if group:
        yield Group(group[0].title, tuple(group))


def _prefixed(first: Sequence[str], questions: Sequence[int]) -> Iterator[Group]:
    """One header row: neighbours whose names begin alike, up to a dash, are one question."""
    position = 0
    while position < len(questions):
        start = questions[position]
        name = first[start]
        title, length = _longest_run(first, start)
        if length > 1:
            run = range(start, start + length)
            yield Group(title, tuple(Heading(index, title, _part(first[index], title)) for index in run))
        else:
            yield Group(name, (Heading(start, name or f"Column {start + 1}"),))
        position += length


def _longest_run(first: Sequence[str], start: int) -> tuple[str, int]:
    """The prefix that most of the following names share, and how many do; the longest prefix among equals."""
    name = first[start]
    prefixes = [name, *(name[: match.start()] for match in _SEPARATOR.finditer(name))] if name else []
    best = (name, 1)
    for title in prefixes:
        length = 1
        while start + length < len(first) and _extends(first[start + length], title):
            length += 1
        if length > best[1] or (length == best[1] > 1 and len(title) > len(best[0])):
            best = (title, length)
    return best


def _extends(name: str, title: str) -> bool:
    return name.startswith(title) and _SEPARATOR.match(name, len(title)) is not None


def _part(name: str, title: str) -> str:
    separator = _SEPARATOR.match(name, len(title))
    return "" if separator is None else name[separator.end() :]
