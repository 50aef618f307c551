"""Dead letters, replays and the lost stream from outside the API: on the database, whether the platform runs or not."""

import asyncio
import json
import sys
from functools import partial
from typing import Any, Final, Literal, TypeVar, cast

from pydantic import BaseModel, ValidationError
from rich.console import Console
from rich.table import Table

from db.repositories import stream_state
from db.session import Database
from db.types import utc_now
from deployments.events.contracts import EventsApi
from deployments.events.recovery_contracts import ChooseDeadLetters, DeadLetter, FindDeadLetters, StartReplay
from deployments.jobs.contracts import Job
from deployments.jobs.deployment import Jobs
from deployments.kit.principal import Principal
from eventing.rebuild import rebuild
from eventing.streams import EVENTS
from serve_app.cli.environment import ensure_secret_key
from serve_app.cli.failure import CommandFailed
from serve_app.cli.work import on_database
from serve_app.consumers import CONSUMERS
from serve_app.contexts import build_contexts
from serve_app.settings import Settings

_ACTOR: Final = "cli"
_PAGE: Final = 100
_ASK_S: Final = 0.5
_ENDED: Final = ("succeeded", "failed", "cancelled")

Model = TypeVar("Model", bound=BaseModel)


def list_letters(settings: Settings, tenant_id: str, filters: dict[str, Any], limit: int, *, as_json: bool) -> None:
    """Print the newest dead letters of a tenant."""
    query = _valid(FindDeadLetters, filters)
    letters = on_database(settings.database(), lambda database: _letters(settings, database, tenant_id, query, limit))
    if as_json:
        _print_json([letter.model_dump(mode="json") for letter in letters])
        return
    table = Table("letter", "consumer", "event", "attempts", "given up", "reason")
    for each in letters:
        given_up = each.failed_at.strftime("%Y-%m-%d %H:%M:%S %Z")
        table.add_row(each.id, each.consumer, each.type, str(each.attempts), given_up, each.reason)
    Console(highlight=False).print(table)


def show_letter(settings: Settings, tenant_id: str, letter_id: str, *, as_json: bool) -> None:
    """Print a dead letter with its event. Raises DeadLetterNotFound."""

    async def get(database: Database) -> dict[str, Any]:
        letter = await _events(settings, database).get_dead_letter(_principal(tenant_id), letter_id)
        return letter.model_dump(mode="json")

    shown = on_database(settings.database(), get)
    _print_json(shown, indent=None if as_json else 2)


def act(
    settings: Settings,
    tenant_id: str,
    action: Literal["redrive", "discard"],
    ids: list[str],
    filters: dict[str, Any],
    *,
    as_json: bool,
) -> None:
    """Redrive or discard the letters with these ids at once, or order a job for those that the filters choose. Raises
    CommandFailed when neither says which, DeadLetterNotFound, NotRedrivable."""
    chosen = {name: value for name, value in filters.items() if value is not None}
    if bool(ids) == bool(chosen):
        raise CommandFailed("Say which: either by their ids, or with --consumer, --type, --since or --until.")

    async def run(database: Database) -> dict[str, Any]:
        events, principal = _events(settings, database), _principal(tenant_id)
        if chosen:
            many = events.redrive_many if action == "redrive" else events.discard_many
            return {"job_id": (await many(principal, _valid(ChooseDeadLetters, chosen))).job_id}
        one = events.redrive if action == "redrive" else events.discard
        for letter_id in ids:
            await one(principal, letter_id)
        return {"done": ids}

    done = on_database(settings.database(), run)
    if as_json:
        _print_json(done)
    elif "job_id" in done:
        _say(f"The job {done['job_id']} does it; see it at /api/v1/jobs/{done['job_id']}.")
    else:
        _say(f"{'Redriven' if action == 'redrive' else 'Discarded'}: {', '.join(ids)}.")


def replay(settings: Settings, tenant_id: str, order: dict[str, Any], *, wait: bool, as_json: bool) -> None:
    """Order a replay and, if asked to, follow it to its end. Raises CommandFailed when it failed, InvalidReplay."""
    command = _valid(StartReplay, {name: value for name, value in order.items() if value is not None})

    async def run(database: Database) -> Job:
        principal = _principal(tenant_id)
        started = await _events(settings, database).replay(principal, command, None)
        jobs = Jobs(database)
        job = await jobs.get(principal, started.job_id)
        while wait and job.state not in _ENDED:
            await asyncio.sleep(_ASK_S)
            job = await jobs.get(principal, started.job_id)
            if sys.stderr.isatty():
                sys.stderr.write(f"\r{job.progress.done} of {job.progress.total}")
        return job

    job = on_database(settings.database(), run)
    if as_json:
        _print_json(job.model_dump(mode="json"))
    elif job.state in ("failed", "cancelled"):
        raise CommandFailed(f"The replay {job.id} {job.state}: {job.error}.")
    elif job.result is not None:
        _say(f"Matched {job.result['matched']}, told {job.result['replayed']}, skipped {job.result['skipped']}.")
        for event in job.result.get("sample", ()):
            _say(f"  {event['timestamp']}  {event['type']}  {event['id']}")
    else:
        _say(f"The job {job.id} does it; see it at /api/v1/jobs/{job.id}.")


def rebuild_stream(settings: Settings, *, everything: bool, as_json: bool, restored: bool = False) -> None:
    """Put the events back into the outbox that some consumer may still need, or all that there are. Of a database that
    was `restored`, the stream that there is belongs to another history, and is removed first."""

    async def run(database: Database) -> int:
        if restored:
            await database.transact(partial(stream_state.abandon, name=EVENTS))
        known = await database.view(partial(stream_state.known, name=EVENTS))
        needed_since = known.needed_since if known is not None else utc_now() - settings.events_kept().stream
        if everything:
            return await rebuild(database, since=None, consumers=CONSUMERS, needed_since=needed_since)
        return await rebuild(database, since=needed_since)

    count = on_database(settings.database(), run)
    if as_json:
        _print_json({"events": count})
    else:
        _say(f"{count} events go to the stream again; the platform publishes them as soon as it runs.")


def _principal(tenant_id: str) -> Principal:
    return Principal.system(tenant_id, _ACTOR)


def _events(settings: Settings, database: Database) -> EventsApi:
    ensure_secret_key(settings)
    return cast(EventsApi, build_contexts(("events",), database, settings)["events"])


async def _letters(
    settings: Settings, database: Database, tenant_id: str, query: FindDeadLetters, limit: int
) -> list[DeadLetter]:
    events, found = _events(settings, database), list[DeadLetter]()
    cursor: str | None = None
    while len(found) < limit:
        page = await events.list_dead_letters(_principal(tenant_id), query, cursor, min(_PAGE, limit - len(found)))
        found += page.data
        cursor = page.meta.next_cursor
        if cursor is None:
            break
    return found


def _valid(kind: type[Model], values: dict[str, Any]) -> Model:
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        wrong = error.errors()[0]
        raise CommandFailed(f"{'.'.join(map(str, wrong['loc']))}: {wrong['msg']}.") from None


def _print_json(value: Any, indent: int | None = None) -> None:
    sys.stdout.write(json.dumps(value, indent=indent, ensure_ascii=False) + "\n")


def _say(sentence: str) -> None:
    Console(highlight=False, soft_wrap=True).print(sentence, markup=False)
