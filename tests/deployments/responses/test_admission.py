"""F2, F7, R9: unique answers, one response for each person, quotas: exact, whoever submits at the same time."""

import asyncio
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from db.session import Database
from deployments.forms.contracts import CreateForm, UpdateForm
from deployments.forms.deployment import Forms
from deployments.forms.errors import InvalidSettings
from deployments.kit.principal import Principal
from deployments.responses.deployment import Responses
from deployments.responses.errors import (
    AlreadyAnswered,
    FormClosed,
    InvalidAnswers,
    LoginRequired,
    QuotaReached,
)
from tests.deployments.responses.test_submit import command, visitor
from tests.factories import make_tenant

PARALLEL = 200
SIDES = [{"id": "corn", "label": "Corn"}, {"id": "yams", "label": "Yams"}]
DEFINITION: dict[str, Any] = {
    "pages": [
        {
            "id": "p1",
            "elements": [
                {"id": "email", "type": "email", "title": "E-mail", "validation": {"unique": True}},
                {"id": "side", "type": "multi_choice", "title": "Sides", "options": SIDES},
                {"id": "age", "type": "integer", "title": "Age"},
            ],
        }
    ]
}


async def publish(database: Database, settings: dict[str, Any]) -> tuple[Principal, str]:
    owner = await make_tenant(database)
    form = await Forms(database).create(
        owner, CreateForm(slug="party", title="Party", definition=DEFINITION, settings=settings)
    )
    await Forms(database).publish(owner, form.id)
    return owner, form.id


def corn(limit: int, **more: Any) -> dict[str, Any]:
    return {"quotas": [{"id": "corn", "field": "side", "options": ["corn"], "limit": limit, **more}]}


async def submit_all(replicas: list[Responses], commands: list[Any]) -> Counter[str]:
    calls = [replicas[i % len(replicas)].submit(visitor(), each) for i, each in enumerate(commands)]
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    return Counter(type(outcome).__name__ for outcome in outcomes)


async def test_a_quota_holds_under_200_parallel_submissions(database: Database) -> None:
    """R9: over replicas that know nothing of each other."""
    await publish(database, corn(9))
    replicas = [Responses(database) for _ in range(4)]
    commands = [command({"side": ["corn" if index % 2 else "yams"]}) for index in range(PARALLEL)]
    found = await submit_all(replicas, commands)
    assert found == {"SubmittedResponse": 9 + PARALLEL // 2, "QuotaReached": PARALLEL // 2 - 9}


async def test_a_unique_answer_is_taken_once_under_parallel_submissions(database: Database) -> None:
    await publish(database, {})
    replicas = [Responses(database) for _ in range(4)]
    emails = [f"{'Ada' if index % 2 else 'ada'}@example.com" for index in range(60)]
    found = await submit_all(replicas, [command({"email": email}) for email in emails])
    assert found == {"SubmittedResponse": 1, "InvalidAnswers": 59}
    with pytest.raises(InvalidAnswers) as refused:
        await replicas[0].submit(visitor(), command({"email": "ada@example.com"}))
    assert [(fault.pointer, fault.code) for fault in refused.value.faults] == [("/answers/email", "unique")]


async def test_a_full_quota_says_what_its_owner_wrote(database: Database) -> None:
    await publish(database, corn(0, message="No more corn."))
    with pytest.raises(QuotaReached, match=r"No more corn\.") as refused:
        await Responses(database).submit(visitor(), command({"side": ["corn", "yams"]}))
    assert refused.value.members == {"quota": "corn"}
    await Responses(database).submit(visitor(), command({"side": ["yams"]}))


async def test_a_quota_may_close_the_form(database: Database) -> None:
    owner, _ = await publish(database, corn(1, action="close"))
    responses, forms = Responses(database), Forms(database)
    await responses.submit(visitor(), command({"side": ["yams"]}))
    assert (await forms.get_published(visitor(), "party")).open
    await responses.submit(visitor(), command({"side": ["corn"]}))
    with pytest.raises(FormClosed):
        await responses.submit(visitor(), command({"side": ["yams"]}))
    published = await forms.get_published(visitor(), "party")
    assert (published.open, published.closed_reason) == (False, "full")
    assert owner.tenant_id == "acme"


async def test_a_quota_with_a_condition_that_comes_later_counts_what_is_there(database: Database) -> None:
    owner, form_id = await publish(database, {})
    responses = Responses(database)
    for age in (17, 18, 19):
        await responses.submit(visitor(), command({"age": age}))
    grown = {"quotas": [{"id": "grown", "condition": "answers.age >= 18", "limit": 3}]}
    await Forms(database).update(owner, form_id, UpdateForm(settings=grown))
    fresh = Responses(database)
    await fresh.submit(visitor(), command({"age": 40}))
    with pytest.raises(QuotaReached):
        await fresh.submit(visitor(), command({"age": 41}))
    await fresh.submit(visitor(), command({"age": 4}))
    # This replica may still have the form as it was: it is told, and asks again.
    with pytest.raises(QuotaReached):
        await responses.submit(visitor(), command({"age": 42}))


async def test_a_trashed_response_gives_its_place_back(database: Database) -> None:
    owner, _ = await publish(database, corn(1))
    responses = Responses(database)
    first = await responses.submit(visitor(), command({"side": ["corn"], "email": "ada@example.com"}))
    await responses.delete(owner, first.id)
    await responses.submit(visitor(), command({"side": ["corn"], "email": "ada@example.com"}))


async def test_a_response_that_is_purged_at_once_gives_its_place_back(database: Database) -> None:
    """Nobody submitted between the trash and the purge, so the row is gone before its place was given back."""
    owner, _ = await publish(database, corn(1))
    responses = Responses(database)
    first = await responses.submit(visitor(), command({"side": ["corn"], "email": "ada@example.com"}))
    await responses.delete(owner, first.id)
    await responses.purge(owner, first.id)
    await responses.submit(visitor(), command({"side": ["corn"], "email": "ada@example.com"}))
    with pytest.raises(QuotaReached):
        await responses.submit(visitor(), command({"side": ["corn"]}))


async def test_a_person_answers_once(database: Database) -> None:
    await publish(database, {"login_required": True, "one_response_per": "user"})
    ada = replace(visitor(), kind="user", subject="usr_ada")
    bob = replace(visitor(), kind="user", subject="usr_bob")
    replicas = [Responses(database), Responses(database)]
    with pytest.raises(LoginRequired):
        await replicas[0].submit(visitor(), command({"age": 1}))
    calls = [replica.submit(person, command({"age": 1})) for replica in replicas for person in (ada, bob) * 5]
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert sum(isinstance(outcome, AlreadyAnswered) for outcome in outcomes) == len(outcomes) - 2


async def test_one_response_per_person_needs_to_know_the_person(database: Database) -> None:
    with pytest.raises(InvalidSettings) as refused:
        await publish(database, {"one_response_per": "user"})
    assert [fault.pointer for fault in refused.value.faults] == ["/settings/one_response_per"]
