"""L1: figures are right under edits, the trash, replays, two at work and what kills them, on both databases."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import delete, func, select, update
from sqlmodel import col

from db.models.events import Event as EventRow
from db.models.metrics import MetricCount, MetricPart, MetricState
from db.repositories.metrics import MetricRepository
from db.session import Database
from deployments.analytics.metric_contracts import FieldFigures, FormMetrics
from deployments.analytics.metrics.keeping import Counting, MetricKeeper, Nudges
from deployments.analytics.metrics.recounting import Recounting
from deployments.kit.principal import Principal
from deployments.responses.deployment import Responses
from deployments.responses.life_contracts import EditResponse
from eventing.effects import Effects
from eventing.events.envelope import Event
from eventing.settings import EventingSettings
from tests.deployments.analytics.door import analytics
from tests.deployments.responses.lives import begin, save, submit
from tests.deployments.responses.query import survey
from tests.eventing.harness import rows
from tests.factories import ANSWERS, make_form, make_tenant


async def shown(database: Database, principal: Principal, form_id: str) -> FormMetrics:
    return await analytics(database).metrics(principal, form_id, None, None)


def figures_of(metrics: FormMetrics, field: str) -> FieldFigures:
    return next(each for each in metrics.fields if each.field == field)


async def bring_up(database: Database, principal: Principal, form_id: str, piece: int = 7) -> None:
    counting = Counting(database, piece=piece)
    while await counting.advance(principal.tenant_id, form_id):
        pass


async def require_right(database: Database, principal: Principal, form_id: str) -> int:
    """The number of rows, all of which are counted as a recount does."""
    verified = await Recounting(database).verify(principal.tenant_id, form_id)
    assert verified.wrong == ()
    return verified.responses


async def count_of(database: Database, table: type[Any]) -> int:
    async with database.unscoped_read() as unit:
        return await unit.session.scalar(select(func.count()).select_from(table)) or 0


async def test_every_step_of_a_life_is_counted_right(database: Database) -> None:
    """L1: begun, completed, edited, trashed, restored, suspected, released, purged."""
    acme = await make_tenant(database)
    form = await make_form(database, acme)
    responses = Responses(database)

    async def counted() -> tuple[int, int, int, int, dict[str, int]]:
        await bring_up(database, acme, form.id, piece=1)
        await require_right(database, acme, form.id)
        found = await shown(database, acme, form.id)
        sides = {option.value: option.count for option in figures_of(found, "side").options if option.count}
        nps = figures_of(found, "score").nps
        assert nps is not None
        return found.starts, found.partials, found.submissions, nps.promoters, sides

    begun = await begin(responses, {"name": "Ada"})
    assert await counted() == (1, 1, 0, 0, {})
    await save(responses, begun.resume_token, answers=ANSWERS, status="complete")
    assert await counted() == (1, 0, 1, 1, {"corn": 1})
    other = await submit(responses, {**ANSWERS, "side": {"options": ["yams"], "other": "Rice"}, "score": 3})
    assert await counted() == (2, 0, 2, 1, {"corn": 1, "yams": 1, "other": 1})
    await responses.edit(acme, other, EditResponse(answers={"score": 10, "side": ["corn"]}), None)
    assert await counted() == (2, 0, 2, 2, {"corn": 2})
    await responses.delete(acme, other)
    assert await counted() == (1, 0, 1, 1, {"corn": 1})
    await responses.restore(acme, other)
    assert await counted() == (2, 0, 2, 2, {"corn": 2})
    await responses.quarantine(acme, other)
    assert await counted() == (1, 0, 1, 1, {"corn": 1})
    await responses.release(acme, other)
    assert await counted() == (2, 0, 2, 2, {"corn": 2})
    await responses.delete(acme, begun.id)
    await responses.purge(acme, begun.id)
    assert await counted() == (1, 0, 1, 1, {"corn": 1})
    assert await count_of(database, MetricPart) == 1


async def test_what_dies_between_reading_and_the_commit_loses_and_doubles_nothing(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """E: a killed consumer. Counts, parts and position are one transaction, and what was read before is not written."""
    acme = await make_tenant(database)
    form = await make_form(database, acme, definition=survey.SURVEY)
    await survey.fill(Responses(database), acme, form.id, 20, seed=1)
    counting = Counting(database, piece=10)
    await counting.advance("acme", form.id)
    before = await shown(database, acme, form.id)
    put = MetricRepository._put_parts

    async def die(self: MetricRepository, generation: int, parts: Any) -> None:
        await put(self, generation, parts)
        raise RuntimeError("killed")

    monkeypatch.setattr(MetricRepository, "_put_parts", die)
    with pytest.raises(RuntimeError):
        await counting.advance("acme", form.id)
    monkeypatch.undo()
    after = await shown(database, acme, form.id)
    assert (after.submissions, after.fields) == (before.submissions, before.fields) == (10, before.fields)

    async with database.read("acme") as unit:
        repository = MetricRepository(unit.session, "acme", form.id)
        stale = await repository.read(1, 10)
    assert stale is not None
    await bring_up(database, acme, form.id)
    async with database.write("acme") as unit:
        assert not await MetricRepository(unit.session, "acme", form.id).write(stale, [], {}, {}, form.created_at)
    assert await require_right(database, acme, form.id) == 20


async def test_what_is_counted_anew_is_shown_when_it_is_complete(database: Database) -> None:
    """L2: whoever looks meanwhile sees the figures of before."""
    acme = await make_tenant(database)
    form = await make_form(database, acme, definition=survey.SURVEY)
    await survey.fill(Responses(database), acme, form.id, 20, seed=1)
    await bring_up(database, acme, form.id)
    counted = []

    async def look(done: int, _of: int | None) -> None:
        counted.append((done, (await shown(database, acme, form.id)).submissions))

    await Recounting(database, piece=5).recount("acme", form.id, look)
    assert {done for done, _ in counted} >= {5, 10, 15, 20}
    assert {submissions for _, submissions in counted} == {20}


async def test_several_at_work_count_once(database: Database) -> None:
    """L1: keepers that both believe to lead, and the consumer beside them."""
    acme = await make_tenant(database)
    form = await make_form(database, acme, definition=survey.SURVEY)
    await survey.fill(Responses(database), acme, form.id, 40, seed=1)
    nudges = Nudges(Counting(database, piece=3))
    events = [Event.decode(row.envelope) for row in await rows(database, EventRow)]
    about = [event for event in events if event.form_id == form.id]

    async def consume() -> None:
        for _ in range(15):
            async with database.write("acme") as unit:
                await nudges.on_events(unit, about)

    await asyncio.gather(consume(), *(bring_up(database, acme, form.id, piece=size) for size in (5, 7)))
    assert await require_right(database, acme, form.id) == 40
    assert (await shown(database, acme, form.id)).submissions == 40


async def test_events_in_any_order_and_again_fill_empty_figures(database: Database) -> None:
    """L1: replayed into empty figures, from the last event to the first and twice, they are what they were."""
    acme = await make_tenant(database)
    form = await make_form(database, acme)
    responses = Responses(database)
    for score in (0, 7, 9):
        await submit(responses, {**ANSWERS, "score": score})
    nudges = Nudges(Counting(database))
    effects = Effects(database, nudges.subscriptions()[0], EventingSettings(nats_url="nats://127.0.0.1:1"))
    events = [Event.decode(row.envelope) for row in await rows(database, EventRow)]
    told = [event for event in events if event.type.startswith("response.")]
    await effects.apply(told)
    before = await shown(database, acme, form.id)
    assert before.submissions == 3
    # One event brought everything; the others were spared a row.
    assert (effects.counters.handled, effects.counters.unselected) == (1, 2)
    await empty(database)
    assert (await shown(database, acme, form.id)).submissions == 0
    # As a replay gives them: those that had their effect, too.
    for event in (*reversed(told), *told):
        async with database.write("acme") as unit:
            await nudges.on_events(unit, [event])
    after = await shown(database, acme, form.id)
    assert after.model_copy(update={"as_of": before.as_of}) == before


async def empty(database: Database) -> None:
    async with database.unscoped_write() as unit:
        for table in (MetricCount, MetricPart, MetricState):
            await unit.session.execute(delete(table))


async def test_a_recount_is_shown_when_it_is_complete(database: Database) -> None:
    """L1: what is shown stays whole meanwhile, and what was shown before is deleted."""
    acme = await make_tenant(database)
    form = await make_form(database, acme, definition=survey.SURVEY)
    await survey.fill(Responses(database), acme, form.id, 20, seed=1)
    await bring_up(database, acme, form.id)
    async with database.write("acme") as unit:
        damaged = update(MetricCount).where(col(MetricCount.name) == "f:score").values(count=999)
        await unit.session.execute(damaged)
    assert (await Recounting(database).verify("acme", form.id)).wrong
    seen: list[tuple[int, int, int]] = []

    async def report(done: int, total: int) -> None:
        seen.append((done, total, (await shown(database, acme, form.id)).submissions))

    assert await Recounting(database, piece=8).recount("acme", form.id, report) == 20
    assert seen[0] == (8, 20, 20)
    assert {submissions for _, _, submissions in seen} == {20}
    assert await require_right(database, acme, form.id) == 20
    assert await count_of(database, MetricState) == 1
    assert await count_of(database, MetricPart) == 20
    assert await Recounting(database).recount("acme", "frm_none", report) is None


async def test_the_keeper_finds_what_no_event_told_of(database: Database) -> None:
    """L1: the net below the consumer, for every tenant in turn."""
    acme, globex = await make_tenant(database), await make_tenant(database, "globex")
    one = await make_form(database, acme, definition=survey.SURVEY)
    two = await make_form(database, globex, definition=survey.SURVEY)
    await survey.fill(Responses(database), acme, one.id, 30, seed=1)
    await survey.fill(Responses(database), globex, two.id, 5, seed=2)
    health = await analytics(database).health(acme)
    assert (health.live.forms, health.live.changes, health.live.seconds) == (1, 30, None)
    keeper = MetricKeeper(database, piece=10)
    assert await keeper.round()
    assert (await shown(database, acme, one.id)).submissions == 10
    assert (await shown(database, globex, two.id)).submissions == 5
    health = await analytics(database).health(acme)
    assert (health.live.forms, health.live.changes) == (1, 20)
    while await keeper.round():
        pass
    assert (await shown(database, acme, one.id)).submissions == 30
    health = await analytics(database).health(acme)
    assert (health.live.forms, health.live.changes, health.live.seconds) == (0, 0, 0.0)
    await keeper.stop()
