"""The rows of an export as bytes. Pure functions of rows that were read: they work in a thread of their own."""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final
from xml.sax.saxutils import escape

import orjson
import pyarrow as pa  # type: ignore[import-untyped]

from deployments.kit.engine import Kind
from deployments.kit.tabular import csv_line, csv_lines
from deployments.responses.contracts import RowFormat
from deployments.responses.exporting.table import Table
from deployments.responses.presenting import COLUMNS, Documents, Plain, to_json
from deployments.responses.query.verdicts import INFERENCE

SHEET_ROWS: Final = 1_048_575
"""Rows of a sheet of a spreadsheet, its header not counted."""
SHEET_COLUMNS: Final = 16_384
"""Columns of a sheet."""

_BOM: Final = "\ufeff"


class Rows(ABC):
    """Writes rows in one format."""

    def __init__(self, table: Table) -> None:
        self.table = table
        # Once: for each row it would look at all columns.
        self._is_judged = table.is_judged

    @property
    def read(self) -> tuple[str, ...]:
        """The columns of the database that it needs."""
        return self.table.read

    @abstractmethod
    def head(self) -> bytes:
        """What comes before the rows."""

    @abstractmethod
    def encode(self, rows: Sequence[Plain], before: int) -> bytes:
        """The rows, of which `before` were written earlier."""

    def _answers(self, row: Plain) -> dict[str, Any]:
        """What the cells read: the answers, and what models say of them."""
        answers: dict[str, Any] = orjson.loads(row.answers)
        if self._is_judged and row.inference is not None:
            answers[INFERENCE] = orjson.loads(row.inference)
        return answers


class CsvRows(Rows):
    """CSV (RFC 4180), UTF-8 with a byte order mark, so that spreadsheets know."""

    def head(self) -> bytes:
        return (_BOM + csv_line(self.table.names)).encode()

    def encode(self, rows: Sequence[Plain], before: int) -> bytes:
        fixed = [column.cell for column in self.table.fixed]
        cells = [column.cell for column in self.table.columns]
        records = []
        for row in rows:
            answers = self._answers(row)
            records.append([cell(row) for cell in fixed] + [cell(answers) for cell in cells])
        return csv_lines(records).encode()


class JsonRows(Rows):
    """JSON Lines: each response as the list of responses has it, whatever the table."""

    read = COLUMNS

    def __init__(self, table: Table, documents: Documents) -> None:
        super().__init__(table)
        self._documents = documents

    def head(self) -> bytes:
        return b""

    def encode(self, rows: Sequence[Plain], before: int) -> bytes:
        return b"".join(to_json(self._documents.of(row)) + b"\n" for row in rows)


_ARROW: Final[Mapping[Kind, pa.DataType]] = {
    "text": pa.string(),
    "integer": pa.int64(),
    "number": pa.float64(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "datetime": pa.timestamp("us", "UTC"),
    "list": pa.list_(pa.string()),
}
_TRUTHS: Final = {"Yes": True, "true": True, "No": False, "false": False}


class ArrowRows(Rows):
    """A stream of Arrow's IPC format, by the keys of the columns; their titles and fields are in the metadata."""

    def head(self) -> bytes:
        return b""

    def encode(self, rows: Sequence[Plain], before: int) -> bytes:
        schema = self._schema()
        arrays = [
            _array([column.cell(row) for row in rows], column.kind)
            if column.items is None
            else pa.array([column.items(row) or None for row in rows], _ARROW["list"])
            for column in self.table.fixed
        ]
        answers = [self._answers(row) for row in rows]
        for column in self.table.columns:
            if column.kind == "list":
                arrays.append(pa.array([column.values(each) or None for each in answers], _ARROW["list"]))
            else:
                arrays.append(_array([column.cell(each) for each in answers], column.kind))
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, schema) as stream:
            stream.write_batch(pa.record_batch(arrays, schema=schema))
        return bytes(sink.getvalue().to_pybytes())

    def _schema(self) -> pa.Schema:
        fixed = [_field(column.key, column.kind, title=column.title) for column in self.table.fixed]
        own = (
            _field(column.key, column.kind, title=column.title, field=column.field_id) for column in self.table.columns
        )
        return pa.schema([*fixed, *own])


def _field(key: str, kind: Kind, **metadata: str) -> pa.Field:
    return pa.field(key, _ARROW[kind], metadata=metadata)


def _array(cells: list[str], kind: Kind) -> pa.Array:
    if kind == "boolean":
        return pa.array([_TRUTHS.get(cell) for cell in cells], pa.bool_())
    texts = pa.array([cell or None for cell in cells], pa.string())
    if kind == "text":
        return texts
    try:
        return texts.cast(_ARROW[kind])
    except pa.ArrowInvalid:
        # One cell that is not what its column promises must not cost the others.
        return pa.array([_value(cell, kind) for cell in cells], _ARROW[kind])


def _value(cell: str, kind: Kind) -> Any:
    try:
        return pa.scalar(cell or None, pa.string()).cast(_ARROW[kind]).as_py()
    except pa.ArrowInvalid:
        return None


_ILLEGAL: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_LONGEST: Final = 32_767
_EXACT: Final = 15
_EPOCH: Final = date(1899, 12, 30)
# Before that day spreadsheets disagree about a leap day which there was not.
_FIRST_DAY: Final = date(1900, 3, 1)
_DAY_S: Final = 86_400
DATE_STYLE, MOMENT_STYLE = 1, 2
"""The styles of the workbook that stand for dates and for moments."""


class SheetRows(Rows):
    """The rows of a worksheet (ECMA-376 §18.3.1.73). Texts are texts: a cell is never a formula."""

    def head(self) -> bytes:
        return b""

    def encode(self, rows: Sequence[Plain], before: int) -> bytes:
        width = len(self.table.fixed) + len(self.table.columns)
        letters = [letters_of(number) for number in range(width)]
        number = before % SHEET_ROWS
        lines: list[str] = []
        if number == 0:
            named = zip(letters, self.table.names, strict=True)
            lines.append(f'<row r="1">{"".join(_text(f"{letter}1", name) for letter, name in named)}</row>')
        fixed = list(zip(letters, ((column.cell, _WRITERS[column.kind]) for column in self.table.fixed), strict=False))
        own = [(column.cell, _WRITERS[column.kind]) for column in self.table.columns]
        answered = list(zip(letters[len(fixed) :], own, strict=True))
        for place, row in enumerate(rows, number + 2):
            answers = self._answers(row)
            cells = [write(f"{letter}{place}", text) for letter, (cell, write) in fixed if (text := cell(row))]
            cells += [write(f"{letter}{place}", text) for letter, (cell, write) in answered if (text := cell(answers))]
            lines.append(f'<row r="{place}">{"".join(cells)}</row>')
        return "".join(lines).encode()


def letters_of(number: int) -> str:
    """The name of a column, counted from 0: A, B, …, Z, AA, …"""
    name = ""
    number += 1
    while number:
        number, rest = divmod(number - 1, 26)
        name = chr(ord("A") + rest) + name
    return name


def _text(place: str, text: str) -> str:
    kept = text[:_LONGEST]
    if not text.isprintable() or "&" in text or "<" in text or ">" in text:
        kept = escape(_ILLEGAL.sub("", kept)).replace("\r", "&#13;")
    return f'<c r="{place}" t="inlineStr"><is><t xml:space="preserve">{kept}</t></is></c>'


def _number(place: str, text: str) -> str:
    # A spreadsheet keeps 15 digits: longer whole numbers would become others.
    if len(text.lstrip("-")) > _EXACT and text.lstrip("-").isdecimal():
        return _text(place, text)
    return f'<c r="{place}"><v>{text}</v></c>'


def _date(place: str, text: str) -> str:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return _text(place, text)
    if day < _FIRST_DAY:
        return _text(place, text)
    return f'<c r="{place}" s="{DATE_STYLE}"><v>{(day - _EPOCH).days}</v></c>'


def _moment(place: str, text: str) -> str:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return _text(place, text)
    if at.date() < _FIRST_DAY:
        return _text(place, text)
    seconds = at.hour * 3600 + at.minute * 60 + at.second + at.microsecond / 1e6
    return f'<c r="{place}" s="{MOMENT_STYLE}"><v>{(at.date() - _EPOCH).days + seconds / _DAY_S!r}</v></c>'


_WRITERS: Final[Mapping[Kind, Callable[[str, str], str]]] = {
    "text": _text,
    "integer": _number,
    "number": _number,
    "boolean": _text,
    "date": _date,
    "datetime": _moment,
    "list": _text,
}


def rows_of(rows: RowFormat, table: Table, hidden: Collection[str], chosen: Collection[str] | None) -> Rows:
    """The writer of a format; `chosen` are the fields of the columns that were asked for."""
    if rows == "jsonl":
        return JsonRows(table, Documents(hidden, chosen))
    kinds: dict[RowFormat, type[Rows]] = {"csv": CsvRows, "arrow": ArrowRows, "sheet": SheetRows}
    return kinds[rows](table)
