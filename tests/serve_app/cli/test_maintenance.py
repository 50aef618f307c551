"""O7: maintenance by command, as edges see it."""

import asyncio
import io
from pathlib import Path

import pytest
from rich.console import Console

from db.repositories.audit import AuditRepository
from db.session import Database
from db.settings import DatabaseSettings
from deployments.identity.bootstrap import ensure_administrator
from deployments.identity.maintenance import NotPrepared
from deployments.kit.principal import PLATFORM_TENANT
from serve_app.cli import maintenance
from serve_app.edge_credentials import EdgeCredentials
from tests.serve_app.one_process import settings_for


@pytest.fixture
def console() -> Console:
    return Console(file=io.StringIO(), soft_wrap=True)


def _printed(console: Console) -> str:
    file = console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue()


async def _told(tmp_path: Path, settings: DatabaseSettings) -> str | None:
    """The reason that an edge reads, None without a maintenance."""
    credentials = EdgeCredentials(settings_for(tmp_path, settings), 5.0)
    try:
        platform = await credentials.find_tenant(PLATFORM_TENANT)
    finally:
        await credentials.stop()
    assert platform is not None
    return platform.maintenance.reason if platform.maintenance is not None else None


async def _prepare(settings: DatabaseSettings) -> None:
    database = Database(settings)
    await ensure_administrator(database, "root@example.org", "quiet-harbour-7-lantern")
    await database.close()


async def _audited(settings: DatabaseSettings) -> list[str]:
    async with Database(settings) as database:
        async with database.read(PLATFORM_TENANT) as unit:
            rows = await AuditRepository(unit.session, PLATFORM_TENANT).following(0, 10)
        return [row.action for row in rows if row.action.startswith("platform.")]


def test_edges_see_what_is_switched_on_and_off(
    tmp_path: Path, database_settings: DatabaseSettings, console: Console
) -> None:
    asyncio.run(_prepare(database_settings))
    assert asyncio.run(_told(tmp_path, database_settings)) is None
    maintenance.begin(database_settings, "A new disk.", 30, console)
    assert asyncio.run(_told(tmp_path, database_settings)) == "A new disk."
    maintenance.begin(database_settings, "Another disk.", None, console)
    assert asyncio.run(_told(tmp_path, database_settings)) == "Another disk."
    maintenance.show(database_settings, console)
    maintenance.end(database_settings, console)
    assert asyncio.run(_told(tmp_path, database_settings)) is None
    maintenance.end(database_settings, console)
    maintenance.show(database_settings, console)
    first, second, shown, ended, again, none = _printed(console).splitlines()
    assert "until about" in first
    assert "until about" not in second
    assert shown == second
    assert first.split(",")[0].split(":")[0] == second.split(":")[0], "it began once"
    assert "taken again" in ended
    assert (again, none) == ("There was no maintenance.", "No maintenance.")
    actions = asyncio.run(_audited(database_settings))
    assert actions == ["platform.maintenance_begun"] * 2 + ["platform.maintenance_ended"]


def test_a_platform_that_was_never_prepared(database_settings: DatabaseSettings, console: Console) -> None:
    with pytest.raises(NotPrepared):
        maintenance.begin(database_settings, "", None, console)
    maintenance.show(database_settings, console)
    assert _printed(console) == "No maintenance.\n"
