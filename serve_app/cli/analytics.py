"""Live figures from outside the API: counted anew, or compared with a recount, whether the platform runs or not."""

import sys
from collections.abc import AsyncIterator

from rich.console import Console

from db.repositories.metrics import MetricDirectory
from db.session import Database
from deployments.analytics.metrics.recounting import Recounting
from serve_app.cli.failure import CommandFailed
from serve_app.cli.work import on_database
from serve_app.settings import Settings

_FORMS = 100


def rebuild(settings: Settings, tenant_id: str | None, form_id: str | None, console: Console) -> None:
    """Count figures anew, form by form; what was shown before is shown until each is complete. Raises CommandFailed
    when the tenant has no such form."""

    async def run(database: Database) -> None:
        recounting, counted = Recounting(database), 0

        async def report(done: int, total: int) -> None:
            if sys.stderr.isatty():
                sys.stderr.write(f"\r{done} of {total} changes")

        async for tenant, form in _chosen(database, tenant_id, form_id):
            changes = await recounting.recount(tenant, form, report)
            if changes is not None:
                counted += 1
                console.print(f"{form} of {tenant}: {changes} changes counted.", highlight=False)
        if form_id is not None and not counted:
            raise CommandFailed(f"The tenant {tenant_id} has no form {form_id}.")
        console.print(f"Forms counted anew: {counted}.", highlight=False)

    on_database(settings.database(), run)


def verify(settings: Settings, tenant_id: str | None, form_id: str | None, console: Console) -> None:
    """Compare figures with a recount. Raises CommandFailed with the forms whose figures differ."""

    async def run(database: Database) -> None:
        recounting, wrong = Recounting(database), []
        async for tenant, form in _chosen(database, tenant_id, form_id):
            found = await recounting.verify(tenant, form)
            said = f"differs: {'; '.join(found.wrong)}" if found.wrong else "is right"
            console.print(f"{form} of {tenant}: {found.responses} responses, {said}.", highlight=False)
            if found.wrong:
                wrong.append(form)
        if wrong:
            raise CommandFailed(f"The figures differ from a recount: {', '.join(wrong)}.")

    on_database(settings.database(), run)


async def _chosen(database: Database, tenant_id: str | None, form_id: str | None) -> AsyncIterator[tuple[str, str]]:
    if form_id is not None:
        if tenant_id is None:
            raise CommandFailed("A form is named with its tenant: give --tenant too.")
        yield tenant_id, form_id
        return
    after = ("", "")
    while True:
        async with database.unscoped_read() as unit:
            forms = await MetricDirectory(unit.session).answered(_FORMS, after, tenant_id)
        for each in forms:
            yield each
        if len(forms) < _FORMS:
            return
        after = forms[-1]
