"""A5, A6: what models say of each response, written once and visible wherever responses are."""

import asyncio
import csv
import io
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from db.models.inference import AnswerVector, EnrichmentTask, EnrichmentTurn, Verdict
from db.session import Database
from db.settings import DatabaseSettings
from deployments.events.contracts import Event as Told
from deployments.events.showing import shown, view_of
from deployments.forms.contracts import UpdateForm
from deployments.forms.deployment import Forms
from deployments.inference.contracts import InferenceApi
from deployments.inference.enrichment.rescoring import RESCORE, Rescore
from deployments.inference.enrichment_contracts import OrderEnrichment
from deployments.inference.errors import NothingConfigured
from deployments.kit.errors import Unavailable
from deployments.kit.principal import Principal
from deployments.models.contracts import HeadRef
from deployments.responses.contracts import ListResponses
from deployments.responses.deployment import Responses
from deployments.responses.life_contracts import EditResponse
from deployments.responses.query.indexing import AnswerIndexer
from eventing.jobs import Retry
from tests.deployments.inference.scene import attempt_of
from tests.deployments.inference.survey import (
    AI,
    FakeModels,
    door,
    enrich,
    make_survey,
    mark,
    orders,
    submit,
    work,
)
from tests.deployments.responses.lives import facts
from tests.eventing.harness import rows
from tests.factories import make_tenant

VIEWER = Principal("acme", "usr_viewer", "user", role="viewer", scopes=frozenset({"responses:read"}))


async def ids(responses: Responses, principal: Principal, form_id: str, where: str) -> list[str]:
    page = await responses.list_responses(principal, ListResponses(form_id=form_id, where=where, sort="submitted_at"))
    return [response.id for response in page.data]


async def test_what_models_say_is_in_the_response_and_in_filters(database: Database) -> None:
    """A5: label, confidence and entities; a model that is not sure gives no label."""
    acme = await make_tenant(database)
    form = await make_survey(database, acme)
    responses = Responses(database)
    bad = await submit(responses, "bad, write to Ada@example.org", story="fine")
    fine, unsure, silent = await submit(responses, "fine"), await submit(responses, "hm"), await submit(responses)
    before = (await responses.list_changes(acme, form.id, None, 100)).next_cursor
    await enrich(database, FakeModels())
    for is_indexed in (False, True):
        if is_indexed:
            await AnswerIndexer(database, at_least=1, rest=False).round()
        assert await ids(responses, acme, form.id, "ai.sentiment = 'negative'") == [bad]
        assert await ids(responses, acme, form.id, "ai.comment.sentiment.confidence > 0.75") == [bad, fine]
        assert await ids(responses, acme, form.id, "ai.story.sentiment = 'positive'") == [bad]
        assert await ids(responses, acme, form.id, "empty ai.sentiment") == [unsure, silent]
        assert await ids(responses, acme, form.id, "ai.entities any ['email']") == [bad]
        assert await ids(responses, acme, form.id, "not exists ai.entities") == [fine, unsure, silent]
        surest = ListResponses(form_id=form.id, sort="-ai.sentiment.confidence")
        found = [response.id for response in (await responses.list_responses(acme, surest)).data]
        assert found == [bad, fine, unsure, silent]
    said = (await responses.get(acme, bad)).inference["comment"]
    assert (said["sentiment"].label, said["sentiment"].confidence) == ("negative", 0.9)
    assert (said["sentiment"].model, said["sentiment"].revision) == ("sentiment@1", 1)
    (entity,) = said["entities"].entities or ()
    assert (entity.type, entity.start, entity.end, entity.value) == ("email", 14, 29, "ada@example.org")
    # R4: who follows the changes gets to see it.
    changed = (await responses.list_changes(acme, form.id, before, 100)).data
    assert [change.id for change in changed] == [bad, fine, unsure]
    told = await facts(database, "inference.completed")
    assert [event.entity_id for event in told] == [bad, fine, unsure]
    assert told[0].data["results"]["comment"]["sentiment"]["label"] == "negative"
    assert told[0].data["results"]["story"]["vector"] == {"model": "words@1", "revision": 1}


async def test_a_verdict_about_a_personal_answer_is_as_personal(sqlite_settings: DatabaseSettings) -> None:
    """R8: neither seen, nor asked for, nor exported by those who do not see the answer."""
    database = Database(sqlite_settings)
    acme = await make_tenant(database)
    form = await make_survey(database, acme)
    responses = Responses(database)
    one = await submit(responses, "bad", story="fine")
    await enrich(database, FakeModels())
    assert (await responses.get(VIEWER, one)).inference.keys() == {"comment"}
    assert await ids(responses, VIEWER, form.id, "ai.sentiment = 'negative'") == [one]
    with pytest.raises(Exception, match=r"not valid") as refused:
        await ids(responses, VIEWER, form.id, "ai.story.sentiment = 'positive'")
    assert [fault.code for fault in refused.value.faults] == ["filter.unknown_field"]  # type: ignore[attr-defined]
    for principal, told_of in ((acme, "positive"), (VIEWER, "")):
        principal = replace(principal, scopes=principal.scopes | {"exports:read", "responses:export"})
        text = (await responses.export_chunk(principal, form.id, None)).content.decode("utf-8-sig")
        (row,) = csv.DictReader(io.StringIO(text, newline=""))
        assert (row["Comment - sentiment"], row["Comment - sentiment - confidence"]) == ("negative", "0.9")
        assert row["Story - sentiment"] == told_of
        line = orjson.loads((await responses.export_chunk(principal, form.id, None, rows="jsonl")).content)
        listed = await responses.list_responses(principal, ListResponses(form_id=form.id))
        assert line["inference"] == listed.model_dump(mode="json")["data"][0]["inference"]
    (told,) = await facts(database, "inference.completed")
    seen = Told(
        id=told.id,
        type=told.type,
        version=told.version,
        timestamp=told.timestamp,
        tenant_id=told.tenant_id,
        entity_id=told.entity_id,
        form_id=told.form_id,
        actor=told.actor,
        request_id="",
        traceparent="",
        address=None,
        user_agent=None,
        data=told.data,
    )
    assert shown(seen, view_of(acme, form.id)).data["results"].keys() == {"comment", "story"}
    assert shown(seen, view_of(VIEWER, form.id)).data["results"] is None
    await database.close()


async def test_an_edit_is_looked_at_again_and_the_trash_forgets(database: Database) -> None:
    """A5: verdicts are about a revision; what is gone has none, and has them again when it comes back."""
    acme = await make_tenant(database)
    form = await make_survey(database, acme)
    responses, models = Responses(database), FakeModels()
    one = await submit(responses, "bad", story="fine")
    await enrich(database, models)
    await responses.edit(acme, one, EditResponse(answers={"comment": "fine"}), None)
    assert (await responses.get(acme, one)).inference.keys() == {"story"}
    assert [row.field for row in await rows(database, AnswerVector)] == ["story"]
    await enrich(database, models)
    assert await ids(responses, acme, form.id, "ai.sentiment = 'positive'") == [one]
    kept = [(row.revision, row.label) for row in await rows(database, Verdict) if row.field == "comment" and row.label]
    assert sorted(kept) == [(1, "negative"), (2, "positive")]
    await mark(database)
    await responses.delete(acme, one)
    for table in (Verdict, AnswerVector, EnrichmentTask):
        assert await rows(database, table) == []
    await work(database, models)
    assert await rows(database, Verdict) == []
    await responses.restore(acme, one)
    assert (await responses.get(acme, one)).inference == {}
    await enrich(database, models)
    assert await ids(responses, acme, form.id, "ai.sentiment = 'positive'") == [one]
    await responses.delete(acme, one)
    await responses.purge(acme, one)
    assert await rows(database, Verdict) == []


async def test_again_tells_what_is_new_and_nothing_else(database: Database) -> None:
    """A5: a replay is idempotent; another version of a model is told once."""
    acme = await make_tenant(database)
    form = await make_survey(database, acme)
    responses = Responses(database)
    for number in range(5):
        await submit(responses, f"bad {number}")
    await enrich(database, FakeModels())
    last = (await responses.list_changes(acme, form.id, None, 100)).next_cursor
    await enrich(database, FakeModels())
    assert len(await facts(database, "inference.completed")) == 5
    assert (await responses.list_changes(acme, form.id, last, 100)).data == []
    api: InferenceApi = door(database, FakeModels(), responses)
    await api.order_enrichment(acme, form.id, OrderEnrichment(where="comment contains '3' or comment contains '4'"))
    (order,) = await orders(database, RESCORE)
    assert (await Rescore(database, responses).run(attempt_of(order))).result == {"responses": 2}
    assert (await api.enrichment(acme, form.id)).waiting == 2
    await work(database, FakeModels(version=2))
    assert len(await facts(database, "inference.completed")) == 7
    progress = await api.enrichment(acme, form.id)
    assert (progress.total, progress.done, progress.waiting, progress.failed) == (5, 5, 0, 0)
    counts = {(each.name, each.model): each.answers for each in progress.versions}
    assert (counts["sentiment", "sentiment@1"], counts["sentiment", "sentiment@2"]) == (5, 2)
    assert (counts["vector", "words@1"], counts["vector", "words@2"]) == (3, 2)


async def test_only_what_was_looked_at_counts_as_done(database: Database) -> None:
    """A5: not what nobody has heard of yet, not an answer that was edited since, not what settings name since then."""
    acme = await make_tenant(database)
    form = await make_survey(database, acme)
    responses, models = Responses(database), FakeModels()
    one, _, _ = (
        await submit(responses, "bad", story="fine"),
        await submit(responses),
        await submit(responses, " \n\u00a0"),
    )

    async def told() -> tuple[int, int, int, int]:
        found = await door(database, models, responses).enrichment(acme, form.id)
        return found.total, found.done, found.waiting, found.unseen

    assert await told() == (3, 2, 0, 1), "of nothing there is nothing to say"
    await mark(database)
    assert await told() == (3, 0, 3, 0)
    await work(database, models)
    assert await told() == (3, 3, 0, 0)
    await responses.edit(acme, one, EditResponse(answers={"score": 3}), None)
    assert await told() == (3, 2, 0, 1)
    await enrich(database, models)
    assert await told() == (3, 3, 0, 0)
    ai = {"embed": {"fields": ["comment"]}, "classify": [{"head": "spam", "fields": ["comment"]}]}
    await Forms(database).update(acme, form.id, UpdateForm(settings={"ai": ai}))
    assert await told() == (3, 2, 0, 1)
    await enrich(database, models)
    assert await told() == (3, 3, 0, 0)


async def test_what_a_model_cannot_take_is_given_up_alone(sqlite_settings: DatabaseSettings) -> None:
    """A6: one response does not keep the others from being done, and is done when it is ordered again."""
    database = Database(sqlite_settings)
    acme = await make_tenant(database)
    form = await make_survey(database, acme)
    responses = Responses(database)
    for text in ("fine", "poison", "bad", "fine", "bad"):
        await submit(responses, text)

    async def refuse(texts: Any) -> None:
        if "poison" in texts:
            raise RuntimeError("no")

    models = FakeModels(before=refuse)
    await enrich(database, models)
    progress = await door(database, models, responses).enrichment(acme, form.id)
    assert (progress.done, progress.failed, list(progress.errors.values())) == (4, 1, [1])
    await enrich(database, FakeModels())
    assert (await door(database, models, responses).enrichment(acme, form.id)).failed == 0
    await database.close()


async def test_a_model_that_is_missing_keeps_no_other_from_speaking(sqlite_settings: DatabaseSettings) -> None:
    """A6: the progress says which it is, and an order after it was installed does the rest."""
    database = Database(sqlite_settings)
    acme = await make_tenant(database)
    theirs = {"classifier_id": "clf_0190", "name": "topic", "fields": ["comment"]}
    form = await make_survey(database, acme, ai={**AI, "classify": [theirs, *AI["classify"]]})
    responses = Responses(database)
    one = await submit(responses, "bad")
    await enrich(database, FakeModels())
    assert (await responses.get(acme, one)).inference["comment"].keys() == {"sentiment", "entities"}
    progress = await door(database, FakeModels(), responses).enrichment(acme, form.id)
    assert (progress.failed, progress.errors) == (1, {"There is no classifier for topic.": 1})

    async def find(unit: Any, classifier_id: str) -> HeadRef:
        return HeadRef(name=classifier_id, key="heads/1", sha256="0")

    await mark(database)
    await work(database, FakeModels(), find_head=find)
    assert (await responses.get(acme, one)).inference["comment"]["topic"].model == "clf_0190@1"
    assert await ids(responses, acme, form.id, "ai.topic = 'negative'") == [one]
    assert len(await facts(database, "inference.completed")) == 2
    await database.close()


async def test_models_that_are_away_are_waited_for(sqlite_settings: DatabaseSettings) -> None:
    """A6: nothing is given up because nobody could answer, or no more after the first batch; nor is anything told
    twice."""
    database = Database(sqlite_settings)
    acme = await make_tenant(database)
    await make_survey(database, acme)
    made = [await submit(Responses(database), f"fine {number}", story="bad") for number in range(12)]
    await mark(database)
    for answers, done in ((0, 0), (1, 0), (3, 5)):
        models = FakeModels()

        async def away(texts: Any, models: FakeModels = models, answers: int = answers) -> None:
            if models.asked > answers:
                raise Unavailable(retry_after=7)

        models.before = away
        with pytest.raises(Retry) as again:
            await work(database, models, at_once=5)
        assert again.value.after_s == 7
        assert len(await rows(database, EnrichmentTask)) == 12 - done
    await work(database, FakeModels())
    assert await rows(database, EnrichmentTask) == []
    assert sorted(event.entity_id for event in await facts(database, "inference.completed")) == sorted(made)
    await database.close()


async def test_a_tenant_has_one_job_and_nothing_waits_without_one(database: Database) -> None:
    """J4: its turn ends when nothing is left, and the next begins with new work."""
    acme = await make_tenant(database)
    await make_survey(database, acme)
    responses = Responses(database)
    await submit(responses, "fine")
    await mark(database)
    await mark(database)
    assert len(await orders(database)) == 1
    await work(database, FakeModels(), shift_s=0)  # others have their turn
    assert len(await orders(database)) == 2
    first, _ = await orders(database)
    await work(database, FakeModels())
    (turn,) = await rows(database, EnrichmentTurn)
    assert turn.seen_at is None
    await submit(responses, "bad")
    await mark(database)
    assert len(await orders(database)) == 3
    assert first.payload["turn"] == 1


async def test_nothing_runs_that_was_not_asked_for(sqlite_settings: DatabaseSettings) -> None:
    """A5: off by default, and without the feature."""
    database = Database(sqlite_settings)
    acme = await make_tenant(database)
    other = await make_tenant(database, "other", features={"ai": False})
    form = await make_survey(database, acme, ai=None)
    await submit(Responses(database), "fine")
    await mark(database)
    assert await orders(database) == []
    with pytest.raises(NothingConfigured):
        await door(database, FakeModels(), Responses(database)).order_enrichment(acme, form.id, OrderEnrichment())
    with pytest.raises(Exception, match="switched off"):
        await make_survey(database, other)
    await database.close()


DOOMED = """
import asyncio, os, signal, sys
from db.session import Database
from db.settings import DatabaseSettings
from tests.deployments.inference.survey import FakeModels, work

class Doomed(FakeModels):
    async def embed(self, texts):
        if self.asked > 4:
            os.kill(os.getpid(), signal.SIGKILL)
        return await super().embed(texts)

asyncio.run(work(Database(DatabaseSettings(url=sys.argv[1])), Doomed(), at_once=8))
"""


async def test_a_killed_worker_leaves_each_response_enriched_once(database: Database) -> None:
    """A5: kill -9 in mid-batch, after some were written; two successors at once; one verdict and one event each."""
    acme = await make_tenant(database)
    await make_survey(database, acme)
    responses = Responses(database)
    made = [await submit(responses, f"bad {number}", story="fine") for number in range(20)]
    await mark(database)
    killed = await asyncio.create_subprocess_exec(
        sys.executable, "-c", DOOMED, database.settings.url, cwd=Path(__file__).parents[3]
    )
    assert await killed.wait() == -9
    assert len(await rows(database, EnrichmentTask)) == 4
    await mark(database)
    await asyncio.gather(work(database, FakeModels(), piece=3), work(database, FakeModels(), piece=8))
    told = [event.entity_id for event in await facts(database, "inference.completed")]
    assert sorted(told) == sorted(made)
    verdicts = [row.response_id for row in await rows(database, Verdict) if row.name == "sentiment"]
    assert sorted(verdicts) == sorted(made * 2)
    assert await rows(database, EnrichmentTask) == []
