"""The rows of an answer as bytes: Arrow, JSON, CSV."""

import base64
import math
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal
from itertools import chain
from typing import Any, Final

import orjson
import pyarrow as pa  # type: ignore[import-untyped]

from deployments.kit.tabular import csv_lines

_LARGEST: Final = 1 << 63


def _arrow(table: Any) -> bytes:
    """A stream of Arrow's IPC format."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    return bytes(sink.getvalue().to_pybytes())


def _json(table: Any) -> bytes:
    """An array of arrays. What JSON has no word for is a text; not a number and infinity are null."""
    return orjson.dumps([[_plain(value) for value in row] for row in _rows(table)])


def _csv(table: Any) -> bytes:
    """RFC 4180, with a header; null is empty, lists and records are JSON. No cell is a formula."""
    records = ([_cell(value) for value in row] for row in _rows(table))
    return csv_lines(chain([table.schema.names], records)).encode()


def _rows(table: Any) -> Iterator[tuple[Any, ...]]:
    for batch in table.to_batches():
        if batch.num_columns:
            yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)


def _plain(value: Any) -> Any:
    match value:
        case None | bool() | str():
            return value
        case int() | float() | Decimal():
            return _number(value)
        case datetime():
            return value.astimezone(UTC).isoformat().replace("+00:00", "Z") if value.tzinfo else value.isoformat()
        case date() | time():
            return value.isoformat()
        case bytes():
            return base64.b64encode(value).decode()
        case Mapping():
            return {str(key): _plain(each) for key, each in value.items()}
        case pa.MonthDayNano():
            return f"P{value.months}M{value.days}DT{value.nanoseconds / 1e9:g}S"
        case list() | tuple():
            return [_plain(each) for each in value]
    return str(value)


def _number(value: int | float | Decimal) -> Any:
    if isinstance(value, Decimal):
        value = int(value) if value.as_tuple().exponent == 0 else float(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if -_LARGEST <= value < _LARGEST else str(value)


def _cell(value: Any) -> str:
    plain = _plain(value)
    match plain:
        case None:
            return ""
        case bool():
            return "true" if plain else "false"
        case str():
            return plain
        case dict() | list():
            return orjson.dumps(plain).decode()
    return str(plain)


RENDERED: Final[Mapping[str, Callable[[Any], bytes]]] = {"arrow": _arrow, "json": _json, "csv": _csv}
