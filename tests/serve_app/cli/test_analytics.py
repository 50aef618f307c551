"""L1: figures by command."""

import asyncio
import io
from pathlib import Path

import pytest
from rich.console import Console
from sqlalchemy import update
from sqlmodel import col

from db.models.metrics import MetricCount
from db.session import Database
from deployments.responses.deployment import Responses
from serve_app.cli.analytics import rebuild, verify
from serve_app.cli.database import prepare
from serve_app.cli.failure import CommandFailed
from serve_app.settings import Settings
from tests.deployments.responses.query import survey
from tests.factories import make_form, make_tenant


def test_figures_are_rebuilt_and_verified_for_all_or_for_one(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    prepare(settings)

    async def fill() -> list[str]:
        database = Database(settings.database())
        forms = []
        for tenant in ("acme", "globex"):
            principal = await make_tenant(database, tenant)
            forms.append((await make_form(database, principal, definition=survey.SURVEY)).id)
            await survey.fill(Responses(database), principal, forms[-1], 12, seed=1)
        await database.close()
        return forms

    async def damage() -> None:
        database = Database(settings.database())
        async with database.write("globex") as unit:
            theirs = update(MetricCount).where(col(MetricCount.tenant_id) == "globex")
            await unit.session.execute(theirs.values(count=col(MetricCount.count) + 1))
        await database.close()

    one, two = asyncio.run(fill())
    told = io.StringIO()
    console = Console(file=told, width=500)
    rebuild(settings, None, None, console)
    assert f"{one} of acme: 12 changes counted.\n{two} of globex: 12 changes counted.\n" in told.getvalue()
    verify(settings, None, None, console)
    asyncio.run(damage())
    verify(settings, "acme", None, console)
    with pytest.raises(CommandFailed, match=two):
        verify(settings, None, None, console)
    rebuild(settings, "globex", two, console)
    verify(settings, "globex", two, console)
    for tenant, form in (("acme", two), (None, one)):
        with pytest.raises(CommandFailed):
            rebuild(settings, tenant, form, console)
