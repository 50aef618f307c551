"""What SQLAlchemy compiled for one test serves those after it.

Compiling statements was two fifths of the processor time of tests that use a database.
"""

from collections.abc import Hashable
from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg
from sqlalchemy.util import LRUCache

from db.sqlite import ReaderDialect, WriterDialect

_KEPT = 4_000
_statements: LRUCache[Any, Any] = LRUCache(_KEPT)


def share() -> None:
    """Let all engines of a kind have one cache. Its keys name the dialect, of which each engine has its own."""
    for kind in (ReaderDialect, WriterDialect, PGDialect_asyncpg):
        kind.__hash__ = _hash  # type: ignore[assignment, method-assign]
        kind.__eq__ = _is_like  # type: ignore[assignment, method-assign]
    event.listen(Engine, "engine_connect", _use)


def _use(connection: Any) -> None:
    connection.engine.update_execution_options(compiled_cache=_statements)


def _likeness(dialect: Any) -> tuple[Hashable, ...]:
    """What a compiled statement has of its dialect."""
    return (type(dialect), dialect._json_serializer, dialect._json_deserializer)


def _hash(dialect: Any) -> int:
    return hash(_likeness(dialect))


def _is_like(dialect: Any, other: object) -> bool:
    return type(dialect) is type(other) and _likeness(dialect) == _likeness(other)
