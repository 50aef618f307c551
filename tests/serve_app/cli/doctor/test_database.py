"""What the doctor says of the database."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import asyncpg
import pytest

from db.migrate import head_revision
from db.server_facts import ServerFacts, server_facts
from db.settings import DatabaseSettings
from db.types import utc_now
from serve_app.cli.doctor import database
from serve_app.cli.doctor.finding import Severity
from serve_app.cli.doctor.placement import Pools
from tests.conftest import sqlalchemy_url
from tests.serve_app.cli.doctor.looking import CLUSTER, installation, worst

ROLE = "formstream_doctor"


@pytest.fixture
async def facts(postgres_settings: DatabaseSettings) -> ServerFacts:
    return await server_facts(postgres_settings)


@pytest.fixture
async def plain_role(postgres_server: str) -> AsyncIterator[str]:
    """The name of a role that may log in and nothing else."""
    connection = await asyncpg.connect(postgres_server)
    await connection.execute(f"CREATE ROLE {ROLE} LOGIN PASSWORD 'x'")
    yield ROLE
    await connection.execute(f"DROP ROLE {ROLE}")
    await connection.close()


async def test_nobody_listens(tmp_path: Path) -> None:
    url = "postgresql://formstream:hunter2@127.0.0.1:9/formstream"
    (found,) = await database.examine(installation(tmp_path, database_url=url))
    assert (found.check, found.severity) == ("database.reachable", Severity.ERROR)
    assert "hunter2" not in found.says


async def test_everything_is_looked_at(tmp_path: Path, postgres_settings: DatabaseSettings) -> None:
    """The server of the tests has a superuser who logs in, and does without fsync."""
    found = await database.examine(installation(tmp_path, database_url=postgres_settings.url))
    severities = {each.check: each.severity for each in found}
    assert severities == {
        "database.reachable": Severity.OK,
        "database.role": Severity.WARNING,
        "database.durable": Severity.ERROR,
        "database.connections": Severity.OK,
        "database.tls": Severity.OK,
        "machine.clock": Severity.OK,
        "database.schema": Severity.OK,
    }


def test_a_superuser_and_who_bypasses_isolation(facts: ServerFacts) -> None:
    assert facts.superuser
    assert "superuser" in database.role(facts).says
    assert "BYPASSRLS" in database.role(replace(facts, superuser=False, bypasses_isolation=True)).says


async def test_a_plain_role_is_fine(postgres_server: str, plain_role: str) -> None:
    # The server of the tests trusts whoever reaches its socket.
    url = sqlalchemy_url(postgres_server).replace("postgres:@", f"{plain_role}:@")
    assert plain_role in url
    facts = await server_facts(DatabaseSettings(url=url))
    assert database.role(facts).severity is Severity.OK


async def test_commits_that_are_not_durable(postgres_settings: DatabaseSettings, postgres_database: str) -> None:
    connection = await asyncpg.connect(postgres_database)
    name = await connection.fetchval("SELECT current_database()")
    await connection.execute(f"ALTER DATABASE {name} SET synchronous_commit = off")
    try:
        facts = await server_facts(postgres_settings)
    finally:
        await connection.execute(f"ALTER DATABASE {name} RESET synchronous_commit")
        await connection.close()
    sentences = [each.says for each in database.durability(facts)]
    assert len(sentences) == 2
    assert "synchronous_commit is off" in sentences[1]
    assert not facts.survives_power_cut


def test_fewer_connections_than_replicas_take(facts: ServerFacts) -> None:
    """PostgreSQL's own limit, which the tests' server has, is too small for a cluster."""
    assert database.connections(facts, Pools(12, 52), 8).severity is Severity.ERROR
    assert database.connections(replace(facts, connections=200), Pools(12, 52), 8).severity is Severity.WARNING
    assert database.connections(replace(facts, connections=500), Pools(12, 52), 8).severity is Severity.OK


@pytest.mark.parametrize(
    ("url", "severity"),
    [
        ("postgresql://db.internal/f", Severity.WARNING),
        ("postgresql://db.internal/f?sslmode=require", Severity.WARNING),
        ("postgresql://db.internal/f?sslmode=verify-full", Severity.OK),
        ("postgresql://127.0.0.1/f", Severity.OK),
        ("postgresql:///f?host=/run/postgresql", Severity.OK),
    ],
)
def test_a_connection_that_others_can_read(facts: ServerFacts, url: str, severity: Severity) -> None:
    assert database.encryption(DatabaseSettings(url=url), facts).severity is severity


def test_clocks_that_are_apart(facts: ServerFacts) -> None:
    assert database.clock(facts.now + timedelta(minutes=1), utc_now()).severity is Severity.ERROR


class TestSchema:
    @pytest.fixture
    def revision(self, postgres_database: str) -> Iterator[None]:
        """Whatever is written there, it is the head again in the end."""
        yield
        asyncio.run(_set_revision(postgres_database, head_revision()))

    @pytest.mark.parametrize(
        ("at", "severity", "cure"),
        [
            ("0001", Severity.ERROR, "formstream migrate"),
            ("0000", Severity.ERROR, "Restore the backup"),
            ("9999", Severity.WARNING, "that version again"),
        ],
    )
    async def test_code_and_tables_that_do_not_fit(
        self,
        tmp_path: Path,
        postgres_settings: DatabaseSettings,
        postgres_database: str,
        revision: None,
        at: str,
        severity: Severity,
        cure: str,
    ) -> None:
        await _set_revision(postgres_database, at)
        found = worst(
            await database.examine(installation(tmp_path, database_url=postgres_settings.url)), "database.schema"
        )
        assert (found.severity, cure in found.cure) == (severity, True)


async def _set_revision(uri: str, revision: str) -> None:
    connection = await asyncpg.connect(uri)
    await connection.execute("UPDATE alembic_version SET version_num = $1", revision)
    await connection.close()


class TestSqlite:
    async def test_not_for_a_cluster(self, tmp_path: Path) -> None:
        (found,) = await database.examine(installation(tmp_path, serve_config=CLUSTER))
        assert found.severity is Severity.ERROR

    async def test_looking_makes_no_file(self, tmp_path: Path) -> None:
        (found,) = await database.examine(installation(tmp_path))
        assert found.severity is Severity.OK
        assert not os.listdir(tmp_path)

    async def test_a_file_that_is_none(self, tmp_path: Path) -> None:
        (tmp_path / "formstream.db").write_text("no database at all" * 100)
        (found,) = await database.examine(installation(tmp_path))
        assert found.severity is Severity.ERROR

    async def test_a_migrated_file(self, tmp_path: Path, sqlite_settings: DatabaseSettings) -> None:
        found = await database.examine(installation(tmp_path, database_url=sqlite_settings.url))
        assert [each.severity for each in found] == [Severity.OK, Severity.OK]
