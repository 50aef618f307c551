"""A7 with A5: models that a tenant brought look at the responses of a form, as its settings say."""

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from db.models.inference import EnrichmentTask, Verdict
from db.session import Database
from db.settings import DatabaseSettings
from deployments.forms.contracts import UpdateForm
from deployments.forms.deployment import Forms
from deployments.forms.errors import InvalidSettings
from deployments.inference import brought
from deployments.inference.brought_contracts import RegisterModel
from deployments.inference.enrichment.asking import AT_ONCE
from deployments.kit.objects import ObjectStore, object_key
from deployments.kit.principal import Principal
from deployments.models.contracts import Applied, HeadRef
from deployments.models.deployment import Models
from deployments.models.errors import ModelFailed
from deployments.models.settings import ModelsSettings
from deployments.responses.contracts import ListResponses
from deployments.responses.deployment import Responses
from tests.deployments.inference.scene import attempt_of
from tests.deployments.inference.survey import FakeModels, door, enrich, make_survey, orders, submit
from tests.deployments.models.brought import NAMES, TOPICS, files, names, zipped
from tests.deployments.responses.lives import facts
from tests.eventing.harness import rows
from tests.factories import make_tenant


@dataclass
class Platform:
    """What tenants bring models to."""

    database: Database
    folder: Path
    objects: ObjectStore = field(init=False)
    models: Models = field(init=False)

    def __post_init__(self) -> None:
        self.objects = ObjectStore(f"file://{self.folder / 'objects'}")
        self.start()

    def start(self) -> None:
        """The models, as a new process has them."""
        self.models = Models(ModelsSettings(folder=self.folder / "models"), self.objects)

    async def registered(self, principal: Principal, archive: bytes) -> str:
        """The id of a model that nobody has looked at yet."""
        sha256 = hashlib.sha256(archive).hexdigest()
        file = object_key(principal.tenant_id, "models", sha256)
        await self.objects.put(file, archive)
        command = RegisterModel(file=file, name="mine", size=len(archive), sha256=sha256)
        async with self.database.write(principal.tenant_id) as unit:
            return (await brought.register(unit, principal, command)).id

    async def taken(self, principal: Principal, archive: bytes) -> str:
        """The id of a model that was checked."""
        model_id = await self.registered(principal, archive)
        (order,) = [job for job in await orders(self.database, brought.CHECK) if job.payload["model_id"] == model_id]
        done = await brought.CheckModel(self.database, self.models, self.objects).check(attempt_of(order))
        assert done.effect is not None
        async with self.database.write(principal.tenant_id) as unit:
            await done.effect(unit)
        return model_id


def settings(topics: str, people: str) -> dict[str, Any]:
    return {
        "classify": [{"model_id": topics, "name": "topic", "fields": ["comment"]}],
        "extract": {"model_id": people, "fields": ["comment"]},
    }


async def test_brought_models_speak_and_outlive_a_restart(database: Database, tmp_path: Path) -> None:
    """A7: with the version of each in what it said; one that is gone is named, and keeps no other from speaking."""
    acme = await make_tenant(database)
    platform = Platform(database, tmp_path)
    topics = await platform.taken(acme, zipped(files()))
    people = await platform.taken(acme, zipped(files(names(), NAMES)))
    form = await make_survey(database, acme, ai=settings(topics, people))
    responses = Responses(database)
    before = await submit(responses, "late refund from Ada")
    await enrich(database, platform.models)
    await platform.models.close()
    platform.start()
    after = await submit(responses, "great thanks Berlin")
    await enrich(database, platform.models)

    said = (await responses.get(acme, before)).inference["comment"]
    assert (said["topic"].label, said["topic"].model[: len(topics) + 1]) == ("complaint", f"{topics}@")
    assert (said["topic"].confidence or 0) > 0.99
    (entity,) = said["entities"].entities or ()
    assert (entity.type, entity.text, entity.start, entity.end, entity.value) == ("person", "Ada", 17, 20, None)
    assert said["entities"].model.startswith(f"{people}@")
    assert said["topic"].model != said["entities"].model
    for where, found in (
        ("ai.topic = 'praise'", [after]),
        ("ai.topic.confidence > 0.9", [before, after]),
        ("ai.entities any ['person']", [before]),
        ("ai.comment.entities any ['place']", [after]),
    ):
        query = ListResponses(form_id=form.id, where=where, sort="submitted_at")
        assert [each.id for each in (await responses.list_responses(acme, query)).data] == found

    await door(database, platform.models, responses).delete_model(acme, topics)
    late = await submit(responses, "Ada was late")
    await enrich(database, platform.models)
    assert (await responses.get(acme, late)).inference["comment"].keys() == {"entities"}
    progress = await door(database, platform.models, responses).enrichment(acme, form.id)
    assert progress.errors == {"The model for topic: There is no such model.": 3}
    await platform.models.close()


async def test_only_a_model_that_can_do_it_is_named_in_settings(
    sqlite_settings: DatabaseSettings, tmp_path: Path
) -> None:
    """A7: it is there, was taken, and labels what it is named for."""
    database = Database(sqlite_settings)
    acme, other = await make_tenant(database), await make_tenant(database, "other")
    platform = Platform(database, tmp_path)
    topics, unseen = await platform.taken(acme, zipped(files())), await platform.registered(acme, zipped(files()))
    theirs = await platform.taken(other, zipped(files()))
    form = await make_survey(database, acme, ai=None)

    async def faults(**ai: Any) -> list[tuple[str, str]]:
        with pytest.raises(InvalidSettings) as refused:
            await Forms(database).update(acme, form.id, UpdateForm(settings={"ai": ai}))
        return [(fault.pointer, fault.code) for fault in refused.value.faults]

    assert await faults(**settings(unseen, topics)) == [
        ("/settings/ai/classify/0/model_id", "settings.model_not_ready"),
        ("/settings/ai/extract/model_id", "settings.model_kind"),
    ]
    assert await faults(classify=[{"model_id": theirs, "fields": ["comment"]}]) == [
        ("/settings/ai/classify/0/model_id", "settings.unknown_model")
    ]
    both = {"model_id": topics, "head": "spam", "fields": ["comment"]}
    ((_, code),) = await faults(classify=[both])
    assert code == "invalid"
    await platform.models.close()
    await database.close()


class Slow(FakeModels):
    """Models of which a brought one takes too long for some texts."""

    def __init__(self, poison: str) -> None:
        super().__init__()
        self.poison = poison
        self.questions: list[Sequence[str]] = []

    async def apply(self, model: HeadRef, texts: Sequence[str]) -> Applied:
        self.questions.append(texts)
        if any(self.poison in text for text in texts):
            raise ModelFailed
        return Applied(labels=TOPICS, scores=tuple((0.9, 0.1) for _ in texts))


async def test_a_text_that_a_brought_model_cannot_take_is_given_up_alone(
    sqlite_settings: DatabaseSettings, tmp_path: Path
) -> None:
    """A7: the others are labelled; a model that answers nothing is asked three times for all of them, not for each."""
    database = Database(sqlite_settings)
    acme = await make_tenant(database)
    platform = Platform(database, tmp_path)
    topics = await platform.taken(acme, zipped(files()))
    form = await make_survey(database, acme, ai={"classify": [{"model_id": topics, "fields": ["comment"]}]})
    responses = Responses(database)
    for number in range(AT_ONCE + 3):
        await submit(responses, "poison" if number == 1 else f"late {number}")
    for poison, failed, questions in (("poison", 1, 1 + AT_ONCE + 1), ("", AT_ONCE + 3, 3)):
        models = Slow(poison)
        await enrich(database, models)
        progress = await door(database, models, responses).enrichment(acme, form.id)
        assert (progress.failed, progress.done) == (failed, AT_ONCE + 3 - failed)
        assert progress.errors == {f"The model for {topics} took too much time or memory.": failed}
        assert len(models.questions) == questions
    await platform.models.close()
    await database.close()


class Killed(Models):
    """Models of which the brought one dies (SIGKILL) each time that it has been asked a second time."""

    questions = 0

    async def apply(self, model: HeadRef, texts: Sequence[str]) -> Applied:
        self.questions += 1
        question = asyncio.create_task(super().apply(model, texts))
        if self.questions == 2:
            (running,) = self._require_brought()._running.values()
            running._process.kill()
        return await question


async def test_a_brought_model_that_is_killed_in_mid_batch_labels_each_response_once(
    sqlite_settings: DatabaseSettings, tmp_path: Path
) -> None:
    """A7, A5: its next process goes on; one verdict and one event each."""
    database = Database(sqlite_settings)
    acme = await make_tenant(database)
    platform = Platform(database, tmp_path)
    topics = await platform.taken(acme, zipped(files()))
    await make_survey(database, acme, ai={"classify": [{"model_id": topics, "fields": ["comment"]}]})
    responses = Responses(database)
    made = [await submit(responses, f"late {number}") for number in range(2 * AT_ONCE)]
    models = Killed(ModelsSettings(folder=tmp_path / "models"), platform.objects)
    await enrich(database, models)
    assert models.questions == 2 + AT_ONCE
    assert sorted(row.response_id for row in await rows(database, Verdict) if row.label == "complaint") == sorted(made)
    assert sorted(event.entity_id for event in await facts(database, "inference.completed")) == sorted(made)
    assert await rows(database, EnrichmentTask) == []
    await models.close()
    await platform.models.close()
    await database.close()
