"""R7: one change to many responses, on both dialects: counted, resumed after a crash, exact."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from db.models.response_life import BulkRun
from db.models.responses import Response as ResponseRow
from db.session import Database
from deployments.forms.contracts import UpdateForm
from deployments.forms.deployment import Forms
from deployments.kit.errors import Forbidden, Invalid
from deployments.kit.principal import Principal
from deployments.responses import bulk
from deployments.responses.bulk import BulkJob
from deployments.responses.contracts import ListResponses
from deployments.responses.deployment import Responses
from deployments.responses.errors import FormNotFound, IdempotencyMismatch, InvalidChange
from deployments.responses.life_contracts import BulkChange, ChangeTags, EditResponse
from eventing.jobs import JobRun
from tests.deployments.responses.lives import begin, changes_are_sound, facts, held, submit
from tests.eventing.harness import count, rows
from tests.eventing.jobs.harness import fetch, reaches, serving
from tests.factories import ANSWERS, make_form, make_tenant, owner


async def made(
    database: Database, responses: Responses, principal: Principal, form_id: str, **change: Any
) -> dict[str, Any]:
    """The result of the job that makes the change."""
    command = BulkChange.model_validate(change)
    started = await responses.start_bulk(principal, form_id, command, None)
    async with serving(database, *BulkJob(database).kinds()):
        job = await reaches(database, started.job_id, "succeeded")
    assert job.progress_done == job.progress_total
    assert await count(database, BulkRun) == 0
    result: dict[str, Any] = job.result or {}
    assert result["changed"] + result["unchanged"] + result["failed"] == job.progress_total
    return result


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "_BATCH", 4)


async def test_what_becomes_of_each_is_counted(database: Database) -> None:
    """R7: changed, unchanged, refused with a reason."""
    acme = await make_tenant(database)
    form = await make_form(database, acme)
    elsewhere = await make_form(database, acme, slug="elsewhere")
    responses = Responses(database)
    ids = [await submit(responses) for _ in range(11)]
    await responses.delete(acme, ids[0])
    result = await made(database, responses, acme, form.id, action="trash", ids=[*ids, ids[1], "rsp_none", "zzz"])
    assert (result["changed"], result["unchanged"], result["failed"]) == (10, 1, 2)
    assert sorted(error["id"] for error in result["errors"]) == ["rsp_none", "zzz"]
    assert {error["code"] for error in result["errors"]} == {"response.not_found"}
    wrong = await made(database, responses, acme, elsewhere.id, action="restore", ids=ids)
    assert wrong["failed"] == 11
    back = await made(database, responses, acme, form.id, action="restore", filter={})
    assert (back["changed"], back["failed"]) == (11, 0)
    assert len(await facts(database, "response.deleted")) == 11
    assert len(await facts(database, "response.restored")) == 11
    assert {fact.actor for fact in await facts(database, "response.restored")} == {acme.subject}


async def test_counts_and_changes_stay_exact(database: Database) -> None:
    """R9: trashing and bringing back keep the form's count; what does not fit is refused."""
    acme = await make_tenant(database)
    form = await make_form(database, acme)
    responses = Responses(database)
    for _ in range(10):
        await submit(responses)
    partial = await begin(responses, {"name": "Ada"})
    result = await made(database, responses, acme, form.id, action="trash", filter={})
    assert (result["changed"], await held(database)) == (11, 0)
    await Forms(database).update(acme, form.id, UpdateForm(settings={"max_responses": 6}))
    back = await made(database, responses, acme, form.id, action="restore", filter={})
    assert (back["changed"], back["failed"], await held(database)) == (7, 4, 6)
    assert {error["code"] for error in back["errors"]} == {"quota.responses"}
    assert (await responses.get(acme, partial.id)).status == "partial"
    assert await changes_are_sound(database)


async def test_tags_reviews_and_people(database: Database) -> None:
    acme = await make_tenant(database)
    form = await make_form(database, acme)
    responses = Responses(database)
    ids = [await submit(responses) for _ in range(6)]
    full = [f"t{n}" for n in range(50)]
    await responses.change_tags(acme, ids[0], ChangeTags(add=full))
    await responses.change_tags(acme, ids[1], ChangeTags(add=["a", "b"]))
    tagged = await made(database, responses, acme, form.id, action="tag", ids=ids, tags=["a", "b"])
    assert (tagged["changed"], tagged["unchanged"], tagged["failed"]) == (4, 1, 1)
    assert tagged["errors"][0]["code"] == "length.max"
    untagged = await made(database, responses, acme, form.id, action="untag", filter={"tag": "a"}, tags=["a", "c"])
    assert (untagged["changed"], untagged["unchanged"]) == (5, 0)
    assert [(await responses.get(acme, each)).tags for each in ids[1:]] == [["b"]] * 5
    reviewed = await made(database, responses, acme, form.id, action="review", ids=ids, review="approved")
    assert (reviewed["changed"], (await responses.get(acme, ids[3])).review) == (6, "approved")
    assigned = await made(database, responses, acme, form.id, action="assign", ids=ids, user_id=None)
    assert assigned["unchanged"] == 6
    with pytest.raises(InvalidChange):
        await responses.start_bulk(acme, form.id, BulkChange(action="assign", ids=ids, user_id="usr_none"), None)
    assert await changes_are_sound(database)


async def test_a_filter_takes_what_was_there(database: Database) -> None:
    """R7: what comes after the order is not touched."""
    acme = await make_tenant(database)
    form = await make_form(database, acme)
    responses = Responses(database)
    before = [await submit(responses) for _ in range(3)]
    middle = (await responses.get(acme, before[1])).submitted_at
    order = BulkChange(action="review", filter={"submitted_from": middle.isoformat()}, review="rejected")
    started = await responses.start_bulk(acme, form.id, order, None)
    later = await submit(responses)
    async with serving(database, *BulkJob(database).kinds()):
        job = await reaches(database, started.job_id, "succeeded")
    assert job.result is not None
    assert job.result["changed"] == 2
    found = {row.id: row.review for row in await rows(database, ResponseRow)}
    assert found == {before[0]: None, before[1]: "rejected", before[2]: "rejected", later: None}


async def test_the_language_of_filters_chooses(database: Database) -> None:
    """R4, R7: filters, their text form and words together; what is in the trash is filtered, too."""
    acme = await make_tenant(database)
    form = await make_form(database, acme)
    responses = Responses(database)
    for number in range(9):
        answers = {**ANSWERS, "name": f"Ada {'north' if number % 3 else 'south'}", "score": number}
        await submit(responses, answers)
    chosen = {"filter": {"score": {"gte": 2}}, "where": "score < 8", "q": "north"}
    tagged = await made(database, responses, acme, form.id, action="tag", tags=["x"], **chosen)
    assert tagged["changed"] == 4  # 2, 4, 5, 7
    found = await responses.list_responses(acme, ListResponses(form_id=form.id, where="tags any ['x']"))
    assert sorted(each.answers["score"] for each in found.data) == [2, 4, 5, 7]
    trashed = await made(database, responses, acme, form.id, action="trash", filter={"tag": "x", "score": {"ne": 4}})
    assert trashed["changed"] == 3
    back = await made(database, responses, acme, form.id, action="restore", where="score = 5 or score = 7")
    assert back["changed"] == 2
    assert await changes_are_sound(database)


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"action": "trash", "filter": {"colour": "red"}}, "/filter/colour"),
        ({"action": "trash", "where": "score >"}, "/where"),
        ({"action": "trash", "q": "!"}, "/q"),
        ({"action": "restore", "q": "ada"}, "/q"),
    ],
)
async def test_a_filter_that_says_nothing_is_refused_at_once(
    database: Database, change: dict[str, Any], pointer: str
) -> None:
    acme = await make_tenant(database)
    form = await make_form(database, acme)
    with pytest.raises(Invalid) as refused:
        await Responses(database).start_bulk(acme, form.id, BulkChange.model_validate(change), None)
    assert [fault.pointer for fault in refused.value.faults] == [pointer]


async def test_what_somebody_changes_meanwhile_is_left_alone(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R7: the order is about responses as they were; a change between looking and locking counts, too."""
    acme = await make_tenant(database)
    form = await make_form(database, acme)
    responses = Responses(database)
    ids = [await submit(responses) for _ in range(6)]
    order = BulkChange(action="trash", where="score >= 0")
    started = await responses.start_bulk(acme, form.id, order, None)
    await responses.edit(acme, ids[0], EditResponse(answers={"name": "Changed"}), None)
    work = BulkJob(database)
    following = work._next

    async def slow(*args: Any) -> Any:
        found = await following(*args)
        if ids[1] in found[0]:
            await responses.change_tags(acme, ids[1], ChangeTags(add=["keep"]))
        return found

    monkeypatch.setattr(work, "_next", slow)
    async with serving(database, *work.kinds()):
        job = await reaches(database, started.job_id, "succeeded")
    assert job.result is not None
    assert (job.result["changed"], job.result["unchanged"]) == (4, 1)
    left = await responses.list_responses(acme, ListResponses(form_id=form.id))
    assert {each.id for each in left.data} == set(ids[:2])


async def test_a_worker_that_dies_is_taken_over(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """R7, J1: the next attempt goes on where the last one was; each response is changed once."""
    acme = await make_tenant(database)
    form = await make_form(database, acme)
    responses = Responses(database)
    ids = [await submit(responses) for _ in range(12)]
    started = await responses.start_bulk(acme, form.id, BulkChange(action="trash", ids=ids), None)
    work = BulkJob(database)
    steps = 0
    step = work._step

    async def dying(*args: Any) -> int | None:
        nonlocal steps
        steps += 1
        if steps == 3:
            raise ConnectionResetError
        return await step(*args)

    monkeypatch.setattr(work, "_step", dying)
    (kind,) = work.kinds()
    async with serving(database, replace(kind, delays=(0.01,))):
        job = await reaches(database, started.job_id, "succeeded")
    assert (job.attempt, steps) == (2, 5)
    assert job.result is not None
    assert (job.result["changed"], job.result["unchanged"]) == (12, 0)
    assert len(await facts(database, "response.deleted")) == 12
    assert (await held(database), await changes_are_sound(database)) == (0, True)


@pytest.mark.parametrize("is_by_ids", [False, True])
async def test_two_workers_on_one_job_change_each_once(
    database: Database, monkeypatch: pytest.MonkeyPatch, is_by_ids: bool
) -> None:
    """One was taken for dead and is not: the row of the run keeps them apart, also when both have read the same."""
    both, read = asyncio.Barrier(3), BulkJob._next

    async def together(*asked: Any) -> Any:
        found = await read(*asked)
        if not found[0]:
            return found
        async with asyncio.timeout(10):
            await both.wait()
        return found

    monkeypatch.setattr(BulkJob, "_next", together)
    acme = await make_tenant(database)
    form = await make_form(database, acme)
    responses = Responses(database)
    ids = [await submit(responses) for _ in range(17)]
    chosen: dict[str, Any] = {"ids": ids} if is_by_ids else {"filter": {}}
    order = BulkChange(action="tag", tags=["x"], **chosen)
    started = await responses.start_bulk(acme, form.id, order, None)
    job = await fetch(database, started.job_id)

    async def silent(_done: int, _total: int | None) -> bool:
        return False

    def run() -> JobRun:
        return JobRun(
            tenant_id="acme",
            id=job.id,
            payload=job.payload,
            attempt=1,
            created_by=job.created_by,
            soft_limit_s=60,
            report=silent,
        )

    results = await asyncio.gather(*(BulkJob(database).run(run()) for _ in range(3)))
    tallies = [result.result or {} for result in results]
    assert [(tally["changed"], tally["unchanged"], tally["failed"]) for tally in tallies] == [(17, 0, 0)] * 3
    assert len(await facts(database, "response.tagged")) == 17


async def test_a_key_orders_a_job_once(database: Database) -> None:
    acme = await make_tenant(database)
    form = await make_form(database, acme)
    responses = Responses(database)
    order = BulkChange(action="trash", ids=["rsp_1"])
    one = await responses.start_bulk(acme, form.id, order, "k-1")
    two = await responses.start_bulk(acme, form.id, order, "k-1")
    assert (one.job_id, one.replayed, two.replayed) == (two.job_id, False, True)
    with pytest.raises(IdempotencyMismatch):
        await responses.start_bulk(acme, form.id, BulkChange(action="restore", ids=["rsp_1"]), "k-1")


async def test_who_may_order_one(database: Database) -> None:
    """T5, U5."""
    acme = await make_tenant(database)
    await make_tenant(database, "other")
    form = await make_form(database, acme)
    responses = Responses(database)
    order = BulkChange(action="trash", filter={})
    with pytest.raises(FormNotFound):
        await responses.start_bulk(owner("other"), form.id, order, None)
    reading = Principal("acme", "usr_1", "user", "viewer", frozenset({"responses:read"}))
    with pytest.raises(Forbidden):
        await responses.start_bulk(reading, form.id, order, None)
    assert (await responses.list_responses(acme, ListResponses(form_id=form.id))).data == []


@pytest.mark.parametrize(
    "change",
    [
        {"action": "trash"},
        {"action": "trash", "ids": [], "filter": None},
        {"action": "trash", "ids": ["x"], "filter": {}},
        {"action": "trash", "ids": ["x"] * 1001},
        {"action": "tag", "ids": ["x"]},
        {"action": "review", "ids": ["x"]},
        {"action": "burn", "ids": ["x"]},
        {"action": "trash", "ids": ["x"], "where": "score > 1"},
    ],
)
def test_an_order_has_to_be_whole(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        BulkChange.model_validate(change)
