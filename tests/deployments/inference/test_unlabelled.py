"""A2: a training looks at the answers of its field that nobody has labelled, and at nothing else."""

from typing import Any

import pytest
from sqlalchemy import update
from sqlmodel import col

from db.models.classifiers import ClassifierVersion
from db.models.responses import Response
from db.session import Database
from db.types import utc_now
from deployments.inference.classifiers import training
from deployments.inference.classifiers.training import TrainClassifier
from deployments.inference.classify_contracts import Correction, Label, NewClassifier
from deployments.kit.objects import ObjectStore
from deployments.kit.principal import Principal
from deployments.kit.vectors import small, stretched, unpacked
from deployments.models.contracts import Embeddings, HeadReport, Learned, Lesson
from deployments.models.heads.learning import Learning
from deployments.responses.deployment import Responses
from deployments.responses.life_contracts import EditResponse
from tests.deployments.inference.scene import attempt_of
from tests.deployments.inference.survey import DIMENSIONS, FakeModels, door, enrich, make_survey, orders, submit
from tests.eventing.harness import rows
from tests.factories import make_tenant


class Listening(Learning):
    """Learns, and remembers what it was given beside the examples."""

    def __init__(self) -> None:
        super().__init__()
        self.further: Embeddings | None = None

    async def learn(
        self, lesson: Lesson, vectors: Embeddings, described: Embeddings, unlabelled: Embeddings | None = None
    ) -> Learned:
        self.further = unlabelled
        return await super().learn(lesson, vectors, described, unlabelled)


async def looked_at(database: Database, form_id: str | None, principal: Principal, models: Any, **more: Any) -> Any:
    """The vectors that a training of the form's comments looks at, the newest first."""
    said = more.get("said")
    examples = more.get("examples", {"late": ["late train", "late bus"], "fine": ["fine day", "fine weather"]})
    new = NewClassifier(
        name=f"about {more.get('name', 'comments')}",
        form_id=form_id,
        field=None if form_id is None else "comment",
        labels=[Label(name=name, examples=list(texts)) for name, texts in examples.items()],
    )
    api = door(database, models, Responses(database))
    made = await api.create_classifier(principal, new)
    if said is not None:
        await api.correct(principal, made.id, said)
    ordered = await api.train_classifier(principal, made.id)
    (job,) = [each for each in await orders(database, "classifiers.train") if each.id == ordered.job_id]
    learning = Listening()
    await TrainClassifier(database, ObjectStore("memory:///"), models, learning).run(attempt_of(job))
    await api.close()
    return [] if learning.further is None else unpacked(learning.further.vectors, DIMENSIONS).tolist()


async def stored(*texts: str, version: int = 1) -> Any:
    """Vectors of texts, as they come out of the database."""
    found = await FakeModels(version).embed(texts)
    return stretched(small(unpacked(found.vectors, DIMENSIONS))).tolist()


async def test_only_answers_that_are_there_and_nobody_has_labelled(database: Database) -> None:
    """On both databases: not those of another tenant, form, field or model; nothing from the trash or quarantine,
    nothing erased or edited, and no example."""
    acme, globex = await make_tenant(database), await make_tenant(database, "globex")
    form = await make_survey(database, acme)
    other = await make_survey(database, acme, slug="elsewhere")
    await make_survey(database, globex)
    responses, models = Responses(database), FakeModels()
    await submit(responses, "the parcel was late", story="not this field")
    whats = ("trashed", "doubtful", "erased", "edited", "labelled", "just trashed", "just doubted")
    ids = [await submit(responses, f"{what} parcel") for what in whats]
    trashed, spam, erased, edited, labelled, *just = ids
    await submit(responses, "what a fine day")
    await submit(responses, "of another tenant", tenant="globex")
    await enrich(database, models)
    await enrich(database, models, "globex")
    await responses.delete(acme, trashed)
    await responses.quarantine(acme, spam)
    await responses.delete(acme, erased)
    await responses.purge(acme, erased)
    await responses.edit(acme, edited, EditResponse(answers={"comment": "else"}), None)
    for id_, change in zip(just, ({"deleted_at": utc_now()}, {"status": "quarantined"}), strict=True):
        async with database.write("acme") as unit:  # whose vectors are there still: a model was at work meanwhile
            await unit.session.execute(update(Response).where(col(Response.id) == id_).values(**change))
    said = Correction(text="labelled", label="late", response_id=labelled)
    found = await looked_at(database, form.id, acme, models, said=said)
    assert found == await stored("what a fine day", "the parcel was late")
    assert await looked_at(database, other.id, acme, models, name="another form") == []
    assert await looked_at(database, None, acme, models, name="no form") == []
    assert await looked_at(database, form.id, acme, FakeModels(2), name="another model") == []


async def test_the_newest_of_very_many(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read in pages, up to a bound."""
    acme = await make_tenant(database)
    form = await make_survey(database, acme)
    texts = [f"word{number} only" for number in range(7)]
    for text in texts:
        await submit(Responses(database), text)
    await enrich(database, FakeModels())
    monkeypatch.setattr(training, "_PAGE", 2)
    monkeypatch.setattr(training, "UNLABELLED", 5)
    newest = await stored(*reversed(texts[2:]))
    assert await looked_at(database, form.id, acme, FakeModels()) == newest
    monkeypatch.setattr(training, "UNLABELLED", 100)
    found = await looked_at(database, form.id, acme, FakeModels(), name="all")
    assert found == await stored(*reversed(texts))
    (version, _) = await rows(database, ClassifierVersion)
    report = HeadReport.model_validate(version.report)
    assert report.unlabelled is not None
    assert (report.unlabelled.looked_at, report.unlabelled.used) == (5, False)  # four examples cannot say more
