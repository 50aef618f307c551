"""What a migration may do to a database that is in use, by a version that knows nothing of it (decision 0047)."""

import re
from collections.abc import Iterator, Sequence

import pytest
from alembic.script import ScriptDirectory

from db import migrate
from db.migration_plan import written

# What was done before the rule was made is done.
FIRST = "0038"

_CREATED = re.compile(r'^CREATE TABLE "?(\w+)')
_INDEX = re.compile(r'^CREATE (?:UNIQUE )?INDEX (?!CONCURRENTLY).* ON "?(\w+)')
_TAKES_AWAY = re.compile(
    r"^DROP TABLE|^ALTER TABLE \S+ (?:DROP (?!CONSTRAINT)|RENAME|ALTER COLUMN \S+ (?:TYPE|SET NOT NULL))"
)
_NOT_NULL = re.compile(r"^ALTER TABLE \S+ ADD COLUMN (?!.*DEFAULT).*NOT NULL")


def faults(statements: Sequence[str]) -> Iterator[str]:
    """What is wrong with a migration, each in a sentence."""
    created = {found[1] for each in statements if (found := _CREATED.match(each))}
    for each in statements:
        if (found := _INDEX.match(each)) and found[1] not in created:
            yield f"{each}: nobody can write meanwhile; use create_index_online"
        if _TAKES_AWAY.match(each):
            yield f"{each}: the version that runs may need it; take it away in a later release"
        if _NOT_NULL.match(each):
            yield f"{each}: the version that runs gives it no value"
    concurrent = [each for each in statements if " CONCURRENTLY " in each]
    if concurrent and len(concurrent) < len(statements):
        yield f"{concurrent[0]}: it cannot be undone together with the rest; give it a migration of its own"


def test_migrations_keep_nobody_from_working() -> None:
    lineage = list(ScriptDirectory.from_config(migrate.config()).walk_revisions())[::-1]
    way = [script for script in lineage if script.revision >= FIRST]
    found = {
        script.revision: list(faults(statements))
        for script, statements in zip(way, written(way, backwards=False), strict=True)
    }
    assert {revision: each for revision, each in found.items() if each} == {}


@pytest.mark.parametrize(
    ("statements", "fault"),
    [
        (["CREATE INDEX ix_a ON response (a)"], "nobody can write"),
        (["CREATE UNIQUE INDEX ix_a ON response (a)"], "nobody can write"),
        (["ALTER TABLE response DROP COLUMN a"], "may need it"),
        (["DROP TABLE response"], "may need it"),
        (["ALTER TABLE response RENAME a TO b"], "may need it"),
        (["ALTER TABLE response ALTER COLUMN a TYPE TEXT"], "may need it"),
        (["ALTER TABLE response ADD COLUMN a VARCHAR NOT NULL"], "gives it no value"),
        (["ALTER TABLE a ADD COLUMN b VARCHAR", "CREATE INDEX CONCURRENTLY ix ON a (b)"], "of its own"),
    ],
)
def test_what_would_is_found(statements: list[str], fault: str) -> None:
    (said,) = faults(statements)
    assert fault in said


@pytest.mark.parametrize(
    "statements",
    [
        ["CREATE TABLE new (a VARCHAR NOT NULL)", "CREATE INDEX ix_new ON new (a)"],
        ["ALTER TABLE response ADD COLUMN a VARCHAR"],
        ["ALTER TABLE response ADD COLUMN a VARCHAR DEFAULT '' NOT NULL"],
        ["ALTER TABLE response DROP CONSTRAINT fk_a"],
        ["CREATE INDEX CONCURRENTLY IF NOT EXISTS ix_a ON response (a)"],
    ],
)
def test_what_would_not_is_let_through(statements: list[str]) -> None:
    assert list(faults(statements)) == []
