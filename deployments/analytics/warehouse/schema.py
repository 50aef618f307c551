"""Columns of tables: their types in Arrow and in SQL, and the view that one table is over files of several shapes."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from deployments.analytics.sql_contracts import TableColumn

PLACES: Final = frozenset({"file_index", "file_row_number"})
"""What the engine calls the place of a row. A field of that name would hide it, so it has no column."""

_TYPES: Final[Mapping[str, str]] = {
    "string": "VARCHAR",
    "int64": "BIGINT",
    "double": "DOUBLE",
    "bool": "BOOLEAN",
    "date32[day]": "DATE",
    "timestamp[us, tz=UTC]": "TIMESTAMP WITH TIME ZONE",
}


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A Parquet file at hand, and the types of its columns by their names. `row_groups` are the first row, the number
    of rows, the least and the greatest id of each."""

    path: Path
    rows: int
    size: int
    types: Mapping[str, str]
    row_groups: tuple[tuple[int, int, str, str], ...]


def sql_type(arrow: str) -> str:
    """The type in SQL of a column of the lake."""
    return "VARCHAR[]" if arrow.startswith("list<") else _TYPES[arrow]


def columns_of(schema: Any, personal: Collection[str]) -> list[TableColumn]:
    """The columns of an Arrow schema whose metadata tell titles and fields."""
    found = []
    for column in schema:
        metadata: Mapping[bytes, bytes] = column.metadata or {}
        field = metadata.get(b"field", b"").decode() or None
        title = metadata.get(b"title", b"").decode()
        kind = sql_type(str(column.type))
        found.append(TableColumn(name=column.name, type=kind, title=title, field=field, personal=field in personal))
    return found


def view_of(columns: Sequence[TableColumn], files: Sequence[tuple[int, LocalFile]], gone: Path | None) -> str:
    """The query that is the table: these columns of every file. `gone` is a file with the numbers of files and rows
    that do not count any more; only files whose number is not negative have such rows."""
    shapes: dict[tuple[bool, tuple[str, ...]], list[tuple[int, LocalFile]]] = {}
    for number, file in files:
        shape = tuple(file.types.get(column.name, "") for column in columns)
        shapes.setdefault((number >= 0, shape), []).append((number, file))
    parts = [_part(columns, shape, of, gone if has_gone else None) for (has_gone, shape), of in shapes.items()]
    return " UNION ALL ".join(parts) or _empty(columns)


def _part(
    columns: Sequence[TableColumn], shape: Sequence[str], files: Sequence[tuple[int, LocalFile]], gone: Path | None
) -> str:
    cells = ", ".join(_cell(column, found) for column, found in zip(columns, shape, strict=True))
    paths = ", ".join(text(str(file.path)) for _, file in files)
    if gone is None:
        return f"SELECT {cells} FROM read_parquet([{paths}]) AS kept"  # noqa: S608
    # The engine numbers the files of this part only.
    numbers = ", ".join(str(number) for number, _ in files)
    places = " ".join(f"WHEN {number} THEN {place}" for place, (number, _) in enumerate(files))
    rows = f"SELECT CASE file {places} END AS place, position FROM read_parquet({text(str(gone))})"  # noqa: S608
    source = f"read_parquet([{paths}], file_row_number = true) AS kept"
    out = f"ANTI JOIN ({rows} WHERE file IN ({numbers})) AS gone"
    on = "kept.file_index = gone.place AND kept.file_row_number = gone.position"
    return f"SELECT {cells} FROM {source} {out} ON {on}"  # noqa: S608


def _cell(column: TableColumn, found: str) -> str:
    name = quoted(column.name)
    if not found:
        return f"CAST(NULL AS {column.type}) AS {name}"
    if sql_type(found) == column.type:
        return f"kept.{name}"
    return f"TRY_CAST(kept.{name} AS {column.type}) AS {name}"


def _empty(columns: Sequence[TableColumn]) -> str:
    return f"SELECT {', '.join(_cell(column, '') for column in columns)} WHERE false"


def quoted(name: str) -> str:
    """A name in SQL."""
    return '"' + name.replace('"', '""') + '"'


def text(value: str) -> str:
    """A text in SQL."""
    return "'" + value.replace("'", "''") + "'"
