"""Y3: dead letters, replays and the stream by command."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
from sqlalchemy import select, update

from db.models.events import DeadLetter, FailedEvent
from db.models.events import Event as EventRow
from db.models.jobs import Job
from db.session import Database
from db.types import new_id, utc_now
from deployments.events.errors import DeadLetterNotFound, InvalidReplay
from serve_app.cli.app import app
from serve_app.cli.database import prepare
from serve_app.cli.events import act, list_letters, rebuild_stream, replay, show_letter
from serve_app.cli.failure import CommandFailed
from serve_app.settings import Settings
from tests.eventing.harness import record_facts, rows
from tests.factories import make_tenant

Result = TypeVar("Result")
NOTHING: dict[str, Any] = {}


def on(settings: Settings, use: Callable[[Database], Awaitable[Result]]) -> Result:
    async def run() -> Result:
        async with Database(settings.database()) as database:
            return await use(database)

    return asyncio.run(run())


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    found = Settings(data_dir=tmp_path)
    prepare(found)
    return found


@pytest.fixture
def letters(settings: Settings) -> list[str]:
    """Three letters of the consumer `files`, one after another."""

    async def make(database: Database) -> list[str]:
        await make_tenant(database)
        ids = []
        for fact in await record_facts(database, "acme", "frm_1", "frm_2", "frm_3"):
            ids.append(new_id("dlq"))
            async with database.write("acme") as unit:
                unit.session.add(
                    DeadLetter(
                        tenant_id="acme",
                        id=ids[-1],
                        consumer="files",
                        event_id=fact.id,
                        event_type=fact.type,
                        reason="RuntimeError: [no]",
                        attempts=8,
                        envelope=fact.encode(),
                        created_at=utc_now(),
                    )
                )
        return ids

    return on(settings, make)


def printed(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


def test_letters_are_listed_and_shown(
    settings: Settings, letters: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    list_letters(settings, "acme", {"consumer": "files"}, 2, as_json=True)
    assert [letter["id"] for letter in printed(capsys)] == [letters[2], letters[1]]
    list_letters(settings, "acme", NOTHING, 50, as_json=False)
    assert "files" in capsys.readouterr().out
    show_letter(settings, "acme", letters[0], as_json=True)
    assert printed(capsys)["event"]["data"] == {"form_id": "frm_1"}
    with pytest.raises(DeadLetterNotFound):
        show_letter(settings, "globex", letters[0], as_json=True)
    with pytest.raises(CommandFailed, match="since"):
        list_letters(settings, "acme", {"since": "yesterday"}, 2, as_json=True)


def test_some_are_redriven_at_once_and_many_by_a_job(
    settings: Settings, letters: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    act(settings, "acme", "redrive", letters[:1], NOTHING, as_json=False)
    assert letters[0] in capsys.readouterr().out
    act(settings, "acme", "discard", letters[1:2], NOTHING, as_json=True)
    assert printed(capsys) == {"done": letters[1:2]}
    assert [row.generation for row in on(settings, lambda database: rows(database, FailedEvent))] == letters[:1]
    assert [row.id for row in on(settings, lambda database: rows(database, DeadLetter))] == letters[2:]
    act(settings, "acme", "redrive", [], {"consumer": "files", "type": None}, as_json=True)
    job_id = printed(capsys)["job_id"]
    assert job_id in {job.id for job in on(settings, lambda database: rows(database, Job))}
    for ids, filters in (([], NOTHING), (letters, {"consumer": "files"})):
        with pytest.raises(CommandFailed, match="Say which"):
            act(settings, "acme", "discard", ids, filters, as_json=False)


def test_a_replay_is_ordered(settings: Settings, letters: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    asked = {"consumer": "files", "types": None, "dry_run": True, "per_second": 5}
    replay(settings, "acme", asked, wait=False, as_json=True)
    job = printed(capsys)
    assert (job["kind"], job["state"]) == ("events.replay", "queued")
    with pytest.raises(InvalidReplay):
        replay(settings, "acme", {"consumer": "notifications"}, wait=False, as_json=False)


def test_the_stream_is_filled_from_the_database(
    settings: Settings, letters: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """E5: what a consumer may still need, or everything."""

    async def publish(database: Database) -> int:
        async with database.unscoped_write() as unit:
            await unit.session.execute(update(EventRow).values(published_at=utc_now()))
            oldest = (await unit.session.scalars(select(EventRow).order_by(EventRow.id))).first()  # type: ignore[arg-type]
            assert oldest is not None
            oldest.published_at = utc_now().replace(year=2020)
            return len((await unit.session.scalars(select(EventRow))).all())

    for everything, missing in ((False, 1), (True, 0)):
        number = on(settings, publish)
        rebuild_stream(settings, everything=everything, as_json=True)
        assert printed(capsys) == {"events": number - missing}
    rebuild_stream(settings, everything=True, as_json=False)
    assert capsys.readouterr().out.startswith("0 events")


def test_the_commands_are_typed_like_this(
    settings: Settings, letters: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Also takes the variable away again that the option sets.
    monkeypatch.setenv("FORMSTREAM_DATA_DIR", str(settings.data_dir))

    def typed(*arguments: str) -> str:
        app([*arguments, "--data-dir", str(settings.data_dir)], standalone_mode=False)
        return capsys.readouterr().out

    listed = json.loads(typed("dlq", "list", "acme", "--consumer", "files", "--json"))
    assert [letter["id"] for letter in listed] == list(reversed(letters))
    assert json.loads(typed("dlq", "show", "acme", letters[2]))["id"] == letters[2]
    assert typed("dlq", "redrive", "acme", *letters[:2]) == f"Redriven: {letters[0]}, {letters[1]}.\n"
    assert typed("dlq", "discard", "acme", letters[2]) == f"Discarded: {letters[2]}.\n"
    assert typed("rebuild-stream", "--all", "--json") == '{"events": 0}\n'
    ordered = typed("replay", "acme", "--consumer", "files", "--type", "form.purged", "--no-wait", "--json")
    assert json.loads(ordered)["kind"] == "events.replay"
