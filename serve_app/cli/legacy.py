"""Bringing in another backend's database by command: on the database, whether the platform runs or not."""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import ValidationError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from db.models.legacy import LegacyRun
from db.session import Database
from deployments.files.carrying import CarriedFiles
from deployments.forms import carrying as forms
from deployments.identity import carrying as identity
from deployments.imports.legacy.dump import CARRIED
from deployments.imports.legacy.intake import Intake
from deployments.imports.legacy.report import OUTCOMES
from deployments.imports.legacy.running import Imported, Legacy, Order, Watch
from deployments.kit.objects import ObjectStore
from deployments.responses.carrying import CarriedResponses
from serve_app.backup.making import back_up
from serve_app.cli.environment import ensure_secret_key
from serve_app.cli.failure import CommandFailed
from serve_app.cli.work import on_database
from serve_app.settings import Settings

_SHOWN: Final = 20

Result = TypeVar("Result")


def bring_in(settings: Settings, order: Order, *, dry_run: bool, backup: str | None, as_json: bool) -> None:
    """Import a dump, or tell what that would do. Raises CommandFailed, FileUnreadable and what a run is refused for."""
    console = Console(stderr=as_json, highlight=False, soft_wrap=True)
    if backup is not None and not dry_run:
        _back_up(settings, backup, console)

    async def run(legacy: Legacy) -> Imported:
        with _watching(console) as watch:
            return await (legacy.dry_run(order, watch) if dry_run else legacy.bring_in(order, watch))

    imported = _on_database(settings, run)
    document = {"run": imported.run_id, "dry_run": dry_run, "resumed": imported.resumed, **imported.report.document()}
    if as_json:
        _print_json(document)
        return
    _show(console, document)
    if imported.run_id is not None:
        again = " It went on where an earlier attempt had ended." if imported.resumed else ""
        _say(console, f"The run is {imported.run_id}.{again} Check it: formstream legacy verify {imported.run_id}")
    else:
        _say(console, "A dry run: nothing was written.")


def status(settings: Settings, *, as_json: bool) -> None:
    """Show every run, and how far those are that have not ended."""

    async def run(legacy: Legacy) -> list[dict[str, Any]]:
        return [{**_document(each), "documents": await legacy.tally(each)} for each in await legacy.runs()]

    runs = _on_database(settings, run)
    if as_json:
        _print_json(runs)
        return
    table = Table("run", "tenant", "status", "started", "documents", "source")
    for each in runs:
        count = sum(sum(outcomes.values()) for outcomes in each["documents"].values())
        table.add_row(each["id"], each["tenant"], each["status"], each["started_at"], f"{count:,}", each["source"])
    Console(highlight=False).print(table)


def verify(settings: Settings, run_id: str, dump: Path | None, *, as_json: bool) -> None:
    """Hold what is stored against the dump. Raises CommandFailed when anything differs."""
    found = _on_database(settings, lambda legacy: legacy.verify(run_id, dump))
    if as_json:
        _print_json(found.document())
    else:
        console = Console(highlight=False, soft_wrap=True)
        for collection in CARRIED:
            outcomes = ", ".join(f"{count:,} {name}" for name, count in found.outcomes.get(collection, {}).items())
            documents, checked = found.documents[collection], found.checked[collection]
            _say(
                console, f"{collection}: {documents:,} in the dump ({outcomes or 'none'}), {checked:,} checksums held."
            )
        for what, names in (
            ("has no trace", found.missing),
            ("says something else in the dump than when it was imported", found.differing),
            ("is not what was stored any more", found.changed),
            ("is gone", found.gone),
        ):
            for name in names[:_SHOWN]:
                _say(console, f"  {name} {what}")
    if not found.is_right:
        wrong = len(found.missing) + len(found.differing) + len(found.changed) + len(found.gone)
        raise CommandFailed(f"{wrong} documents are not as they were imported.")
    if not as_json:
        _say(Console(highlight=False), "Everything is accounted for.")


def roll_back(settings: Settings, run_id: str, *, as_json: bool) -> None:
    """Take a run back, and tell what was kept because it was changed since."""
    result = _on_database(settings, lambda legacy: legacy.roll_back(run_id))
    if as_json:
        _print_json(asdict(result))
        return
    console = Console(highlight=False, soft_wrap=True)
    _say(console, f"Removed: {', '.join(f'{n:,} {name}' for name, n in result.removed.items()) or 'nothing'}.")
    if result.removed.get("forms"):
        _say(console, "Nobody sees the forms any more; jobs of the platform delete what belonged to them.")
    for name, reason in result.kept.items():
        _say(console, f"Kept: {name} ({reason})")


def _back_up(settings: Settings, place: str, console: Console) -> None:
    """The one place where a backup is made before anything is written."""
    made = asyncio.run(back_up(settings, place))
    _say(console, f"The backup is in {made.folder}.")


@contextmanager
def _watching(console: Console) -> Iterator[Watch]:
    """Shows how far each collection is: bars on a terminal, else a line at the end of each."""
    columns = (TextColumn("{task.description:<16}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bars:

        def watch(totals: Mapping[str, int]) -> Callable[[str, int], None]:
            tasks = {name: bars.add_task(name, total=total) for name, total in totals.items()}

            def tell(collection: str, done: int) -> None:
                bars.update(tasks[collection], completed=done)
                if not console.is_terminal and done == totals[collection]:
                    _say(console, f"{collection}: {done:,} done")

            return tell

        yield watch


def _show(console: Console, document: Mapping[str, Any]) -> None:
    table = Table("collection", "read", *OUTCOMES)
    for name, counts in document["collections"].items():
        table.add_row(name, *(f"{counts[each]:,}" for each in ("read", *OUTCOMES)))
    console.print(table)
    for name, codes in document["codes"].items():
        for code, count in codes.items():
            _say(console, f"{name}: {code} {count:,} times")
    for name, count in document["not_read"].items():
        _say(console, f"{name}: {count:,} documents of a collection that is not read")
    for sentence in document["quotas"]:
        _say(console, f"Quota: {sentence}; --raise-quotas raises it")
    # What is not there comes first.
    examples = sorted(document["examples"], key=lambda example: not example.get("outcome"))
    for example in examples[:_SHOWN]:
        parts = [example["collection"], example["id"], f"({example['place']})", example.get("pointer", "")]
        told = " ".join(filter(None, [*parts, example["code"], example.get("detail", "")]))
        _say(console, f"  {told}")
    if len(examples) > _SHOWN:
        _say(console, f"  and {len(examples) - _SHOWN:,} more; --json shows them")


def _document(run: LegacyRun) -> dict[str, Any]:
    return {
        "id": run.id,
        "tenant": run.tenant_id,
        "status": run.status,
        "source": run.source,
        "options": run.options,
        "started_at": run.started_at.isoformat(timespec="seconds"),
        "ended_at": run.ended_at and run.ended_at.isoformat(timespec="seconds"),
    }


def _on_database(settings: Settings, use: Callable[[Legacy], Awaitable[Result]]) -> Result:
    ensure_secret_key(settings)
    try:
        return on_database(settings.database(), lambda database: use(legacy_of(database, settings)))
    except ValidationError as error:
        wrong = error.errors()[0]
        raise CommandFailed(f"{'.'.join(map(str, wrong['loc']))}: {wrong['msg']}.") from None


def legacy_of(database: Database, settings: Settings) -> Legacy:
    """Imports with the contexts that take in what is theirs."""
    objects = ObjectStore(settings.object_store(), **settings.object_store_options())
    files = CarriedFiles(objects, settings.files())
    return Legacy(database, Intake(identity, forms, CarriedResponses(database), files))


def _print_json(value: Any) -> None:
    sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")


def _say(console: Console, sentence: str) -> None:
    console.print(sentence, markup=False)
