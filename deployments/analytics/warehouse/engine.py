"""What carries out one statement: an engine of its own, empty but for the tables it reads.

It reads no file but theirs and takes no setting any more.
"""

from bisect import bisect_right
from functools import partial
from typing import Any, Final

import duckdb
import pyarrow as pa  # type: ignore[import-untyped]

from deployments.analytics.sql_contracts import LONGEST
from deployments.analytics.warehouse.rendering import RENDERED
from deployments.analytics.warehouse.statement import Refused, line_of, shortened, tables_of

_BATCH_ROWS: Final = 2_048
_TOO_MUCH: Final = "The statement needs more memory than it gets."
_UNREAD: Final = "The tables could not be read."
_SAFE: Final = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_community_extensions": "false",
    "allow_persistent_secrets": "false",
    "python_enable_replacements": "false",
    "temp_directory": "",
    "preserve_insertion_order": "false",
    "max_expression_depth": "250",
}


class Engine:
    """One empty engine, for one statement."""

    def __init__(self, memory: int, threads: int, paths: list[str]) -> None:
        config: dict[str, Any] = {**_SAFE, "memory_limit": f"{memory}B", "threads": str(threads)}
        self._connection = duckdb.connect(":memory:", config=config)
        self._connection.execute("SET TimeZone = 'UTC'")
        if paths:
            listed = ", ".join("'" + path.replace("'", "''") + "'" for path in paths)
            self._connection.execute(f"SET allowed_paths = [{listed}]")
        self._connection.execute("SET enable_external_access = false")
        self._connection.execute("SET lock_configuration = true")

    def tables(self, sql: str) -> frozenset[str]:
        """What a statement reads. Raises Refused."""
        if len(sql) > LONGEST:
            raise Refused("sql.too_long", f"A statement has at most {LONGEST} characters.")
        ((serialized,),) = self._connection.execute("SELECT json_serialize_sql(?)", [sql]).fetchall()
        return tables_of(sql, serialized)

    def run(self, asked: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        """What a statement answers. Raises Refused, and what the engine raises."""
        sql = asked["sql"]
        if not self.tables(sql) <= asked["views"].keys():
            raise Refused("sql.unknown_table", "There is no such table.")
        for name, definition in asked["views"].items():
            self._connection.execute(f'CREATE TEMP VIEW "{name.replace(chr(34), chr(34) * 2)}" AS {definition}')
        # A relation gives its rows piece by piece; what is executed at once is held whole.
        found = self._connection.sql(sql, params=asked["parameters"] or None)
        types = [(name, str(kind)) for name, kind in zip(found.columns, found.types, strict=True)]
        reader = found.to_arrow_reader(_BATCH_ROWS)
        batches, truncated = _some(reader, asked["max_rows"], asked["max_bytes"])
        head = {
            "columns": [{"name": name, "type": kind} for name, kind in types],
            "rows": sum(batch.num_rows for batch in batches),
            "truncated": truncated,
        }
        table = pa.Table.from_batches(batches, reader.schema)
        return head, RENDERED[asked["format"]](table)

    def close(self) -> None:
        """Forget everything."""
        self._connection.close()


def _some(found: Any, max_rows: int, max_bytes: int) -> tuple[list[Any], bool]:
    """The first rows that fit, and whether there were more."""
    batches: list[Any] = []
    rows = size = 0
    for batch in found:
        count = min(batch.num_rows, max_rows - rows)
        if batch.slice(0, count).nbytes > max_bytes - size:
            count = bisect_right(range(count + 1), max_bytes - size, key=partial(_size, batch)) - 1
        batches.append(batch.slice(0, count))
        if count < batch.num_rows:
            return batches, True
        rows += count
        size += batch.nbytes
    return batches, False


def _size(batch: Any, count: int) -> int:
    """The bytes of the first rows of a batch."""
    return int(batch.slice(0, count).nbytes)


def keep_to_one_thread() -> None:
    """Have Arrow begin no more threads; those of the engine are counted."""
    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)


def answer(asked: dict[str, Any], memory: int, threads: int) -> tuple[dict[str, Any], bytes]:
    """What is said to a question: the names of tables, the rows, or why not."""
    try:
        engine = Engine(memory, threads, asked.get("paths", []))
        try:
            if asked["do"] == "read":
                return {"tables": sorted(engine.tables(asked["sql"]))}, b""
            return engine.run(asked)
        finally:
            engine.close()
    except Refused as error:
        refused = {"code": error.code, "detail": error.detail, "line": error.line, "column": error.column}
    except (duckdb.OutOfMemoryException, MemoryError, pa.ArrowMemoryError):
        refused = {"code": "sql.memory", "detail": _TOO_MUCH, "is_spent": True}
    except (duckdb.IOException, duckdb.PermissionException, duckdb.InternalException, duckdb.FatalException) as error:
        refused = {"code": "sql.failed", "detail": _UNREAD, "is_spent": True}
        refused["internal"] = str(error)[:2_000]
    except duckdb.Error as error:
        said = str(error)
        refused = {"code": "sql.invalid", "detail": shortened(said), "line": line_of(said)}
    except OSError as error:
        refused = _late(str(error))
    except (ValueError, TypeError, RuntimeError, OverflowError) as error:
        refused = {"code": "sql.invalid", "detail": shortened(str(error))}
    return {"refused": refused}, b""


def _late(said: str) -> dict[str, Any]:
    """What is wrong, when it comes to light while rows are read: then Arrow tells what the engine says."""
    if said.startswith("Out of Memory Error"):
        return {"code": "sql.memory", "detail": _TOO_MUCH, "is_spent": True}
    if said.startswith(("IO Error", "Permission Error", "INTERNAL Error", "FATAL Error")):
        return {"code": "sql.failed", "detail": _UNREAD, "is_spent": True, "internal": said[:2_000]}
    return {"code": "sql.invalid", "detail": shortened(said)}
