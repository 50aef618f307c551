"""R6: suspected spam is kept apart, never dropped, and can be released."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from db.models.events import Event as EventRow
from db.session import Database
from deployments.forms.contracts import UpdateForm
from deployments.forms.deployment import Forms
from deployments.kit.principal import Principal
from deployments.responses.contracts import ListResponses, SubmittedResponse
from deployments.responses.deployment import Responses
from deployments.responses.errors import FormFull, NotReleasable
from tests.deployments.responses.test_submit import command, visitor
from tests.factories import make_form, make_tenant


async def prepared(database: Database, **settings: Any) -> tuple[Principal, str, Responses]:
    owner = await make_tenant(database)
    form = await make_form(database, owner)
    if settings:
        await Forms(database).update(owner, form.id, UpdateForm(settings=settings))
    return owner, form.id, Responses(database)


async def listed(responses: Responses, owner: Principal, form_id: str) -> list[str]:
    return [row.id for row in (await responses.list_responses(owner, ListResponses(form_id=form_id))).data]


async def facts(database: Database) -> list[str]:
    async with database.unscoped_read() as unit:
        found = await unit.session.scalars(select(EventRow.type).order_by(EventRow.id))  # type: ignore[arg-type]
        return [kind for kind in found if kind.startswith("response.")]


async def suspicion(responses: Responses, owner: Principal, submitted: SubmittedResponse) -> list[str]:
    found = await responses.get(owner, submitted.id)
    assert (found.status == "quarantined") == bool(found.suspicion)
    return found.suspicion


async def test_who_fills_the_honeypot_is_answered_like_everybody_and_kept_apart(database: Database) -> None:
    owner, form_id, responses = await prepared(database)
    bot = await responses.submit(visitor(), command(honeypot="http://spam.example"))
    person = await responses.submit(visitor(), command(honeypot=""))
    assert (bot.status, person.status) == ("complete", "complete")
    assert await suspicion(responses, owner, bot) == ["honeypot"]
    assert await suspicion(responses, owner, person) == []
    assert await listed(responses, owner, form_id) == [person.id]
    assert await facts(database) == ["response.quarantined", "response.submitted"]


async def test_what_is_too_fast_or_full_of_links_is_suspected(database: Database) -> None:
    owner, _, responses = await prepared(database, spam={"min_seconds": 3, "max_links": 1})
    now = datetime.now(UTC)
    slow, fast = (now - timedelta(minutes=1)).isoformat(), now.isoformat()
    text = {"name": "see https://a.example and http://b.example"}
    found = [
        await responses.submit(visitor(), command(started_at=slow)),
        await responses.submit(visitor(), command(started_at=fast)),
        await responses.submit(visitor(), command()),
        await responses.submit(visitor(), command({"name": "Ada", "email": "a@b.test", **text}, started_at=slow)),
    ]
    assert [await suspicion(responses, owner, each) for each in found] == [[], ["too_fast"], ["too_fast"], ["links"]]


async def test_answers_that_were_given_before_are_suspected(database: Database) -> None:
    owner, _, responses = await prepared(database, spam={"duplicates": True})
    first, again = [await responses.submit(visitor(), command()) for _ in range(2)]
    assert await suspicion(responses, owner, first) == []
    assert await suspicion(responses, owner, again) == ["duplicate"]


async def test_a_released_suspect_is_announced_once_and_takes_its_place(database: Database) -> None:
    owner, form_id, responses = await prepared(database, max_responses=1)
    suspects = [await responses.submit(visitor(), command(honeypot="x")) for _ in range(2)]
    released = await responses.release(owner, suspects[0].id)
    assert (released.status, released.suspicion) == ("complete", [])
    assert (await facts(database))[2:] == ["response.released", "response.submitted"]
    with pytest.raises(NotReleasable):
        await responses.release(owner, suspects[0].id)
    with pytest.raises(FormFull):
        await responses.release(owner, suspects[1].id)
    assert await listed(responses, owner, form_id) == [suspects[0].id]


async def test_what_is_taken_for_spam_by_hand_frees_its_place_and_is_not_announced_again(database: Database) -> None:
    owner, form_id, responses = await prepared(database, max_responses=1)
    submitted = await responses.submit(visitor(), command())
    assert (await responses.quarantine(owner, submitted.id)).suspicion == ["by_hand"]
    assert await listed(responses, owner, form_id) == []
    other = await responses.submit(visitor(), command())
    await responses.quarantine(owner, other.id)
    await responses.release(owner, submitted.id)
    assert (await facts(database)).count("response.submitted") == 2
