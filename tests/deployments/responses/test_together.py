"""R9: everything at once, on both dialects: counts stay exact, and nobody waits for each other in a circle."""

import asyncio
import random
from collections.abc import Awaitable
from typing import Any

import pytest
from sqlalchemy import Connection, event

from db.models.responses import Response as ResponseRow
from db.session import Database
from deployments.kit.errors import DomainError
from deployments.responses import bulk
from deployments.responses.bulk import BulkJob
from deployments.responses.deployment import Responses
from deployments.responses.life_contracts import (
    BulkChange,
    ChangeTags,
    EditResponse,
    PutComment,
    PutReview,
)
from tests.deployments.responses.lives import begin, changes_are_sound, held, save, submit
from tests.eventing.harness import rows
from tests.eventing.jobs.harness import all_in, serving
from tests.factories import ANSWERS, make_form, make_tenant

LIMIT = 40


async def test_counts_stay_exact_whatever_happens_together(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "_BATCH", 5)
    acme = await make_tenant(database)
    form = await make_form(database, acme, max_responses=LIMIT)
    replicas = [Responses(database), Responses(database)]
    ids = [await submit(replicas[0]) for _ in range(20)]
    tokens = [(await begin(replicas[0], ANSWERS)).resume_token for _ in range(15)]
    order = [
        BulkChange(action="trash", ids=ids[:10]),
        BulkChange(action="restore", filter={}),
        BulkChange(action="tag", filter={}, tags=["x"]),
        BulkChange(action="review", filter={"status": "complete"}, review="approved"),
    ]
    jobs = [(await replicas[0].start_bulk(acme, form.id, each, None)).job_id for each in order]
    dice = random.Random(7)

    def deed(n: int) -> Awaitable[Any]:
        replica, one = replicas[n % 2], dice.choice(ids)
        match n % 8:
            case 0:
                return submit(replica)
            case 1:
                return save(replica, dice.choice(tokens), status="complete")
            case 2:
                return replica.delete(acme, one)
            case 3:
                return replica.restore(acme, one)
            case 4:
                return replica.edit(acme, one, EditResponse(answers={"name": f"Ada {n}"}), None)
            case 5:
                return replica.change_tags(acme, one, ChangeTags(add=[f"t{n % 5}"]))
            case 6:
                return replica.review(acme, one, PutReview(state="rejected", comment="No."))
            case _:
                return replica.add_comment(acme, one, PutComment(text="So."))

    async with serving(database, *BulkJob(database).kinds()):
        outcomes = await asyncio.gather(*(deed(n) for n in range(160)), return_exceptions=True)
        await all_in(database, jobs, "succeeded")

    strange = [outcome for outcome in outcomes if isinstance(outcome, Exception) and _is_strange(outcome)]
    assert strange == []
    stored = await rows(database, ResponseRow)
    there = [row for row in stored if row.status == "complete" and row.deleted_at is None]
    assert len(there) == await held(database) <= LIMIT
    assert await changes_are_sound(database)


def _is_strange(outcome: Exception) -> bool:
    """Not there any more, done already, or full: everything else is a defect."""
    return not isinstance(outcome, DomainError) or outcome.status not in (403, 404, 409)


async def test_a_plain_submission_costs_three_statements(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Z4: what partial responses and timings need is paid for by those that have them."""
    await make_form(database, await make_tenant(database))
    responses = Responses(database)
    monkeypatch.setattr(responses._forms._forms, "_fresh_s", 60.0)
    await submit(responses)
    seen: list[str] = []

    def note(_connection: Connection, _cursor: Any, statement: str, *_: Any) -> None:
        if "set_config" not in statement and not statement.startswith("BEGIN"):
            seen.append(statement.split()[0] + " " + statement.split()[2 if statement.startswith("INSERT") else 1])

    event.listen(database.writer.sync_engine, "before_cursor_execute", note)
    await asyncio.gather(*(submit(responses) for _ in range(20)))
    groups = seen.count("INSERT response")
    assert groups
    assert seen == ["UPDATE form_counter", "INSERT response", "INSERT event"] * groups
