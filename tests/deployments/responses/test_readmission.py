"""F2, F7, R9: quotas, unique answers and one response for each person hold whoever edits, restores or releases."""

import asyncio
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from db.session import Database
from deployments.forms.contracts import UpdateForm
from deployments.forms.deployment import Forms
from deployments.kit.errors import Forbidden
from deployments.kit.principal import Principal
from deployments.responses.bulk import BulkJob
from deployments.responses.deployment import Responses
from deployments.responses.errors import AlreadyAnswered, InvalidAnswers, QuotaReached
from deployments.responses.life_contracts import BulkChange, EditResponse, RevertResponse
from tests.deployments.responses.test_admission import corn, publish
from tests.deployments.responses.test_submit import command, visitor
from tests.eventing.jobs.harness import reaches, serving

CORN: dict[str, Any] = {"side": ["corn"]}
YAMS: dict[str, Any] = {"side": ["yams"]}


async def sent(responses: Responses, answers: dict[str, Any], by: Principal | None = None) -> str:
    return (await responses.submit(by or visitor(), command(answers))).id


async def edited(responses: Responses, owner: Principal, response_id: str, answers: dict[str, Any], **more: Any) -> Any:
    return await responses.edit(owner, response_id, EditResponse(answers=answers, **more), None)


async def test_an_edit_needs_a_place(database: Database) -> None:
    """R9: in a quota that the response has no place in; what it has it keeps."""
    owner, _ = await publish(database, corn(1))
    responses = Responses(database)
    first, second = await sent(responses, CORN), await sent(responses, YAMS)
    with pytest.raises(QuotaReached) as refused:
        await edited(responses, owner, second, CORN)
    assert refused.value.members == {"quota": "corn"}
    await edited(responses, owner, first, {"age": 40})
    await edited(responses, owner, first, YAMS)
    await edited(responses, owner, second, CORN)
    with pytest.raises(QuotaReached):
        await responses.revert(owner, first, RevertResponse(revision=1), None)
    with pytest.raises(QuotaReached):
        await sent(responses, CORN)


async def test_who_may_change_the_form_may_set_quotas_aside(database: Database) -> None:
    """U5: and nobody else; the next one counts what was taken beyond."""
    owner, _ = await publish(database, corn(1))
    responses = Responses(database)
    await sent(responses, CORN)
    second = await sent(responses, YAMS)
    clerk = replace(owner, role="custom", scopes=frozenset({"responses:read", "responses:write"}))
    with pytest.raises(Forbidden) as refused:
        await edited(responses, clerk, second, CORN, override_quotas=True)
    assert not isinstance(refused.value, QuotaReached)
    await edited(responses, owner, second, CORN, override_quotas=True)
    await responses.delete(owner, second)
    with pytest.raises(QuotaReached):
        await responses.restore(owner, second)
    with pytest.raises(Forbidden):
        await responses.restore(clerk, second, True)
    await responses.restore(owner, second, True)
    await responses.delete(owner, second)
    with pytest.raises(QuotaReached):
        await sent(responses, CORN)


async def test_a_unique_answer_is_refused_in_an_edit(database: Database) -> None:
    """F2: 422 with its pointer; one's own answer is no other's."""
    owner, _ = await publish(database, {})
    responses = Responses(database)
    first = await sent(responses, {"email": "ada@example.com"})
    second = await sent(responses, {"email": "bob@example.com"})
    for override in (False, True):
        with pytest.raises(InvalidAnswers) as refused:
            await edited(responses, owner, second, {"email": "Ada@example.com"}, override_quotas=override)
        assert [(fault.pointer, fault.code) for fault in refused.value.faults] == [("/answers/email", "unique")]
    await edited(responses, owner, first, {"email": "Ada@example.com"})
    await edited(responses, owner, first, {"email": "eve@example.com"})
    await edited(responses, owner, second, {"email": "ada@example.com"})
    with pytest.raises(InvalidAnswers):
        await responses.revert(owner, first, RevertResponse(revision=1), None)


async def test_what_was_alike_before_may_be_edited(database: Database) -> None:
    """Two had the same answer when the rule was made: other answers of theirs can still be changed."""
    owner, form_id = await publish(database, corn(9))
    responses = Responses(database)
    both = [await sent(responses, CORN) for _ in range(2)]
    await Forms(database).update(owner, form_id, UpdateForm(settings=corn(1)))
    fresh = Responses(database)
    for response_id in both:
        await edited(fresh, owner, response_id, {"age": 7})
    with pytest.raises(QuotaReached):
        await edited(fresh, owner, await sent(fresh, YAMS), CORN)


async def test_a_replica_with_rules_of_before_is_told(database: Database) -> None:
    """The rules that hold are those of now, whatever a replica remembers."""
    owner, form_id = await publish(database, corn(9))
    old = Responses(database)
    await sent(old, CORN)
    second = await sent(old, YAMS)
    await Forms(database).update(owner, form_id, UpdateForm(settings=corn(1)))
    with pytest.raises(QuotaReached):
        await sent(Responses(database), CORN)
    with pytest.raises(QuotaReached):
        await edited(old, owner, second, CORN)


async def test_what_a_person_claims_follows_the_response(database: Database) -> None:
    """F7: through an edit, the trash, a restore and a purge."""
    owner, _ = await publish(database, {"login_required": True, "one_response_per": "user"})
    responses = Responses(database)
    ada = replace(visitor(), kind="user", subject="usr_ada")
    first = await sent(responses, {"age": 1}, ada)
    await edited(responses, owner, first, {"age": 2})
    with pytest.raises(AlreadyAnswered):
        await sent(responses, {"age": 3}, ada)
    await responses.delete(owner, first)
    second = await sent(responses, {"age": 4}, ada)
    with pytest.raises(AlreadyAnswered):
        await responses.restore(owner, first)
    await responses.delete(owner, second)
    await responses.restore(owner, first)
    with pytest.raises(AlreadyAnswered):
        await responses.restore(owner, second)
    await responses.purge(owner, second)
    with pytest.raises(AlreadyAnswered):
        await sent(responses, {"age": 5}, ada)
    await responses.delete(owner, first)
    await responses.purge(owner, first)
    await sent(responses, {"age": 6}, ada)


async def test_a_suspect_takes_its_place_when_it_is_released(database: Database) -> None:
    """R6, R9."""
    owner, _ = await publish(database, corn(1))
    responses = Responses(database)
    first = await sent(responses, CORN)
    await responses.quarantine(owner, first)
    second = await sent(responses, CORN)
    with pytest.raises(QuotaReached):
        await responses.release(owner, first)
    await edited(responses, owner, second, YAMS)
    await responses.release(owner, first)


async def test_many_restored_at_once_find_as_many_places_as_there_are(database: Database) -> None:
    """R7, R9: each refused one is named with its reason."""
    owner, form_id = await publish(database, corn(2))
    responses = Responses(database)
    for _ in range(5):
        await responses.delete(owner, await sent(responses, {**CORN, "email": "ada@example.com"}))
    for _ in range(3):
        await responses.delete(owner, await sent(responses, CORN))
    order = BulkChange(action="restore", filter={})
    started = await responses.start_bulk(owner, form_id, order, None)
    async with serving(database, *BulkJob(database).kinds()):
        job = await reaches(database, started.job_id, "succeeded")
    assert job.result is not None
    assert (job.result["changed"], job.result["failed"]) == (2, 6)
    assert Counter(error["code"] for error in job.result["errors"]) == {"unique": 4, "form.quota_full": 2}


async def test_edits_restores_and_submissions_at_once_take_no_place_twice(database: Database) -> None:
    """R9: over replicas that know nothing of each other."""
    owner, _ = await publish(database, corn(5))
    replicas = [Responses(database) for _ in range(3)]
    plain = [await sent(replicas[0], YAMS) for _ in range(12)]
    trashed = [await sent(replicas[0], CORN) for _ in range(4)]
    for response_id in trashed:
        await replicas[0].delete(owner, response_id)
    calls = [edited(replicas[n % 3], owner, response_id, CORN) for n, response_id in enumerate(plain)]
    calls += [replicas[n % 3].restore(owner, response_id) for n, response_id in enumerate(trashed)]
    calls += [replicas[n % 3].submit(visitor(), command(CORN)) for n in range(12)]
    outcomes = Counter(type(each).__name__ for each in await asyncio.gather(*calls, return_exceptions=True))
    assert outcomes["QuotaReached"] == len(calls) - 5, outcomes


async def test_an_answer_is_unique_whoever_gives_it_first(database: Database) -> None:
    owner, _ = await publish(database, {})
    replicas = [Responses(database) for _ in range(3)]
    plain = [await sent(replicas[0], {"email": f"p{n}@example.com"}) for n in range(10)]
    wanted = {"email": "ada@example.com"}
    calls = [edited(replicas[n % 3], owner, response_id, wanted) for n, response_id in enumerate(plain)]
    calls += [replicas[n % 3].submit(visitor(), command(wanted)) for n in range(10)]
    outcomes = Counter(type(each).__name__ for each in await asyncio.gather(*calls, return_exceptions=True))
    assert outcomes["InvalidAnswers"] == 19, outcomes
