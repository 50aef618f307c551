"""What `formstream migrate` says of a way that it is not to go yet, and how it goes back."""

import asyncio
from dataclasses import asdict

import orjson
import typer
from rich.console import Console
from rich.syntax import Syntax

from db.migrate import current_revision, downgrade, is_ahead, upgrade
from db.migration_plan import Plan, Step, plan
from serve_app.backup.restoring import require_whole
from serve_app.cli.database import check_file
from serve_app.settings import Settings


def show_plan(settings: Settings, target: str, *, as_json: bool) -> None:
    """Print what migrating to `target` would do. Raises CommandFailed, DatabaseError."""
    database = settings.database()
    check_file(database)
    found = asyncio.run(plan(database, target))
    if as_json:
        typer.echo(orjson.dumps(asdict(found), option=orjson.OPT_INDENT_2).decode())
        return
    console = Console(soft_wrap=True, highlight=False)
    if not found.steps:
        console.print(f"The database is at revision {found.target}; there is nothing to do.")
        return
    for step in found.steps:
        console.print(f"[bold]{step.revision}[/bold] {step.title}{' (taken back)' if found.backwards else ''}")
        console.print(Syntax(";\n".join(step.statements) + ";", "sql", word_wrap=True, background_color="default"))
        for line in _estimate(step):
            console.print(f"  {line}")
    console.print(f"From {found.current or 'an empty database'} to {found.target}; nothing was done.")


def go_to(settings: Settings, target: str, *, is_agreed: bool) -> None:
    """Migrate to `target` and no further, back only when that `is_agreed` or somebody says yes. Raises CommandFailed,
    DatabaseError, typer.Abort."""
    require_whole(settings.data_dir)
    database = settings.database()
    check_file(database)
    way = asyncio.run(plan(database, target))
    if way.backwards and not is_agreed:
        typer.confirm(_warning(way), abort=True)
    asyncio.run((downgrade if way.backwards else upgrade)(database, way.target))
    typer.echo(f"The database is at revision {way.target}.")


def reached(settings: Settings) -> str:
    """A sentence that says at which revision the database is."""
    revision = asyncio.run(current_revision(settings.database())) or "base"
    newer = ", of a newer version, whose schema this one works with" if is_ahead(revision) else ""
    return f"The database is at revision {revision}{newer}."


def _warning(way: Plan) -> str:
    rows = {each.table: each.rows for step in way.steps for each in step.affected}
    lost = ", ".join(f"{table} ({number:,} rows)" for table, number in sorted(rows.items())) or "no rows"
    return f"{len(way.steps)} migrations are taken back, with what only they keep: {lost}. Is there a backup?"


def _estimate(step: Step) -> list[str]:
    return [
        f"{each.table}: {each.rows:,} rows, {each.seconds:g} s if all are written anew; other changes take far less"
        for each in step.affected
    ]
