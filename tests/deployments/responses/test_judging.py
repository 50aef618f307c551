"""R6: a form can have its responses judged by a model, after they were stored; people have the last word."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from db.models.events import Event as EventRow
from db.models.jobs import Job
from db.models.responses import Response as ResponseRow
from db.session import Database
from db.settings import DatabaseSettings
from deployments.forms.contracts import UpdateForm
from deployments.forms.deployment import Forms
from deployments.kit.engine import stored_definition
from deployments.kit.principal import Principal
from deployments.models.contracts import HeadRef, Judgements
from deployments.models.errors import ModelMissing
from deployments.responses.contracts import EditResponse, Response, SubmittedResponse
from deployments.responses.deployment import Responses
from deployments.responses.judging import JUDGE, JudgementOrders, Judging, written_texts
from deployments.responses.suspicion import Suspicion
from eventing.effects import Effects
from eventing.events.envelope import Event
from eventing.events.responses import ResponseQuarantined
from eventing.jobs import Retry
from eventing.settings import EventingSettings
from tests.deployments.responses.test_spam import facts, listed, prepared
from tests.deployments.responses.test_submit import command, visitor
from tests.eventing.harness import rows
from tests.eventing.jobs.harness import all_in, serving
from tests.factories import make_form, make_tenant

BAD = {"name": "win a prize", "email": "a@b.test"}


class Censor:
    """A model that takes for spam what speaks of prizes; what judging asks of `ModelsApi`."""

    def __init__(self) -> None:
        self.away = False

    async def classify(self, head: HeadRef, texts: Sequence[str]) -> Judgements:
        if self.away:
            raise ModelMissing("not here")
        scores = tuple((0.05, 0.95) if "prize" in text else (0.9, 0.1) for text in texts)
        return Judgements(model=f"{head.name}@1", labels=("ham", "spam"), threshold=0.5, scores=scores)


@pytest.fixture
async def single(sqlite_settings: DatabaseSettings) -> AsyncIterator[Database]:
    """One database: the SQL of this is that of others."""
    database = Database(sqlite_settings)
    yield database
    await database.close()


def judging(database: Database, model: Censor | None = None) -> Judging:
    stands_in: Any = model or Censor()
    return Judging(database, stands_in)


async def consume(database: Database) -> list[Job]:
    """Give the consumer every event there is; the jobs that it has ordered, in all."""
    (subscription,) = JudgementOrders(database).subscriptions()
    effects = Effects(database, subscription, EventingSettings(nats_url="nats://127.0.0.1:1"))
    every = [Event.decode(row.envelope) for row in await rows(database, EventRow)]
    await effects.apply([event for event in every if event.type in subscription.types])
    return [job for job in await rows(database, Job) if job.kind == JUDGE]


async def judge(database: Database) -> dict[str, Any] | None:
    """Have done what is ordered; the result of the last job."""
    jobs = await consume(database)
    async with serving(database, *judging(database).kinds(), queues={"batch": 1}):
        await all_in(database, [job.id for job in jobs], "succeeded")
    return max(await rows(database, Job), key=lambda job: job.id).result if jobs else None


async def seen(responses: Responses, owner: Principal, submitted: SubmittedResponse) -> Response:
    return await responses.get(owner, submitted.id)


async def test_what_the_model_takes_for_spam_is_kept_apart_with_its_score(single: Database) -> None:
    owner, form_id, responses = await prepared(single, spam={"ai_threshold": 0.9})
    bad, good = [await responses.submit(visitor(), command(answers)) for answers in (BAD, None)]
    assert await listed(responses, owner, form_id) == [good.id, bad.id]  # it was not waited for
    assert await judge(single) == {"judged": 2, "suspected": 1}
    suspect, honest = await seen(responses, owner, bad), await seen(responses, owner, good)
    assert (suspect.status, suspect.suspicion, suspect.spam_score) == ("quarantined", ["ai"], 0.95)
    assert (honest.status, honest.suspicion, honest.spam_score) == ("complete", [], None)
    assert await listed(responses, owner, form_id) == [good.id]
    changes = {row.id: row.change for row in await rows(single, ResponseRow)}
    assert changes[bad.id] > changes[good.id]
    (told,) = [Event.decode(row.envelope) for row in await rows(single, EventRow) if "quarantined" in row.type]
    assert (told.read(ResponseQuarantined).reasons, told.read(ResponseQuarantined).score) == (["ai"], 0.95)
    assert told.actor == "system:screening"


async def test_events_that_come_twice_are_judged_once(single: Database) -> None:
    _, _, responses = await prepared(single, spam={"ai_threshold": 0.9})
    await responses.submit(visitor(), command(BAD))
    assert len(await consume(single)) == len(await consume(single)) == 1


async def test_whoever_was_released_is_not_suspected_again(single: Database) -> None:
    """Neither by another judgement, nor because a release announces what had been caught at the door."""
    owner, _, responses = await prepared(single, spam={"ai_threshold": 0.9})
    bad = await responses.submit(visitor(), command(BAD))
    trapped = await responses.submit(visitor(), command(BAD, honeypot="x"))
    await judge(single)
    for each in (bad, trapped):
        assert (await responses.release(owner, each.id)).status == "complete"
    assert await judge(single) == {"judged": 1, "suspected": 1}  # the one whose release announced it
    assert [(await seen(responses, owner, each)).status for each in (bad, trapped)] == ["complete", "complete"]
    assert (await facts(single)).count("response.submitted") == 2  # each was announced once


async def test_what_somebody_changed_meanwhile_stays(single: Database) -> None:
    owner, _, responses = await prepared(single, spam={"ai_threshold": 0.9})
    bad = await responses.submit(visitor(), command(BAD))
    (job,) = await consume(single)
    run: Any = type("Run", (), {"tenant_id": "acme", "payload": job.payload})
    done = await judging(single).run(run)
    edited = EditResponse(answers={**BAD, "name": "Ada"})
    await responses.edit(owner, bad.id, edited, None)
    assert done.effect is not None
    async with single.write("acme") as unit:
        await done.effect(unit)
    assert (await seen(responses, owner, bad)).status == "complete"


async def test_nothing_is_judged_unasked(single: Database) -> None:
    _, _, responses = await prepared(single, spam={"max_links": 3})
    await responses.submit(visitor(), command(BAD))
    assert await consume(single) == []


async def test_nothing_is_judged_where_the_tenant_has_no_models(single: Database) -> None:
    other = await make_tenant(single, "other", features={"ai": False})
    await make_form(single, other, spam={"ai_threshold": 0.5})
    await Responses(single).submit(visitor("other"), command(BAD))
    assert await consume(single) == []


async def test_what_is_switched_off_before_it_begins_is_not_done(single: Database) -> None:
    owner, form_id, responses = await prepared(single, spam={"ai_threshold": 0.5})
    bad = await responses.submit(visitor(), command(BAD))
    assert len(await consume(single)) == 1
    await Forms(single).update(owner, form_id, UpdateForm(settings={"spam": None}))
    assert await judge(single) == {"judged": 0, "suspected": 0}
    assert (await seen(responses, owner, bad)).status == "complete"


async def test_a_model_that_is_away_is_asked_again(single: Database) -> None:
    owner, _, responses = await prepared(single, spam={"ai_threshold": 0.9})
    bad = await responses.submit(visitor(), command(BAD))
    (job,) = await consume(single)
    model = Censor()
    model.away = True
    run: Any = type("Run", (), {"tenant_id": "acme", "payload": job.payload})
    with pytest.raises(Retry):
        await judging(single, model).run(run)
    assert (await seen(responses, owner, bad)).status == "complete"


def test_only_what_people_wrote_is_read() -> None:
    """Addresses and choices say nothing; the texts of a repeating group do."""
    inner = [{"id": "note", "type": "long_text", "title": "Note"}, {"id": "mail", "type": "email", "title": "Mail"}]
    elements = [
        {"id": "name", "type": "short_text", "title": "Name"},
        {"id": "site", "type": "url", "title": "Site"},
        {"id": "people", "type": "group", "title": "People", "elements": inner},
    ]
    definition = stored_definition({"pages": [{"id": "p", "elements": elements}], "languages": ["en"]})
    answers = {"name": "Ada", "site": "https://a.example", "people": [{"note": "likes corn", "mail": "a@b.test"}, {}]}
    assert list(written_texts(definition, answers)) == ["Ada", "likes corn"]


@pytest.mark.parametrize(
    ("column", "suspicion"),
    [
        (None, Suspicion()),
        ("honeypot links", Suspicion(("honeypot", "links"))),
        ("ai 0.9731", Suspicion(("ai",), 0.9731)),
        ("ai 1.0000", Suspicion(("ai",), 1.0)),
    ],
)
def test_the_column_holds_signs_and_score(column: str | None, suspicion: Suspicion) -> None:
    assert Suspicion.read(column) == suspicion
    assert suspicion.column() == (column or "")
