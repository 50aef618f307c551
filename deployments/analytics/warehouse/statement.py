"""What a statement asks for: one query, of which tables, and nothing that is not allowed. Pure functions of the tree
that the engine's own parser makes, so that nobody reads a statement otherwise than it is carried out."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from deployments.analytics.warehouse.functions import FUNCTIONS, OPERATORS, TABLE_FUNCTIONS

_NODES: Final = frozenset({"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"})
_SOURCES: Final = frozenset(
    {"BASE_TABLE", "SUBQUERY", "JOIN", "TABLE_FUNCTION", "EMPTY", "EXPRESSION_LIST", "PIVOT", "SHOW_REF"}
)
_OTHER: Final = frozenset(
    {
        "ORDER_MODIFIER",
        "LIMIT_MODIFIER",
        "LIMIT_PERCENT_MODIFIER",
        "DISTINCT_MODIFIER",
        "ORDER_DEFAULT",
        "ASCENDING",
        "DESCENDING",
    }
)
_KNOWN: Final = _NODES | _SOURCES | _OTHER
_DESCRIBING: Final = frozenset({"DESCRIBE", "SUMMARY"})
_LINE: Final = re.compile(r"\n\nLINE (\d+): (?:.*)\n *\^.*", re.DOTALL)


class Refused(Exception):
    """A statement that is not carried out: a stable code, a sentence, and where, counted from 1, when that is known."""

    def __init__(self, code: str, detail: str, line: int | None = None, column: int | None = None) -> None:
        super().__init__(code, detail, line, column)
        self.code = code
        self.detail = detail
        self.line = line
        self.column = column


@dataclass(frozen=True, slots=True)
class _Place:
    """A part of the tree, and the names that stand for subqueries there."""

    node: Any
    names: frozenset[str]


def tables_of(sql: str, serialized: str) -> frozenset[str]:
    """The names of tables that a statement reads, in lower case; `serialized` is what `json_serialize_sql` says of it.

    Raises Refused.
    """
    try:
        document = json.loads(serialized)
    except RecursionError:
        raise Refused("sql.too_deep", "The statement is nested too deeply.") from None
    if document["error"]:
        raise _unreadable(sql, document)
    statements = document["statements"]
    if len(statements) != 1:
        raise Refused("sql.several_statements", "There must be exactly one statement.")
    found: set[str] = set()
    places = [_Place(statements[0]["node"], frozenset())]
    while places:
        place = places.pop()
        if isinstance(place.node, list):
            places += [_Place(each, place.names) for each in place.node]
        elif isinstance(place.node, dict):
            name = _table(sql, place)
            if name is not None:
                found.add(name)
            places += _parts(place)
    return frozenset(found)


def _table(sql: str, place: _Place) -> str | None:
    """Checks one part; the name of the table that it is, if any."""
    node = place.node
    kind = node.get("type")
    if isinstance(kind, str) and "class" not in node and kind not in _KNOWN:
        raise _at(sql, node, "sql.construct", f"{kind.replace('_', ' ').capitalize()} is not allowed.")
    if kind == "SHOW_REF" and (node.get("show_type") not in _DESCRIBING or not node.get("query")):
        raise Refused("sql.not_a_query", "Ask for the tables with GET /api/v2/analytics/tables; DESCRIBE takes one.")
    if kind == "TABLE_FUNCTION":
        _require_function(sql, node["function"], TABLE_FUNCTIONS, node)
    elif "function_name" in node:
        _require_function(sql, node, FUNCTIONS | OPERATORS, node)
    if kind != "BASE_TABLE":
        return None
    name: str = node["table_name"]
    if node.get("schema_name") or node.get("catalog_name") or node.get("at_clause"):
        raise _at(sql, node, "sql.qualified", f"A table is called by its name alone, not by a schema: {name!r}.")
    lowered = name.lower()
    return None if lowered in place.names else lowered


def _require_function(sql: str, call: Mapping[str, Any], allowed: frozenset[str], node: Mapping[str, Any]) -> None:
    name = str(call["function_name"])
    if call.get("schema") or call.get("catalog") or name.lower() not in allowed:
        raise _at(sql, node, "sql.function", f"The function {name} is not allowed.")


def _parts(place: _Place) -> Iterator[_Place]:
    node, names = place.node, place.names
    for entry in node.get("cte_map", {}).get("map", ()):
        name = entry["key"].lower()
        is_recursive = entry["value"].get("query_node", {}).get("type") == "RECURSIVE_CTE_NODE"
        # Each sees those before it; its own name is somebody else's unless it calls itself.
        yield _Place(entry["value"], names | {name} if is_recursive else names)
        names |= {name}
    if node.get("type") == "TABLE_FUNCTION":
        node = {**node, "function": node["function"].get("arguments")}
    for key, part in node.items():
        if key != "cte_map" and isinstance(part, dict | list):
            yield _Place(part, names)


def _unreadable(sql: str, document: Mapping[str, Any]) -> Refused:
    said = str(document.get("error_message", ""))
    if document.get("error_type") == "not implemented":
        if "SELECT" in said:
            said = "Only one query is allowed: SELECT, WITH, FROM, VALUES, DESCRIBE or SUMMARIZE."
            return Refused("sql.not_a_query", said, *_start(sql))
        return Refused("sql.syntax", said)
    if "max_expression_depth" in said:
        return Refused("sql.too_deep", "The statement is nested too deeply.")
    position = document.get("position")
    where = _where(sql, int(position)) if position is not None and str(position).isdecimal() else (None, None)
    return Refused("sql.syntax", shortened(said) or "The statement cannot be read.", *where)


def _start(sql: str) -> tuple[int | None, int | None]:
    return _where(sql, len(sql.encode()) - len(sql.lstrip().encode()))


def _at(sql: str, node: Mapping[str, Any], code: str, detail: str) -> Refused:
    place = node.get("query_location")
    return Refused(code, detail, *(_where(sql, place) if isinstance(place, int) else (None, None)))


def place_of(sql: str, name: str) -> tuple[int | None, int | None]:
    """Line and column where a name stands first, counted from 1."""
    found = re.search(re.escape(name), sql, re.IGNORECASE)
    return (None, None) if found is None else _where(sql, len(sql[: found.start()].encode()))


def _where(sql: str, offset: int) -> tuple[int | None, int | None]:
    """Line and column, in characters counted from 1, of an offset in bytes of UTF-8."""
    content = sql.encode()
    if not 0 <= offset <= len(content):
        return None, None
    before = content[:offset].decode(errors="replace")
    return before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1


def shortened(said: str) -> str:
    """What the engine says, without the drawing of the statement."""
    return _LINE.sub("", said).strip()[:1_000]


def line_of(said: str) -> int | None:
    """The line that the engine draws."""
    found = _LINE.search(said)
    return None if found is None else int(found.group(1))
