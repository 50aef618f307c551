"""Rows that were given elsewhere, on both dialects: each once, the bad ones named, nobody else harmed."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import func, select

from db.models.events import Event as EventRow
from db.models.responses import Response as ResponseRow
from db.session import Database
from deployments.responses.contracts import ImportRow, ListResponses
from deployments.responses.deployment import Responses
from deployments.responses.errors import FormFull, FormNotFound
from eventing.events.envelope import Event
from tests.eventing.harness import count, rows
from tests.factories import make_form, make_tenant, owner


def row(n: int, **changes: Any) -> ImportRow:
    answers = {"name": f"person {n}", "email": f"p{n}@example.org"}
    return ImportRow(**{"key": f"row-{n}", "line": n + 2, "answers": answers, **changes})


async def test_rows_become_responses_with_their_own_time(database: Database) -> None:
    """F6: when it was answered, not when it was brought in; the event says that it is no news."""
    acme = await make_tenant(database)
    form = await make_form(database, acme)
    responses = Responses(database)
    when = datetime(2015, 11, 26, 18, 30, tzinfo=UTC)
    outcome = await responses.import_rows(acme, form.id, [row(1, submitted_at=when, meta={"ip": "192.0.2.7"}), row(2)])
    assert (outcome.imported, outcome.skipped, outcome.rejected) == (2, 0, [])
    page = await responses.list_responses(acme, ListResponses(form_id=form.id, sort="submitted_at"))
    assert [(found.answers["name"], found.meta) for found in page.data] == [
        ("person 1", {"ip": "192.0.2.7"}),
        ("person 2", {}),
    ]
    assert page.data[0].submitted_at == when
    events = [Event.decode(found.envelope) for found in await rows(database, EventRow)]
    submitted = [event for event in events if event.type == "response.submitted"]
    assert [event.data["imported"] for event in submitted] == [True, True]
    assert all(event.timestamp > when for event in submitted)


async def test_known_rows_are_skipped(database: Database) -> None:
    """F6: a second import of the same file adds none, nor does a file that names a row twice."""
    acme = await make_tenant(database)
    form = await make_form(database, acme)
    responses = Responses(database)
    await responses.import_rows(acme, form.id, [row(1), row(2)])
    outcome = await responses.import_rows(acme, form.id, [row(2), row(3), row(3), row(1)])
    assert (outcome.imported, outcome.skipped, outcome.rejected) == (1, 3, [])
    assert await count(database, ResponseRow) == 3


async def test_a_row_stays_known_when_its_response_is_deleted(database: Database) -> None:
    """What somebody has thrown away does not come back with the next import."""
    acme = await make_tenant(database)
    form = await make_form(database, acme)
    responses = Responses(database)
    await responses.import_rows(acme, form.id, [row(1)])
    (found,) = (await responses.list_responses(acme, ListResponses(form_id=form.id))).data
    await responses.delete(acme, found.id)
    assert (await responses.import_rows(acme, form.id, [row(1)])).skipped == 1


async def test_the_same_key_in_another_form_is_another_row(database: Database) -> None:
    acme = await make_tenant(database)
    one, other = await make_form(database, acme), await make_form(database, acme, slug="other")
    responses = Responses(database)
    await responses.import_rows(acme, one.id, [row(1)])
    assert (await responses.import_rows(acme, other.id, [row(1)])).imported == 1


async def test_a_bad_row_is_named_by_its_line_and_costs_nobody_else(database: Database) -> None:
    """F6."""
    acme = await make_tenant(database)
    form = await make_form(database, acme)
    bad = row(2, answers={"email": "nobody", "colour": "red"})
    outcome = await Responses(database).import_rows(acme, form.id, [row(1), bad, row(3)])
    assert (outcome.imported, outcome.skipped) == (2, 0)
    (rejected,) = outcome.rejected
    assert rejected.line == 4
    assert "/answers/email" in rejected.detail
    assert "/answers/colour" in rejected.detail


async def test_what_is_missing_in_an_old_answer_is_taken_as_it_is(database: Database) -> None:
    """F6: people who skipped a question that is required today still answered the rest."""
    acme = await make_tenant(database)
    form = await make_form(database, acme)
    outcome = await Responses(database).import_rows(acme, form.id, [row(1, answers={"side": ["corn"]})])
    assert (outcome.imported, outcome.rejected) == (1, [])


async def test_the_limit_holds_for_imports_too(database: Database) -> None:
    """R9: the first rows are taken, the others are named; a submission then finds the form full."""
    acme = await make_tenant(database)
    form = await make_form(database, acme, max_responses=2)
    responses = Responses(database)
    bad = row(0, answers={"email": "nobody"})
    outcome = await responses.import_rows(acme, form.id, [bad, row(1), row(2), row(3), row(4)])
    assert (outcome.imported, outcome.skipped) == (2, 0)
    assert [(rejected.line, "as many responses" in rejected.detail) for rejected in outcome.rejected] == [
        (2, False),
        (5, True),
        (6, True),
    ]
    assert await count(database, ResponseRow) == 2


async def test_two_imports_at_once_take_each_row_once(database: Database) -> None:
    """F6: two workers with the same rows; the one that comes second finds them there or is told to try again."""
    acme = await make_tenant(database)
    form = await make_form(database, acme)
    batch = [row(n) for n in range(20)]
    outcomes = await asyncio.gather(
        *(Responses(database).import_rows(acme, form.id, batch) for _ in range(2)), return_exceptions=True
    )
    done = [outcome for outcome in outcomes if not isinstance(outcome, BaseException)]
    assert done
    assert sum(outcome.imported for outcome in done) == 20
    assert await count(database, ResponseRow) == 20


async def test_a_form_that_is_not_there_takes_no_rows(database: Database) -> None:
    """T5."""
    acme = await make_tenant(database)
    await make_tenant(database, "globex")
    form = await make_form(database, acme)
    for principal, form_id in ((owner("globex"), form.id), (acme, "frm_none")):
        with pytest.raises(FormNotFound):
            await Responses(database).import_rows(principal, form_id, [row(1)])
    async with database.unscoped_read() as unit:
        assert await unit.session.scalar(select(func.count()).select_from(ResponseRow)) == 0


async def test_nothing_to_import_is_no_error(database: Database) -> None:
    acme = await make_tenant(database)
    form = await make_form(database, acme)
    outcome = await Responses(database).import_rows(acme, form.id, [])
    assert (outcome.imported, outcome.skipped, outcome.rejected) == (0, 0, [])


def test_a_full_form_is_forbidden_to_submitters() -> None:
    assert FormFull.status == 403
