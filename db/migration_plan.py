"""What a migration would do, before it is done: its statements, and how much of what is stored they go through."""

import io
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from alembic import command
from alembic.script import Script, ScriptDirectory
from sqlalchemy import Connection, create_engine, event, inspect, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import StaticPool
from sqlalchemy.sql import quoted_name

from db.engine import owner_engine
from db.errors import DatabaseError
from db.migrate import apply, config, revision_of
from db.roles import SYSTEM_ROLE
from db.settings import DatabaseSettings

_COPIED: Final = 10_000
_TABLES: Final = re.compile(r'\b(?:ALTER TABLE|DROP TABLE|UPDATE|DELETE FROM|FROM|JOIN|ON)\s+(?:ONLY\s+)?"?([a-z_]+)"?')
_MAY_SEE_ALL: Final = text("SELECT count(*) FROM pg_roles WHERE rolname = :role AND pg_has_role(oid, 'MEMBER')")
_SILENT: Final = ("SELECT", "PRAGMA", "BEGIN", "COMMIT")
_BOOKKEEPING: Final = re.compile(r"\balembic_version\b")


@dataclass(frozen=True, slots=True)
class Affected:
    """A table with rows that a step may go through; `seconds` is what copying all of them would take, as a copy of the
    first 10,000 took."""

    table: str
    rows: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Step:
    """One migration, forth or back."""

    revision: str
    title: str
    statements: tuple[str, ...]
    affected: tuple[Affected, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """The way from the revision that the database has (None: it is empty) to another one."""

    current: str | None
    target: str
    backwards: bool
    steps: tuple[Step, ...]


async def plan(settings: DatabaseSettings, target: str = "head") -> Plan:
    """The way to `target`: a revision, `head` or `base`. Nothing is changed, and nothing that is stored is locked.

    Raises DatabaseError for a revision that this code does not know, and when the database cannot be read.
    """
    engine = owner_engine(settings, writes=False)
    try:
        async with engine.connect() as connection:
            found = await connection.run_sync(_plan, target)
            await connection.rollback()
            return found
    except (DBAPIError, OSError) as error:
        raise DatabaseError(f"the database cannot be read: {getattr(error, 'orig', error)}") from error
    finally:
        await engine.dispose()


def _plan(connection: Connection, target: str) -> Plan:
    lineage = list(ScriptDirectory.from_config(config()).walk_revisions())[::-1]
    current = revision_of(connection)
    here, there = _place(lineage, current or "base"), _place(lineage, target)
    backwards = there < here
    way = lineage[there:here][::-1] if backwards else lineage[here:there]
    is_postgresql = connection.dialect.name == "postgresql"
    texts = written(way, backwards=backwards) if is_postgresql else _tried(lineage[:here], way, backwards=backwards)
    stored = set(inspect(connection).get_table_names()) - {"alembic_version"}
    if is_postgresql and connection.scalar(_MAY_SEE_ALL, {"role": SYSTEM_ROLE}):
        # The owner of the tables sees no tenant's rows.
        connection.execute(text(f"SET LOCAL ROLE {SYSTEM_ROLE}"))
    steps = []
    for script, statements in zip(way, texts, strict=True):
        names = stored & {name for statement in statements for name in _TABLES.findall(statement)}
        affected = [_affected(connection, name) for name in sorted(names)]
        steps.append(
            Step(script.revision, script.doc, tuple(statements), tuple(each for each in affected if each.rows))
        )
    return Plan(current, lineage[there - 1].revision if there else "base", backwards, tuple(steps))


def _place(lineage: Sequence[Script], revision: str) -> int:
    """How many migrations lead to the revision."""
    if revision == "base":
        return 0
    if revision == "head":
        return len(lineage)
    for place, script in enumerate(lineage, 1):
        if script.revision == revision:
            return place
    raise DatabaseError(
        f"this version of Formstream knows no revision {revision}; its newest is {lineage[-1].revision}"
    )


def written(way: Sequence[Script], *, backwards: bool) -> list[list[str]]:
    """The statements of each step on PostgreSQL, as Alembic writes them down without a database."""
    texts = []
    for script in way:
        before, after = script.down_revision or "base", script.revision
        written = io.StringIO()
        alembic = config()
        alembic.attributes["dialect"] = "postgresql"
        alembic.output_buffer = written
        if backwards:
            command.downgrade(alembic, f"{after}:{before}", sql=True)
        else:
            command.upgrade(alembic, f"{before}:{after}", sql=True)
        texts.append(_told(written.getvalue().split(";\n")))
    return texts


def _tried(past: Sequence[Script], way: Sequence[Script], *, backwards: bool) -> list[list[str]]:
    """The statements of each step, from a database in memory that goes the same way: most changes of a table are new
    tables on SQLite, and depend on what is there."""
    engine = create_engine("sqlite://", poolclass=StaticPool)
    said: list[str] = []

    @event.listens_for(engine, "before_cursor_execute")
    def _listen(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        said.append(statement)

    texts = []
    try:
        with engine.connect() as connection:
            if past:
                apply(connection, "upgrade", past[-1].revision)
            for script in way:
                said.clear()
                if backwards:
                    apply(connection, "downgrade", script.down_revision or "base")  # type: ignore[arg-type]
                else:
                    apply(connection, "upgrade", script.revision)
                texts.append(_told(said))
    finally:
        engine.dispose()
    return texts


def _told(statements: Sequence[str]) -> list[str]:
    lines = ("\n".join(line for line in each.splitlines() if not line.startswith("--")) for each in statements)
    cleaned = (line.strip().rstrip(";") for line in lines)
    return [each for each in cleaned if each and not each.startswith(_SILENT) and not _BOOKKEEPING.search(each)]


def _affected(connection: Connection, table: str) -> Affected:
    name = connection.dialect.identifier_preparer.quote(quoted_name(table, quote=None))
    began = time.perf_counter()
    connection.execute(text(f"CREATE TEMPORARY TABLE formstream_probe AS SELECT * FROM {name} LIMIT {_COPIED}"))  # noqa: S608 - a name of the schema
    took = time.perf_counter() - began
    copied = connection.scalar(text("SELECT count(*) FROM formstream_probe")) or 0
    connection.execute(text("DROP TABLE formstream_probe"))
    rows = copied if copied < _COPIED else connection.scalar(text(f"SELECT count(*) FROM {name}")) or 0  # noqa: S608
    return Affected(table, rows, round(took * rows / copied, 1) if copied else 0.0)
