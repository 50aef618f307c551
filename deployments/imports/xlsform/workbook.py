"""A workbook from a stranger, read in bounded time and memory; formulas are never computed."""

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, time
from itertools import islice
from typing import IO, Any, Final
from xml.etree.ElementTree import ParseError

from defusedxml.common import DefusedXmlException  # type: ignore[import-untyped]

from deployments.imports.errors import FileUnreadable

MAX_UNPACKED: Final = 48 << 20
"""The most bytes that the parts of a workbook may have together when they are unpacked."""

MAX_PARTS: Final = 500
MAX_ROWS: Final = 20_000
MAX_COLUMNS: Final = 300
MAX_CELL: Final = 40_000
"""The most characters of a cell; Excel's own limit is 32,767."""

_SHEETS: Final = ("survey", "choices", "settings", "external_choices", "entities", "osm", "formstream")
_EMPTY_ROWS: Final = 1_000
"""Empty rows in a row after which a sheet has ended: their formatting can go on for a million."""


@dataclass(frozen=True, slots=True)
class SheetRow:
    """The cells that are not empty, by the header of their column; `number` is the row as Excel counts."""

    number: int
    cells: dict[str, str]

    def get(self, *names: str) -> str:
        """The first of the cells that is there, else ''."""
        return next((self.cells[name] for name in names if name in self.cells), "")


@dataclass(slots=True)
class Workbook:
    """The sheets by their names in small letters, each with its headers and rows."""

    headers: dict[str, list[str]] = field(default_factory=dict)
    rows: dict[str, list[SheetRow]] = field(default_factory=dict)


def read_workbook(file: IO[bytes]) -> Workbook:
    """The sheets that an XLSForm has. Raises FileUnreadable."""
    # Some two hundred modules, which hardly any process needs.
    from openpyxl import load_workbook
    from openpyxl.utils.exceptions import InvalidFileException

    _require_small(file)
    file.seek(0)
    found = Workbook()
    try:
        book = load_workbook(file, read_only=True, data_only=True, keep_links=False)
        for sheet in book.worksheets:
            name = sheet.title.strip().lower()
            if name in _SHEETS and name not in found.rows:
                found.headers[name], found.rows[name] = _sheet(sheet, name)
    except FileUnreadable:
        raise
    except DefusedXmlException as error:
        raise FileUnreadable("The workbook has XML entities, which are not allowed.") from error
    except (InvalidFileException, zipfile.BadZipFile, ParseError, KeyError, ValueError, TypeError) as error:
        raise FileUnreadable("The file is not an XLSX workbook that can be read.") from error
    except (AttributeError, IndexError, OSError, EOFError, NotImplementedError, RuntimeError) as error:
        raise FileUnreadable("The workbook is damaged.") from error
    return found


def _require_small(file: IO[bytes]) -> None:
    file.seek(0)
    try:
        with zipfile.ZipFile(file) as archive:
            parts = archive.infolist()
    except (zipfile.BadZipFile, ValueError, OSError, EOFError, NotImplementedError) as error:
        raise FileUnreadable("The file is not an XLSX workbook.") from error
    # An archive cannot unpack to more than it declares: reading a part ends there.
    if len(parts) > MAX_PARTS or sum(part.file_size for part in parts) > MAX_UNPACKED:
        raise FileUnreadable(f"The workbook is too large: unpacked, it may have {MAX_UNPACKED >> 20} MiB.")
    if any(part.flag_bits & 1 for part in parts):
        raise FileUnreadable("The workbook is protected by a password.")


def _sheet(sheet: Any, name: str) -> tuple[list[str], list[SheetRow]]:
    sheet.reset_dimensions()
    rows = enumerate(sheet.iter_rows(max_col=MAX_COLUMNS + 1, values_only=True), 1)
    headers: list[str] = []
    for _, values in rows:
        texts = [_text(value, name, 1) for value in values]
        if any(texts):
            headers = [_header(text) for text in texts]
            break
    if len(headers) > MAX_COLUMNS and headers[MAX_COLUMNS]:
        raise FileUnreadable(f"The sheet {name} has more than {MAX_COLUMNS} columns.")
    filled = [header for header in headers if header]
    if len(set(filled)) != len(filled):
        twice = next(header for header in filled if filled.count(header) > 1)
        raise FileUnreadable(f"The sheet {name} has the column {twice[:100]} twice.")
    found = list(islice(_rows(rows, headers, name), MAX_ROWS + 1))
    if len(found) > MAX_ROWS:
        raise FileUnreadable(f"The sheet {name} has more than {MAX_ROWS} rows.")
    return filled, found


def _rows(rows: Iterator[tuple[int, Any]], headers: list[str], name: str) -> Iterator[SheetRow]:
    empty = 0
    for number, values in rows:
        texts = ((header, _text(value, name, number)) for header, value in zip(headers, values, strict=False) if header)
        cells = {header: text for header, text in texts if text}
        empty = 0 if cells else empty + 1
        if empty > _EMPTY_ROWS:
            return
        if cells:
            yield SheetRow(number, cells)


def _text(value: Any, sheet: str, row: int) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "TRUE" if value else "FALSE"
        case float() if value.is_integer():
            return str(int(value))
        case datetime() if not (value.hour or value.minute or value.second):
            return value.date().isoformat()
        case datetime() | date() | time():
            return value.isoformat()
    text = str(value)
    if len(text) > MAX_CELL:
        raise FileUnreadable(f"A cell of the sheet {sheet}, row {row}, has more than {MAX_CELL} characters.")
    return text.replace("\u00a0", " ").strip()


def _header(text: str) -> str:
    """The name of a column, the language after `::` as it is written."""
    name, mark, language = text.partition("::")
    if not mark and ":" in text and not text.lower().startswith(("jr:", "bind:", "body:")):
        name, mark, language = text.partition(":")
    name = " ".join(name.lower().split()).replace(" ", "_")
    return f"{name}::{' '.join(language.split())}" if mark else name
