"""L4: what statements may say, by the engine's own parser."""

import duckdb
import pytest

from deployments.analytics.warehouse.functions import FUNCTIONS, OPERATORS, TABLE_FUNCTIONS
from deployments.analytics.warehouse.statement import Refused, tables_of


def read(sql: str) -> frozenset[str]:
    with duckdb.connect() as connection:
        ((serialized,),) = connection.execute("SELECT json_serialize_sql(?)", [sql]).fetchall()
    return tables_of(sql, serialized)


@pytest.mark.parametrize(
    ("sql", "tables"),
    [
        ('SELECT a, count(*) FILTER (x) FROM "my-form" f JOIN frm_2 USING (id) GROUP BY ALL LIMIT 3', "my-form frm_2"),
        ("WITH RECURSIVE r(a) AS (SELECT 1 UNION ALL SELECT a + 1 FROM r WHERE a < 9) SELECT * FROM r, T", "t"),
        ("WITH a AS (SELECT 1), b AS (FROM a) FROM b EXCEPT SELECT n FROM t", "t"),
        ("SELECT unnest(l), [x + 1 FOR x IN l], lag(a) OVER (ORDER BY b), a ~ 'x', d::DATE, $1 FROM t", "t"),
        ("SELECT * FROM (PIVOT t ON a IN ('x') USING sum(b)), UNNEST([1]) u(n), range(3)", "t"),
        ("SELECT date_trunc('day', _submitted_at AT TIME ZONE 'Europe/Berlin'), median(a) FROM t GROUP BY 1", "t"),
        ("DESCRIBE t", "t"),
        ("SUMMARIZE t", "t"),
        ("FROM t;  -- the end; really", "t"),
    ],
)
def test_queries_are_read(sql: str, tables: str) -> None:
    assert read(sql) == frozenset(tables.split())


@pytest.mark.parametrize(
    ("sql", "code", "where"),
    [
        ("", "sql.several_statements", None),
        ("SELECT 1; SELECT 2", "sql.several_statements", None),
        ("SELECT 1; COPY t TO '/tmp/x'", "sql.not_a_query", (1, 1)),
        ("\n  COPY t TO '/tmp/x'", "sql.not_a_query", (2, 3)),
        ("COPY (SELECT 1) TO '/tmp/x'", "sql.not_a_query", (1, 1)),
        ("ATTACH '/tmp/x.db'", "sql.not_a_query", (1, 1)),
        ("INSTALL httpfs", "sql.not_a_query", (1, 1)),
        ("LOAD httpfs", "sql.not_a_query", (1, 1)),
        ("SET memory_limit = '1TB'", "sql.not_a_query", (1, 1)),
        ("PRAGMA database_list", "sql.not_a_query", (1, 1)),
        ("CALL pragma_version()", "sql.not_a_query", (1, 1)),
        ("CREATE TABLE x AS SELECT 1", "sql.not_a_query", (1, 1)),
        ("PREPARE p AS SELECT 1", "sql.not_a_query", (1, 1)),
        ("EXECUTE p", "sql.not_a_query", (1, 1)),
        ("EXPLAIN ANALYZE SELECT 1", "sql.not_a_query", (1, 1)),
        ("EXPORT DATABASE '/tmp/x'", "sql.not_a_query", (1, 1)),
        ("INSERT INTO t VALUES (1)", "sql.not_a_query", (1, 1)),
        ("SHOW TABLES", "sql.not_a_query", None),
        ("SELECT * FROM (SHOW ALL TABLES)", "sql.not_a_query", None),
        ("WITH x AS (DELETE FROM t RETURNING *) SELECT * FROM x", "sql.construct", None),
        ("WITH x AS (COPY t TO '/tmp/x') SELECT 1", "sql.construct", None),
        ("SELECT * FROM read_csv('/etc/passwd')", "sql.function", (1, 15)),
        ("SELECT * FROM read_parquet('/etc/x')", "sql.function", (1, 15)),
        ("SELECT * FROM glob('/*')", "sql.function", (1, 15)),
        ("SELECT content FROM read_text('/etc/passwd')", "sql.function", (1, 21)),
        ("SELECT * FROM query('SELECT 1')", "sql.function", (1, 15)),
        ("SELECT * FROM query_table('t')", "sql.function", (1, 15)),
        ("SELECT * FROM json_execute_serialized_sql('{}')", "sql.function", (1, 15)),
        ("SELECT * FROM duckdb_settings()", "sql.function", (1, 15)),
        ("SELECT * FROM duckdb_secrets()", "sql.function", (1, 15)),
        ("SELECT 'é',\n  getenv('HOME')", "sql.function", (2, 3)),
        ("SELECT current_setting('allowed_paths')", "sql.function", (1, 8)),
        ("SELECT getvariable('x')", "sql.function", (1, 8)),
        ("SELECT sleep_ms(1000000)", "sql.function", (1, 8)),
        ('SELECT "PG_SLEEP"(1)', "sql.function", (1, 8)),
        ("SELECT 'x'.read_text()", "sql.function", (1, 12)),
        ("SELECT /* sum( */ write_log('x')", "sql.function", (1, 19)),
        ("SELECT main.sum(1)", "sql.function", (1, 8)),
        ("SELECT list_aggregate([1], 'sum') FROM information_schema.tables", "sql.qualified", (1, 40)),
        ("SELECT * FROM main.t", "sql.qualified", (1, 15)),
        ("SELECT * FROM pg_catalog.pg_class", "sql.qualified", (1, 15)),
        ("SELECT " + "(" * 2000 + "1" + ")" * 2000, "sql.too_deep", None),
        ("SELECT " + "1 + " * 2000 + "1", "sql.too_deep", None),
        ("SELECT * FORM t", "sql.syntax", (1, 15)),
    ],
)
def test_everything_else_is_refused(sql: str, code: str, where: tuple[int, int] | None) -> None:
    with pytest.raises(Refused) as refused:
        read(sql)
    assert (refused.value.code, refused.value.detail != "") == (code, True)
    assert where is None or (refused.value.line, refused.value.column) == where


def test_a_name_stands_for_a_subquery_only_where_it_is_defined() -> None:
    """Elsewhere it is a table, and the engine has some of its own."""
    assert read("SELECT * FROM (WITH duckdb_settings AS (SELECT 1) SELECT 1), duckdb_settings") == {"duckdb_settings"}
    assert read("WITH duckdb_settings AS (SELECT * FROM duckdb_settings) SELECT 1") == {"duckdb_settings"}
    assert read("SELECT * FROM '/etc/passwd.csv'") == {"/etc/passwd.csv"}


def test_every_function_that_is_allowed_exists_or_is_made_by_the_parser() -> None:
    """A name that the engine has not would be allowed to whoever brings it."""
    with duckdb.connect() as connection:
        known = connection.execute("SELECT lower(function_name), function_type FROM duckdb_functions()").fetchall()
    values = {name for name, kind in known if kind in ("scalar", "aggregate", "macro")}
    made = {"->", "coalesce", "count_star", "cume_dist", "dense_rank", "fill", "first_value", "lag", "last_value"}
    made |= {"lead", "nth_value", "ntile", "percent_rank", "rank", "rank_dense", "row_number", "unnest"}
    assert (FUNCTIONS | OPERATORS) - values <= made
    assert {name for name, kind in known if kind == "table"} >= TABLE_FUNCTIONS
