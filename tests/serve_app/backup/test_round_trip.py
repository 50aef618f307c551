"""O4: what was backed up comes back, all of it, and nothing else."""

from pathlib import Path

import asyncpg
from sqlalchemy import text

from db import migrate
from db.session import Database
from db.types import utc_now
from deployments.events.measuring import measure
from serve_app.backup.drilling import Drill, Report, drill_backup, remember
from serve_app.backup.making import back_up
from serve_app.backup.restoring import restore
from serve_app.settings import Settings
from tests.serve_app.backup.scene import DIFFERENT, Place, everything_in, objects_in

_UNPROTECTED = """
SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
AND NOT relforcerowsecurity AND relname <> 'alembic_version'
UNION ALL SELECT tgname FROM pg_trigger WHERE tgenabled = 'D' AND NOT tgisinternal
"""


async def test_everything_of_every_tenant_comes_back(
    filled: Settings, database: Database, shelf: Path, place: Place
) -> None:
    """O4: rows of all tables, objects, counts and audit heads; also to an owner, and from him, whom forced row-level
    security binds."""
    made = await back_up(filled, shelf)
    there = await place()
    done = await restore(there, made.folder)
    async with Database(there.database()) as again:
        assert await everything_in(again) == await everything_in(database)
        if not again.is_sqlite:
            async with again.unscoped_read() as unit:
                assert (await unit.session.execute(text(_UNPROTECTED))).all() == []
    assert await objects_in(there) == await objects_in(filled)
    assert await migrate.current_revision(there.database()) == migrate.head_revision()
    assert made.manifest.tables["response"].rows == 10
    assert set(made.manifest.audit) == {"acme", "globex"}
    second = await back_up(there, shelf)
    tables = [
        {name: found for name, found in each.manifest.tables.items() if name not in DIFFERENT}
        for each in (made, second)
    ]
    assert tables[0] == tables[1]
    assert second.manifest.audit == made.manifest.audit
    assert (done.files, done.rows) == (4, sum(each.rows for each in made.manifest.tables.values()))


async def test_a_drill_says_that_it_is_in_order_and_leaves_nothing(
    filled: Settings, shelf: Path, tmp_path: Path, place: Place
) -> None:
    """O4: counts, chains, a sample of answers and files; and the scratch place is gone, with what drills before it left
    that were killed."""
    made = await back_up(filled, shelf)
    scratch, server = tmp_path / "scratch", await place()
    left = scratch / "formstream-drill-left"
    left.mkdir(parents=True)
    (left / "in-use").touch()
    if made.manifest.dialect == "postgresql":
        await _on_server(server, "CREATE DATABASE formstream_drill_left")
    report = await drill_backup(filled, made.folder, Drill(scratch=scratch, server=server.database_url))
    if made.manifest.dialect == "postgresql":
        assert await _on_server(server, "SELECT FROM pg_database WHERE starts_with(datname, 'formstream_drill')") == []
    assert report.wrong == ()
    assert [(check.name, check.ok) for check in report.checks] == [
        ("restore", True),
        ("audit trails", True),
        ("responses", True),
        ("files", True),
    ]
    assert "10 looked at in 2 tenants" in report.checks[2].said
    assert list(scratch.iterdir()) == []


async def test_monitoring_is_told_of_drills(filled: Settings, tmp_path: Path) -> None:
    """O4: what the last one found, and when one last found nothing; where there is no platform, nothing is made."""
    good = Report(backup="one", taken_at=utc_now(), checks=(), wrong=(), seconds=0.1)
    began = utc_now().timestamp()
    assert await remember(filled, good)
    async with Database(filled.database()) as database:
        first = await measure(database)
        assert await remember(filled, good.model_copy(update={"wrong": ("A file is missing.", "So is another.")}))
        second = await measure(database)
    assert first.last_drill is not None
    assert first.last_drill >= round(began, 3)
    assert (first.drill_findings, second.drill_findings, second.last_drill) == (0, 2, first.last_drill)
    assert [each.name for each in second.components] == ["workers"]
    nowhere = tmp_path / "nowhere"
    assert not await remember(filled.model_copy(update={"data_dir": nowhere, "database_url": ""}), good)
    assert not nowhere.exists()


async def _on_server(settings: Settings, statement: str) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(settings.database_url.replace("+asyncpg", ""))
    try:
        return list(await connection.fetch(statement))
    finally:
        await connection.close()
