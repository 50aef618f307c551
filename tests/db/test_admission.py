"""F2, F7, R9: what a form admits once or so often is exact under concurrency."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Connection, select
from sqlmodel import col

from db.models.admission import QuotaCounter, ResponseClaim
from db.models.forms import FormCounter
from db.models.responses import Response
from db.repositories.admission import ClaimTaken, QuotaFull, Wish, recount, release
from db.repositories.submissions import LimitReached, Outcome, Stored, Submission, store_submissions
from db.session import Database, bind_tenant
from db.types import new_id, utc_now
from eventing.events.envelope import Origin
from eventing.events.forms import FormDeleted
from eventing.outbox import make_event, row_of
from tests.factories import make_form, make_tenant

PARALLEL = 200


def submission(form_id: str, wish: Wish, *, limit: int | None = None, counts: bool = True) -> Submission:
    now = utc_now()
    event = make_event(FormDeleted(form_id=form_id), tenant_id="acme", actor="anonymous", origin=Origin())
    response: dict[str, Any] = {
        "tenant_id": "acme",
        "id": new_id("rsp"),
        "form_id": form_id,
        "version": 1,
        "status": "complete",
        "answers": {},
        "meta": {},
        "submitted_by": "anonymous",
        "submitted_at": now,
        "deleted_at": None,
    }
    return Submission("acme", form_id, response, row_of(event), limit=limit, wish=wish, counts=counts)


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


async def test_what_was_held_is_given_back(database: Database, form_id: str) -> None:
    wish = Wish(claims=(("answer.email", "digest"),), quotas={"corn": 1})
    first, second = submission(form_id, wish), submission(form_id, wish)
    assert kinds(await store(database, [first])) == {"Stored": 1}
    await database.transact(lambda connection: _released(connection, form_id, [first.response["id"]]))
    assert await quotas(database) == {"corn": 0}
    assert isinstance((await store(database, [second]))[0], Stored)


async def test_a_recount_forgets_what_was_held(database: Database, form_id: str) -> None:
    """A quota that is added later counts the responses that are there."""
    old = [submission(form_id, Wish(quotas={"old": None})) for _ in range(3)]
    await store(database, old)
    held = [(each.response["id"], Wish(claims=(("answer.email", "same"),), quotas={"new": 1})) for each in old]

    def again(connection: Connection) -> None:
        bind_tenant(connection, "acme")
        recount(connection, "acme", form_id, held)

    await database.transact(again)
    assert await quotas(database) == {"new": 3}
    assert await claims(database) == {"quota.new": 3, "answer.email": 1}


def _released(connection: Connection, form_id: str, response_ids: list[str]) -> None:
    bind_tenant(connection, "acme")
    release(connection, "acme", form_id, response_ids)
