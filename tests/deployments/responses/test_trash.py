"""R3, R8: the trash, on both dialects: thirty days to come back, and nothing left afterwards."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text, update
from sqlmodel import col

from db.models.forms import FormCounter
from db.models.identity import PLATFORM_TENANT
from db.models.response_life import ResponseComment, ResponseTag, ResponseVersion, ResumeToken
from db.models.responses import Response as ResponseRow
from db.session import Database
from deployments.forms.contracts import UpdateForm
from deployments.forms.deployment import Forms
from deployments.kit.errors import Invalid
from deployments.kit.principal import Principal
from deployments.responses import handlers, pruning
from deployments.responses.contracts import ListResponses, TrashedResponse
from deployments.responses.deployment import Responses
from deployments.responses.errors import FormFull, FormNotFound, ResponseNotFound
from deployments.responses.life_contracts import ChangeTags, EditResponse, PutComment
from tests.deployments.responses.lives import begin, changes_are_sound, facts, held, save, submit
from tests.deployments.responses.test_partials import expire
from tests.deployments.responses.test_submit import command
from tests.eventing.harness import count, rows
from tests.eventing.jobs.harness import order, reaches, serving
from tests.factories import ANSWERS, make_form, make_tenant, owner


async def trash_of(responses: Responses, principal: Principal, form_id: str, limit: int = 20) -> list[TrashedResponse]:
    found: list[TrashedResponse] = []
    cursor = None
    while True:
        page = await responses.list_trash(principal, form_id, cursor, limit)
        found += page.data
        cursor = page.meta.next_cursor
        if cursor is None:
            return found


async def laid_down(database: Database, at: datetime, *response_ids: str) -> None:
    """As if they had gone to the trash then."""
    async with database.unscoped_write() as unit:
        await unit.session.execute(
            update(ResponseRow).where(col(ResponseRow.id).in_(response_ids)).values(deleted_at=at)
        )


async def furnished(responses: Responses, acme: Principal) -> str:
    """A response with everything that can belong to one."""
    begun = await begin(responses, ANSWERS, meta={"source": "poster"})
    await save(responses, begun.resume_token, status="complete")
    await responses.edit(acme, begun.id, EditResponse(answers={"name": "Eve"}), None)
    await responses.add_comment(acme, begun.id, PutComment(text="So."))
    await responses.change_tags(acme, begun.id, ChangeTags(add=["urgent"]))
    return begun.id


async def test_a_response_comes_back_as_it_was(database: Database) -> None:
    """R3: with its versions, comments and tags; its place in the limit is free meanwhile."""
    acme = await make_tenant(database)
    form = await make_form(database, acme)
    responses = Responses(database)
    response_id = await furnished(responses, acme)
    before = await responses.get(acme, response_id)

    await responses.delete(acme, response_id)

    assert await held(database) == 0
    (trashed,) = await trash_of(responses, acme, form.id)
    assert (trashed.id, trashed.deleted_by, trashed.tags) == (response_id, acme.subject, ["urgent"])
    assert trashed.purge_at - trashed.deleted_at == timedelta(days=30)
    back = await responses.restore(acme, response_id)
    assert back.model_copy(update={"updated_at": None}) == before.model_copy(update={"updated_at": None})
    assert (await held(database), await trash_of(responses, acme, form.id)) == (1, [])
    with pytest.raises(ResponseNotFound):
        await responses.restore(acme, response_id)
    told = await facts(database, "response.deleted", "response.restored")
    assert [fact.type for fact in told] == ["response.deleted", "response.restored"]
    assert await changes_are_sound(database)


async def test_coming_back_takes_a_place(database: Database) -> None:
    """R9: exactly, for many that come back at once."""
    acme = await make_tenant(database)
    form = await make_form(database, acme)
    replicas = [Responses(database), Responses(database)]
    ids = [await submit(replicas[0]) for _ in range(20)]
    for response_id in ids:
        await replicas[0].delete(acme, response_id)
    await Forms(database).update(acme, form.id, UpdateForm(settings={"max_responses": 7}))
    fresh = [Responses(database), Responses(database)]
    outcomes = await asyncio.gather(
        *(fresh[n % 2].restore(acme, response_id) for n, response_id in enumerate(ids)), return_exceptions=True
    )
    assert sum(isinstance(outcome, FormFull) for outcome in outcomes) == 13
    assert (await held(database), len(await trash_of(fresh[0], acme, form.id))) == (7, 13)


async def test_a_partial_response_takes_no_place_on_its_way(database: Database) -> None:
    acme = await make_tenant(database)
    await make_form(database, acme, max_responses=0)
    responses = Responses(database)
    begun = await begin(responses, {"name": "Ada"})
    await responses.delete(acme, begun.id)
    assert await held(database) == 0
    assert (await responses.restore(acme, begun.id)).status == "partial"
    assert await held(database) == 0
    assert (await save(responses, begun.resume_token, answers={"score": 3})).answers == {"name": "Ada"}


async def test_pages_of_the_trash_hold_each_once(database: Database) -> None:
    acme = await make_tenant(database)
    form = await make_form(database, acme)
    responses = Responses(database)
    ids = [await submit(responses) for _ in range(7)]
    for response_id in ids:
        await responses.delete(acme, response_id)
    await laid_down(database, datetime.now(UTC), *ids[:3])  # several at one moment
    found = await trash_of(responses, acme, form.id, 2)
    assert sorted(each.id for each in found) == sorted(ids)
    assert [(each.deleted_at, each.id) for each in found] == sorted(
        ((each.deleted_at, each.id) for each in found), reverse=True
    )
    with pytest.raises(Invalid):
        await responses.list_trash(acme, form.id, "nonsense", 2)
    with pytest.raises(FormNotFound):
        await responses.list_trash(acme, "frm_none", None, 2)


async def test_what_is_purged_is_gone(database: Database) -> None:
    """R8: nothing of it is left in any table, and those who follow the changes learn of it."""
    acme = await make_tenant(database)
    form = await make_form(database, acme)
    responses = Responses(database)
    response_id = await furnished(responses, acme)
    with pytest.raises(ResponseNotFound):
        await responses.purge(acme, response_id)
    await responses.delete(acme, response_id)
    (trashed,) = await rows(database, ResponseRow)

    await responses.purge(acme, response_id)

    (left,) = await rows(database, ResponseRow)
    assert (left.id, left.status, left.answers, left.meta, left.submitted_by) == (response_id, "purged", {}, {}, "")
    assert (left.timings, left.assignee, left.reviewed_by, left.deleted_by) == (None, None, None, None)
    assert left.change > trashed.change
    for table in (ResponseVersion, ResponseComment, ResponseTag, ResumeToken):
        assert await count(database, table) == 0
    for act in (responses.get, responses.delete, responses.restore, responses.purge):
        with pytest.raises(ResponseNotFound):
            await act(acme, response_id)
    assert await trash_of(responses, acme, form.id) == []
    assert (await responses.list_responses(acme, ListResponses(form_id=form.id, include_total=True))).meta.total == 0
    (told,) = await facts(database, "response.purged")
    assert told.data == {"response_id": response_id, "form_id": form.id}
    assert (await held(database), await changes_are_sound(database)) == (0, True)


async def test_another_tenant_has_no_hand_in_it(database: Database) -> None:
    """T5."""
    acme = await make_tenant(database)
    await make_tenant(database, "other")
    form = await make_form(database, acme)
    responses = Responses(database)
    response_id = await submit(responses)
    await responses.delete(acme, response_id)
    for act in (responses.restore, responses.purge):
        with pytest.raises(ResponseNotFound):
            await act(owner("other"), response_id)
    with pytest.raises(FormNotFound):
        await responses.list_trash(owner("other"), form.id, None, 5)


class TestDailyPurge:
    async def test_what_is_due_goes_and_the_rest_stays(
        self, database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """R3: after thirty days; R2: partial responses that nobody went on with. Of every tenant, in batches."""
        monkeypatch.setattr(pruning, "_BATCH", 3)
        monkeypatch.setattr(pruning, "_FORMS", 2)
        acme = await make_tenant(database)
        await make_form(database, acme)
        responses = Responses(database)
        old = [await submit(responses) for _ in range(8)]
        young, kept = await submit(responses), await submit(responses)
        for response_id in (*old, young):
            await responses.delete(acme, response_id)
        month = datetime.now(UTC) - timedelta(days=30)
        await laid_down(database, month - timedelta(minutes=1), *old)
        await laid_down(database, month + timedelta(minutes=10), young)
        abandoned = [await begin(responses, {"name": "Ada"}) for _ in range(4)]
        going, done = await begin(responses, {"name": "Ada"}), await begin(responses, ANSWERS)
        await save(responses, done.resume_token, status="complete")
        for each in (*abandoned, done):
            await expire(database, each.id)
        for tenant in ("beta", "gamma"):
            theirs = await make_tenant(database, tenant)
            await make_form(database, theirs)
            other = await responses.submit(Principal.anonymous(tenant, theirs.origin), command())
            await responses.delete(theirs, other.id)
            await laid_down(database, month - timedelta(days=5), other.id)

        removed = await pruning.prune(database, lambda: False)

        assert removed == {"trashed": 10, "abandoned": 4, "outlived": 0, "tokens": 1, "visits": 0}
        left = {row.id for row in await rows(database, ResponseRow) if row.status != "purged"}
        assert left == {young, kept, going.id, done.id}
        assert {row.response_id for row in await rows(database, ResumeToken)} == {going.id}
        assert len(await facts(database, "response.purged")) == 14
        assert set((await pruning.prune(database, lambda: False)).values()) == {0}
        async with database.unscoped_read() as unit:
            held_by_acme = await unit.session.scalar(
                text("SELECT responses FROM form_counter WHERE tenant_id = 'acme'")
            )
        assert held_by_acme == 2

    async def test_it_stops_when_the_time_is_over(self, database: Database) -> None:
        acme = await make_tenant(database)
        await make_form(database, acme)
        responses = Responses(database)
        response_id = await submit(responses)
        await responses.delete(acme, response_id)
        await laid_down(database, datetime.now(UTC) - timedelta(days=31), response_id)
        assert set((await pruning.prune(database, lambda: True)).values()) == {0}
        assert (await pruning.prune(database, lambda: False))["trashed"] == 1

    async def test_the_job_says_what_it_removed(self, database: Database) -> None:
        (job_id,) = await order(database, PLATFORM_TENANT, kind="responses.prune")
        async with serving(database, *handlers.job_kinds(database)):
            done = await reaches(database, job_id, "succeeded")
        assert done.result == {"trashed": 0, "abandoned": 0, "outlived": 0, "tokens": 0, "visits": 0}


async def test_a_form_keeps_responses_for_as_long_as_it_says(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R8: complete, partial and trashed ones; those of other forms and tenants stay."""
    monkeypatch.setattr(pruning, "_BATCH", 2)
    monkeypatch.setattr(pruning, "_FORMS", 1)
    acme, responses = await make_tenant(database), Responses(database)
    form = await make_form(database, acme)
    other = await make_form(database, acme, slug="other")
    await Forms(database).update(acme, form.id, UpdateForm(settings={"retention_days": 30}))
    old = [await submit(responses) for _ in range(3)] + [(await begin(responses, ANSWERS)).id]
    await responses.delete(acme, old[0])
    kept = [await submit(responses), (await responses.submit(acme, command(slug="other"))).id]
    past = datetime.now(UTC) - timedelta(days=31)
    async with database.unscoped_write() as unit:
        wanted = col(ResponseRow.id).in_([*old, kept[1]])
        await unit.session.execute(update(ResponseRow).where(wanted).values(submitted_at=past))

    assert (await pruning.prune(database, lambda: False))["outlived"] == len(old)

    for form_id, left in ((form.id, kept[0]), (other.id, kept[1])):
        page = await responses.list_responses(acme, ListResponses(form_id=form_id))
        assert [row.id for row in page.data] == [left]
    assert {row.form_id: row.responses for row in await rows(database, FormCounter)} == {form.id: 1, other.id: 1}
    assert (await pruning.prune(database, lambda: False))["outlived"] == 0
