"""A row in every table, so that nothing that a migration does finds nothing to do it to."""

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Table, inspect, text

from db.models import SQLModel
from db.types import UTCDateTime

Rows = dict[str, list[dict[str, Any]]]

# References that triggers see to, and no foreign key; and first turns at an event: others are lost on the way back.
_MEANT = {
    "tenant_id": "tenant.id",
    "response_id": "response.id",
    "form_id": "form.id",
    "generation": "",
    "replay_id": "",
}
_MOMENT = datetime(2026, 2, 3, 4, 5, 6, 789000, tzinfo=UTC)


def fill(connection: Connection) -> None:
    """Put a row into every table of the models, each column with a value, each reference to the row it may mean."""
    made: dict[str, dict[str, Any]] = {}
    for table in SQLModel.metadata.sorted_tables:
        row = {column.name: _value(table, column) for column in table.columns}
        row |= {name: value for name, value in _MEANT.items() if isinstance(row.get(name), str)}
        for constraint in table.foreign_key_constraints:
            parent = made.get(constraint.referred_table.name)
            if parent is not None:
                row |= {element.parent.name: parent[element.column.name] for element in constraint.elements}
        made[table.name] = row
        connection.execute(table.insert(), row)


def stored(connection: Connection) -> Rows:
    """Every row of every table but Alembic's, as it is on the disk; by table."""
    names = sorted(set(inspect(connection).get_table_names()) - {"alembic_version"})
    if connection.dialect.name == "postgresql":
        queries = " UNION ALL ".join(f"SELECT '{name}', to_jsonb(t) FROM \"{name}\" t" for name in names)
        found: Rows = {name: [] for name in names}
        for name, row in connection.execute(text(queries)) if names else ():
            found[name].append(row)
        return found
    return {
        name: [dict(row) for row in connection.execute(text(f'SELECT * FROM "{name}"')).mappings()] for name in names
    }


def changed(before: Rows, after: Rows) -> list[str]:
    """The tables that are in both and do not have the same rows, as far as they have the same columns."""
    return [name for name in sorted(before.keys() & after.keys()) if not _same(before[name], after[name])]


def _same(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> bool:
    columns = before[0].keys() & after[0].keys() if before and after else set()
    return [{name: row[name] for name in columns} for row in before] == [
        {name: row[name] for name in columns} for row in after
    ]


def _value(table: Table, column: sa.Column[Any]) -> Any:
    kind = column.type
    if isinstance(kind, UTCDateTime):
        return _MOMENT
    if isinstance(kind, sa.JSON):
        return {"a": "ä"}
    if isinstance(kind, sa.Boolean):
        return True
    if isinstance(kind, sa.Integer):
        return 7
    if isinstance(kind, sa.Float):
        return 0.5
    if isinstance(kind, sa.LargeBinary):
        return b"\x00\xff"
    return f"{table.name}.{column.name}"
