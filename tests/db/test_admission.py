"""F2, F7, R9: what a form admits once or so often is exact under concurrency."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from sqlalchemy import select
from sqlmodel import col

from db.models.admission import QuotaCounter, ResponseClaim
from db.models.forms import FormCounter
from db.models.responses import Response
from db.repositories.admission import NO_WISH, ClaimTaken, QuotaFull, Regime, Wish
from db.repositories.responses import ResponseRepository
from db.repositories.submissions import LimitReached, Outcome, Submission, store_submissions
from db.session import Database
from db.types import new_id, utc_now
from eventing.events.envelope import Origin
from eventing.events.forms import FormDeleted
from eventing.outbox import make_event, row_of
from tests.factories import make_form, make_tenant

PARALLEL = 200


def regime(revision: int = 1, digest: str = "first", held: Wish = NO_WISH) -> Regime:
    return Regime(revision, digest, lambda _subject, answers: replace(held, quotas=answers.get("quotas", held.quotas)))


def submission(
    form_id: str, wish: Wish, *, limit: int | None = None, counts: bool = True, by: Regime | None = None
) -> Submission:
    now = utc_now()
    event = make_event(FormDeleted(form_id=form_id), tenant_id="acme", actor="anonymous", origin=Origin())
    response: dict[str, Any] = {
        "tenant_id": "acme",
        "id": new_id("rsp"),
        "form_id": form_id,
        "version": 1,
        "status": "complete" if counts else "quarantined",
        "answers": {},
        "meta": {},
        "submitted_by": "anonymous",
        "submitted_at": now,
        "deleted_at": None,
    }
    return Submission(
        "acme", form_id, response, row_of(event), limit=limit, regime=by or regime(), wish=wish, counts=counts
    )


async def store(database: Database, submissions: Sequence[Submission]) -> list[Outcome | Exception]:
    return await database.transact(partial(store_submissions, submissions=submissions))


async def store_apart(database: Database, submissions: Sequence[Submission]) -> list[Outcome | Exception]:
    """Each in a transaction of its own, all at once."""
    outcomes = await asyncio.gather(*(store(database, [each]) for each in submissions))
    return [outcome for (outcome,) in outcomes]


async def quotas(database: Database) -> dict[str, int]:
    async with database.unscoped_read() as unit:
        rows = await unit.session.scalars(select(QuotaCounter))
        return {row.quota_id: row.responses for row in rows}


async def claims(database: Database) -> Counter[str]:
    async with database.unscoped_read() as unit:
        return Counter(await unit.session.scalars(select(col(ResponseClaim.kind))))


def kinds(outcomes: Sequence[Outcome | Exception]) -> Counter[str]:
    return Counter(type(outcome).__name__ for outcome in outcomes)


@pytest.fixture
async def form_id(database: Database) -> str:
    return (await make_form(database, await make_tenant(database))).id


@pytest.mark.parametrize("together", [True, False])
async def test_a_value_is_held_once(database: Database, form_id: str, together: bool) -> None:
    wish = Wish(claims=(("answer.email", "digest"),))
    send = store if together else store_apart
    outcomes = await send(database, [submission(form_id, wish) for _ in range(40)])
    assert kinds(outcomes) == {"Stored": 1, "ClaimTaken": 39}
    refused = next(outcome for outcome in outcomes if isinstance(outcome, ClaimTaken))
    assert refused.kinds == ("answer.email",)
    assert await claims(database) == {"answer.email": 1}


async def test_a_quota_holds_under_200_parallel_submissions(database: Database, form_id: str) -> None:
    """R9: in groups and alone, from two processes' worth of writers."""
    second = Database(database.settings)
    corn, other = Wish(quotas={"corn": 7}), Wish(quotas={"yams": 500})
    mixed = [submission(form_id, corn if index % 2 else other) for index in range(PARALLEL)]
    halves = [mixed[: PARALLEL // 2], mixed[PARALLEL // 2 :]]
    alone, grouped = await asyncio.gather(store_apart(database, halves[0]), store(second, halves[1]))
    await second.close()
    assert kinds([*alone, *grouped]) == {"Stored": 7 + PARALLEL // 2, "QuotaFull": PARALLEL // 2 - 7}
    assert await quotas(database) == {"corn": 7, "yams": PARALLEL // 2}
    async with database.unscoped_read() as unit:
        counter = (await unit.session.scalars(select(FormCounter))).one()
        changes = sorted(await unit.session.scalars(select(col(Response.change))))
    assert (counter.responses, counter.changes) == (7 + PARALLEL // 2, 7 + PARALLEL // 2)
    assert changes == list(range(1, 8 + PARALLEL // 2))


async def test_a_full_gate_closes_the_form_for_everybody(database: Database, form_id: str) -> None:
    counted, passing = Wish(quotas={"corn": 2}, gates={"corn": 2}), Wish(gates={"corn": 2})
    outcomes = await store(database, [submission(form_id, wish) for wish in (counted, passing, counted, passing)])
    assert kinds(outcomes) == {"Stored": 3, "QuotaFull": 1}
    assert isinstance(outcomes[3], QuotaFull)


async def test_the_forms_own_limit_holds_beside_wishes(database: Database, form_id: str) -> None:
    wishes = [Wish(claims=(("person", str(index)),)) for index in range(10)]
    outcomes = await store(database, [submission(form_id, wish, limit=4) for wish in wishes])
    assert kinds(outcomes) == {"Stored": 4, "LimitReached": 6}
    assert isinstance(outcomes[4], LimitReached)
    assert await claims(database) == {"person": 4}, "who was refused holds nothing"


async def test_what_does_not_count_takes_no_place(database: Database, form_id: str) -> None:
    suspects = [submission(form_id, Wish(), limit=1, counts=False) for _ in range(3)]
    outcomes = await store(database, [*suspects, submission(form_id, Wish(), limit=1)])
    assert kinds(outcomes) == {"Stored": 4}
    async with database.unscoped_read() as unit:
        counter = (await unit.session.scalars(select(FormCounter))).one()
    assert (counter.responses, counter.changes) == (1, 4)


async def test_what_is_in_the_trash_holds_nothing(database: Database, form_id: str) -> None:
    """Whoever trashes a response gives it a new change number, and nothing else."""
    wish = Wish(claims=(("answer.email", "digest"),), quotas={"corn": 1})
    first, second, third = (submission(form_id, wish) for _ in range(3))
    assert kinds(await store(database, [first])) == {"Stored": 1}
    await trash(database, first.response["id"])
    assert kinds(await store(database, [second, third])) == {"Stored": 1, "ClaimTaken": 1}
    assert await quotas(database) == {"corn": 1}
    assert await claims(database) == {"answer.email": 1, "quota.corn": 1}


async def test_new_rules_count_what_is_there(database: Database, form_id: str) -> None:
    """A quota that is added later counts the responses of before; those who still have the old rules are told."""
    await store(database, [submission(form_id, Wish(quotas={"old": 1_000})) for _ in range(600)])
    newer = regime(2, "second", Wish(claims=(("answer.email", "same"),), quotas={"new": 601}))
    outcomes = await store(database, [submission(form_id, Wish(quotas={"new": 601}), by=newer) for _ in range(2)])
    assert kinds(outcomes) == {"Stored": 1, "QuotaFull": 1}
    assert await quotas(database) == {"new": 601}
    assert await claims(database) == {"quota.new": 601, "answer.email": 1}
    assert kinds(await store(database, [submission(form_id, Wish())])) == {"RegimeOutdated": 1}


async def test_what_came_while_there_were_no_rules_is_counted(database: Database, form_id: str) -> None:
    wish = Wish(quotas={"corn": 10})
    counted = regime(held=wish)
    await store(database, [submission(form_id, wish, by=counted)])
    free = [replace(submission(form_id, NO_WISH), regime=None) for _ in range(3)]
    assert kinds(await store(database, free)) == {"Stored": 3}
    await store(database, [submission(form_id, wish, by=counted)])
    assert await quotas(database) == {"corn": 5}


async def trash(database: Database, response_id: str) -> None:
    async with database.write("acme") as unit:
        repository = ResponseRepository(unit.session, "acme")
        row = await repository.find(response_id, for_update=True)
        assert row is not None
        await repository.delete(row, utc_now())
