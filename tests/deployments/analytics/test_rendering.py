"""L4: what a statement answers, as JSON, CSV and Arrow."""

import csv
import io
from typing import Any

import duckdb
import orjson
import pyarrow as pa  # type: ignore[import-untyped]
import pytest

from deployments.analytics.warehouse.rendering import RENDERED


def table(sql: str) -> Any:
    with duckdb.connect(config={"threads": 1}) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        return connection.sql(sql).to_arrow_table()


@pytest.mark.parametrize(
    ("sql", "said", "cell"),
    [
        ("NULL", None, ""),
        ("true", True, "true"),
        ("7", 7, "7"),
        ("-0.5::DOUBLE", -0.5, "-0.5"),
        ("0.25::DOUBLE", 0.25, "0.25"),
        ("1.50::DECIMAL(9, 2)", 1.5, "1.5"),
        ("9223372036854775807::HUGEINT", 9223372036854775807, "9223372036854775807"),
        # No number of JSON that others read exactly.
        ("9223372036854775808::HUGEINT", "9223372036854775808", "9223372036854775808"),
        ("'nan'::DOUBLE", None, ""),
        ("'-infinity'::DOUBLE", None, ""),
        ("'grüße, \"du\"'", 'grüße, "du"', 'grüße, "du"'),
        ("'=1+1'", "=1+1", "'=1+1"),
        ("['@cmd', NULL]", ["@cmd", None], '["@cmd",null]'),
        ("{'a': 1, 'b': [DATE '2026-01-02']}", {"a": 1, "b": ["2026-01-02"]}, '{"a":1,"b":["2026-01-02"]}'),
        ("DATE '2026-01-02'", "2026-01-02", "2026-01-02"),
        ("TIME '03:04:05'", "03:04:05", "03:04:05"),
        ("TIMESTAMP '2026-01-02 03:04:05'", "2026-01-02T03:04:05", "2026-01-02T03:04:05"),
        ("TIMESTAMPTZ '2026-01-02 03:04:05+02'", "2026-01-02T01:04:05Z", "2026-01-02T01:04:05Z"),
        ("INTERVAL '1 month 2 days 3 seconds'", "P1M2DT3S", "P1M2DT3S"),
        ("'abc'::BLOB", "YWJj", "YWJj"),
    ],
)
def test_every_type_has_a_word_in_json_and_a_cell_in_csv(sql: str, said: Any, cell: str) -> None:
    found = table(f"SELECT {sql} AS a, 1 AS b")
    assert orjson.loads(RENDERED["json"](found)) == [[said, 1]]
    assert list(csv.reader(io.StringIO(RENDERED["csv"](found).decode()))) == [["a", "b"], [cell, "1"]]


def test_arrow_has_the_types_and_an_empty_answer_its_columns() -> None:
    found = table("SELECT 1::BIGINT AS a, 'x' AS b WHERE false")
    assert pa.ipc.open_stream(RENDERED["arrow"](found)).read_all().equals(found)
    assert RENDERED["json"](found) == b"[]"
    assert RENDERED["csv"](found).decode().split() == ["a,b"]
