"""O6: an import is taken back, and neither it nor its rollback is ever half done, whoever kills it."""

import asyncio
import signal
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest
from sqlalchemy import update
from sqlmodel import col

from benchmarks.legacy_dump import write_dump
from db.models.events import Event
from db.models.forms import Form
from db.models.identity import User
from db.models.jobs import Job
from db.models.legacy import LegacyDocument, LegacyRun
from db.models.responses import Response
from db.session import Database
from db.types import utc_now
from deployments.forms.contracts import ListForms, UpdateForm
from deployments.forms.deployment import Forms
from deployments.forms.purging import PurgeForm
from deployments.identity.service.federated import NO_PASSWORD
from deployments.imports.legacy.errors import RunNotFound, RunOver
from deployments.kit.objects import ObjectStore
from deployments.kit.principal import Principal
from deployments.responses.contracts import SubmitResponse
from deployments.responses.deployment import Responses
from deployments.responses.life_contracts import ChangeTags, EditResponse
from tests.deployments.imports.legacy.dumps import (
    Documents,
    bring_in,
    counts,
    form,
    legacy,
    oid,
    outcomes,
    response,
    write,
)
from tests.deployments.imports.legacy.landed import answered, found
from tests.deployments.tenancy.population import attempt
from tests.eventing.harness import count, rows
from tests.factories import ANSWERS, make_form, make_tenant, owner

ACME = owner("acme")


def people(number: int) -> list[dict[str, Any]]:
    return [{"_id": n, "email": f"p{n}@example.org"} for n in range(1, number + 1)]


def documents(forms: int) -> Documents:
    return {
        "users": people(2),
        "forms": [form(n) for n in range(1, forms + 1)],
        "form_responses": [
            response(100 * n + m, {"name": f"{m}"}, of=n) for n in range(1, forms + 1) for m in range(3)
        ],
    }


async def submit(database: Database, principal: Principal, slug: str, answers: dict[str, Any]) -> None:
    order = SubmitResponse(body=orjson.dumps({"answers": answers}), slug=slug)
    await Responses(database).submit(principal, order)


async def purged(database: Database, folder: Path) -> None:
    """Let the jobs run that a rollback leaves behind, as the platform does, once their events are published."""
    objects = ObjectStore((folder / "objects").as_uri())
    async with database.unscoped_write() as unit:
        await unit.session.execute(update(Event).values(published_at=utc_now()))
    for job in await rows(database, Job):
        await PurgeForm(database, objects).run(attempt(job.tenant_id, job.payload))


async def test_everything_goes_that_the_run_made_and_nothing_else(database: Database, tmp_path: Path) -> None:
    """What was there before stays, and so does the other tenant."""
    acme, globex = await make_tenant(database, "acme"), await make_tenant(database, "globex")
    for principal in (acme, globex):
        await make_form(database, principal)
        await submit(database, principal, "party", ANSWERS)
    await bring_in(database, write(tmp_path / "other" / "dump", documents(2)), "globex")
    theirs = await counts(database, "globex")
    before = await counts(database, "acme")
    imported = await bring_in(database, write(tmp_path / "dump", documents(3)))
    door = legacy(database, tmp_path)
    result = await door.roll_back(imported.run_id or "")
    assert result.removed == {"form_responses": 9, "forms": 3, "users": 2}
    assert result.kept == {}
    listed = await Forms(database).list_forms(ACME, ListForms())
    trashed = await Forms(database).list_forms(ACME, ListForms(status="trashed"))
    assert [each.slug for each in listed.data + trashed.data] == ["party"]
    await purged(database, tmp_path)
    after = await counts(database, "acme")
    for table in ("user_account", "form", "form_version", "form_counter", "response", "legacy_document", "file"):
        assert after.get(table) == before.get(table), table
    assert await counts(database, "globex") == theirs
    with pytest.raises(RunOver):
        await door.roll_back(imported.run_id or "")
    with pytest.raises(RunNotFound):
        await door.roll_back("lgr_unknown")
    again = await bring_in(database, tmp_path / "dump")
    assert outcomes(again, "form_responses") == {"made": 9}
    assert {row.slug for row in await found(database, Form)} == {"party", "form-1", "form-2", "form-3"}


async def test_what_people_changed_since_stays_and_is_reported(database: Database, tmp_path: Path) -> None:
    await make_tenant(database, "acme")
    imported = await bring_in(database, write(tmp_path / "dump", documents(5)))
    forms = {row.slug: row for row in await found(database, Form)}
    responses, by_source = Responses(database), await answered(database)
    edited, tagged = by_source[str(oid(200))], by_source[str(oid(201))]
    await Forms(database).update(ACME, forms["form-1"].id, UpdateForm(title="Ours now"))
    await responses.edit(ACME, edited.id, EditResponse(answers={"name": "changed"}), None)
    await responses.change_tags(ACME, tagged.id, ChangeTags(add=["good"]))
    await submit(database, ACME, "form-3", {"name": "new"})
    await responses.delete(ACME, by_source[str(oid(400))].id)
    async with database.write("acme") as unit:
        (first, _) = await found(database, User)
        row = await unit.session.get(User, ("acme", first.id))
        assert row is not None
        assert row.password_hash == NO_PASSWORD
        row.password_hash = "a hash"
    result = await legacy(database, tmp_path).roll_back(imported.run_id or "")
    trashed = by_source[str(oid(400))]
    assert result.kept == {
        f"forms {forms['form-1'].id}": "form.changed",
        f"forms {forms['form-2'].id}": "form.responses_changed",
        f"forms {forms['form-3'].id}": "form.answered_since",
        f"forms {forms['form-4'].id}": "form.responses_changed",
        f"form_responses {edited.id}": "response.changed",
        f"form_responses {tagged.id}": "response.changed",
        f"form_responses {trashed.id}": "response.changed",
        f"users {first.id}": "account.changed",
    }
    assert result.removed == {"forms": 1, "form_responses": 12, "users": 1}
    left = [row for row in await found(database, Response) if row.status != "purged"]
    of_five = {row.id for row in left if row.form_id == forms["form-5"].id}
    assert {row.answers["name"] for row in left if row.id not in of_five} == {"changed", "1", "new", "0"}
    assert {row.outcome for row in await found(database, LegacyDocument)} == {"kept"}


async def test_a_later_run_keeps_what_it_needs_of_an_earlier_one(database: Database, tmp_path: Path) -> None:
    await make_tenant(database, "acme")
    first = await bring_in(database, write(tmp_path / "dump", documents(1)))
    more = {**documents(1), "form_responses": [response(500, {"name": "later"})]}
    second = await bring_in(database, write(tmp_path / "later" / "dump", more))
    (made,) = await found(database, Form)
    result = await legacy(database, tmp_path).roll_back(first.run_id or "")
    assert result.kept == {f"forms {made.id}": "form.answered_since"}
    left = [row for row in await found(database, Response) if row.status != "purged"]
    assert [row.answers["name"] for row in left] == ["later"]
    assert (await legacy(database, tmp_path / "later").verify(second.run_id or "")).missing == [
        f"users {n} (users.bson#{n})" for n in (1, 2)
    ]


async def killed(database: Database, dump: Path, work: str, run_id: str, number: int) -> None:
    """Run it in a process that dies inside of its transaction of this number."""
    url = database.settings.url
    arguments = (url, str(dump), work, run_id, str(number))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.deployments.imports.legacy.killed_process", *arguments
    )
    assert await process.wait() == -signal.SIGKILL


@pytest.mark.timeout(120)
async def test_kill_9_in_the_middle_doubles_nothing_and_loses_nothing(database: Database, tmp_path: Path) -> None:
    """Killed inside of a transaction of responses and gone on with; killed inside of the rollback and gone on with."""
    dump = tmp_path / "dump"
    write_dump(dump, 700)
    await killed(database, dump, "import", "", 9)
    (run,) = await rows(database, LegacyRun)
    assert run.status == "running"
    # What is there is whole: as many responses as are known of, each with its event.
    made = await count(database, LegacyDocument, col(LegacyDocument.outcome) == "made")
    responses = await count(database, Response)
    assert 0 < responses < 300
    told = await count(database, Event, col(Event.type) == "response.submitted")
    assert responses == told
    assert made > responses
    imported = await bring_in(database, dump, create="Acme")
    assert imported.resumed
    assert imported.run_id == run.id
    tallies = await legacy(database, tmp_path).tally(run)
    await bring_in(database, dump, "globex", create="Globex")
    (other,) = [each for each in await rows(database, LegacyRun) if each.tenant_id == "globex"]
    assert tallies == await legacy(database, tmp_path).tally(other)
    assert (await legacy(database, tmp_path).verify(run.id)).is_right
    assert len(await answered(database)) == tallies["form_responses"]["made"] == len(await answered(database, "globex"))

    await killed(database, dump, "rollback", run.id, 2)
    (run,) = [each for each in await rows(database, LegacyRun) if each.id == run.id]
    assert run.status == "rolling_back"
    assert len([row for row in await found(database, Form) if row.deleted_at is None]) > 0
    await legacy(database, tmp_path).roll_back(run.id)
    assert not await found(database, LegacyDocument)
    assert not await found(database, User)
    assert not [row for row in await found(database, Form) if row.deleted_at is None]
    assert tallies == await legacy(database, tmp_path).tally(other)
    assert (await legacy(database, tmp_path).verify(other.id)).is_right
