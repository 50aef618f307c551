"""A2: stored classifiers: labelled, trained by a job, corrected, and asked; for their tenant only."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import orjson
import pytest
from sqlalchemy import update
from sqlmodel import col

from db.models.classifiers import ClassifierExample, ClassifierVersion
from db.models.events import Event
from db.models.jobs import Job
from db.repositories.response_trash import ResponseTrashRepository
from db.repositories.responses import ResponseRepository
from db.session import Database
from db.settings import DatabaseSettings
from db.types import utc_now
from deployments.inference.classifiers.training import ForgetLearned, RemoveFiles
from deployments.inference.classify_contracts import (
    ClassifierChange,
    ClassifyTexts,
    Correction,
    Label,
    LabelChange,
    NewClassifier,
    NewExample,
    NewExamples,
)
from deployments.inference.contracts import TRAIN
from deployments.inference.errors import (
    ClassifierNameTaken,
    ClassifierNotFound,
    ClassifierUntrained,
    ClassifierVersionNotFound,
    ExampleNotFound,
    InvalidClassifier,
    NoField,
)
from deployments.kit.errors import Forbidden
from deployments.kit.principal import Principal
from deployments.models.errors import HeadDamaged
from deployments.responses.contracts import ListResponses, SubmitResponse
from deployments.responses.deployment import Responses
from deployments.tenancy.people.copies import LearnedResponses
from eventing.jobs import GiveUp, Retry
from tests.architecture.rooms import ROOT
from tests.deployments.inference.scene import LABELS, Scene, attempt_of, labels, new_classifier, scene, trained
from tests.deployments.tenancy.population import attempt
from tests.eventing.harness import rows
from tests.factories import make_form, make_tenant, owner

ME = owner()


@pytest.fixture
async def acme(sqlite_settings: DatabaseSettings, tmp_path: Path, models_folder: Path) -> AsyncIterator[Scene]:
    database = Database(sqlite_settings)
    await make_tenant(database)
    async with scene(database, tmp_path, models_folder) as made:
        yield made
    await database.close()


async def answer_of(acme: Scene, classifier_id: str, text: str) -> str | None:
    found = await acme.inference.classify(ME, ClassifyTexts(texts=[text], classifier_id=classifier_id))
    return found.results[0].label


class TestLabelling:
    async def test_a_classifier_from_its_making_to_its_end(
        self, database: Database, tmp_path: Path, models_folder: Path
    ) -> None:
        """On both databases: examples are stored once, labels are changed, all goes in the end."""
        await make_tenant(database)
        async with scene(database, tmp_path, models_folder) as acme:
            inference = acme.inference
            made = await inference.create_classifier(ME, new_classifier())
            assert [(each.name, each.examples) for each in made.labels] == [(name, 3) for name in LABELS]
            assert (made.active_version, made.latest_version) == (None, None)
            with pytest.raises(ClassifierNameTaken):
                await inference.create_classifier(ME, new_classifier())
            again = NewExamples(
                examples=[
                    NewExample(text="I lost my card", label="card_arrival"),
                    NewExample(text=" I lost my card ", label="card_arrival"),
                    NewExample(text="A new one", label="lost_card"),
                ]
            )
            assert (await inference.add_examples(ME, made.id, again)).examples == 10
            page = await inference.list_examples(ME, made.id, None, 2, "card_arrival")
            assert len(page.data) == 2
            rest = await inference.list_examples(ME, made.id, page.meta.next_cursor, 10, "card_arrival")
            assert {each.text.strip() for each in (*page.data, *rest.data)} == {
                *LABELS["card_arrival"],
                "I lost my card",
            }
            await inference.delete_example(ME, made.id, page.data[0].id)
            with pytest.raises(ExampleNotFound):
                await inference.delete_example(ME, made.id, page.data[0].id)
            change = ClassifierChange(
                labels=[LabelChange(name="card_arrival", description="new"), LabelChange(name="rest")], retrain_after=5
            )
            changed = await inference.change_classifier(ME, made.id, change)
            assert [(each.name, each.examples) for each in changed.labels] == [("card_arrival", 3), ("rest", 0)]
            assert changed.retrain_after == 5
            assert [each.id for each in (await inference.list_classifiers(ME, None, 1)).data] == [made.id]
            await inference.delete_classifier(ME, made.id)
            with pytest.raises(ClassifierNotFound):
                await inference.get_classifier(ME, made.id)
            assert await rows(database, ClassifierExample) == []
            told = [event.type for event in await rows(database, Event)]
            assert told == [
                "classifier.created",
                *["classifier.updated"] * 3,
                "classifier.deleted",
            ]

    async def test_all_that_is_wrong_is_named_at_once(self, acme: Scene) -> None:
        wrong = NewClassifier(
            name="x",
            form_id="frm_none",
            labels=[Label(name="a", examples=["same", "same "]), Label(name="a", examples=["same"])],
        )
        with pytest.raises(InvalidClassifier) as failed:
            await acme.inference.create_classifier(ME, wrong)
        assert [(fault.pointer, fault.code) for fault in failed.value.faults] == [
            ("/labels/1/name", "classifier.label_twice"),
            ("/labels/0/examples/1", "classifier.example_twice"),
            ("/labels/1/examples/0", "classifier.example_twice"),
            ("/form_id", "form.unknown"),
        ]
        made = await acme.inference.create_classifier(ME, new_classifier())
        with pytest.raises(InvalidClassifier) as failed:
            await acme.inference.correct(ME, made.id, Correction(text="x", label="none", response_id="rsp_none"))
        assert {fault.pointer for fault in failed.value.faults} == {"/label", "/response_id"}

    async def test_there_are_not_endlessly_many(self, acme: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("deployments.inference.classifiers.service.MAX_EXAMPLES", 9)
        made = await acme.inference.create_classifier(ME, new_classifier())
        with pytest.raises(InvalidClassifier, match="at most 9"):
            await acme.inference.correct(ME, made.id, Correction(text="one more", label="lost_card"))
        assert (await acme.inference.get_classifier(ME, made.id)).corrections == 0

    async def test_another_tenant_finds_nothing(self, acme: Scene) -> None:
        """T1: what is not there and what is another's answer alike, also to who has the id."""
        made = await trained(acme, ME)
        await make_tenant(acme.database, "other")
        stranger, inference = owner("other"), acme.inference
        for call in (
            inference.get_classifier(stranger, made.id),
            inference.train_classifier(stranger, made.id),
            inference.list_classifier_versions(stranger, made.id),
            inference.classify(stranger, ClassifyTexts(texts=["x"], classifier_id=made.id)),
            inference.correct(stranger, made.id, Correction(text="x", label="lost_card")),
            inference.list_uncertain(stranger, made.id, 5),
        ):
            with pytest.raises(ClassifierNotFound):
                await call

    async def test_who_may_not_label_may_not_read_the_examples(self, acme: Scene) -> None:
        made = await acme.inference.create_classifier(ME, new_classifier())
        viewer = Principal("acme", "usr_v", "user", scopes=frozenset({"ai:use"}))
        assert (await acme.inference.get_classifier(viewer, made.id)).id == made.id
        with pytest.raises(Forbidden):
            await acme.inference.list_examples(viewer, made.id, None, 10, None)


class TestTraining:
    async def test_a_version_answers_and_an_earlier_one_can_again(self, acme: Scene) -> None:
        made = await trained(acme, ME)
        assert (made.active_version, made.latest_version) == (1, 1)
        assert await answer_of(acme, made.id, "My card was stolen yesterday") == "lost_card"
        (version,) = (await acme.inference.list_classifier_versions(ME, made.id)).data
        assert (version.number, version.active, version.examples) == (1, True, 9)
        text = "My card was stolen yesterday"
        await acme.inference.correct(ME, made.id, Correction(text=text, label="card_arrival"))
        second = await acme.inference.train_classifier(ME, made.id)
        assert await acme.inference.train_classifier(ME, made.id) == second  # while that waits
        await acme.run_job("acme", second.job_id)
        now = await acme.inference.classify(ME, ClassifyTexts(texts=[text], classifier_id=made.id))
        assert now.model == f"{made.id}@2"
        assert now.results[0].scores["card_arrival"] > now.results[0].scores["lost_card"]
        await acme.inference.activate_classifier_version(ME, made.id, 1)
        assert await answer_of(acme, made.id, text) == "lost_card"
        details = await acme.inference.get_classifier_version(ME, made.id, 2)
        assert (details.report.examples, details.active) == (10, False)
        with pytest.raises(ClassifierVersionNotFound):
            await acme.inference.activate_classifier_version(ME, made.id, 3)

    async def test_untrained_it_says_so(self, acme: Scene) -> None:
        made = await acme.inference.create_classifier(ME, new_classifier())
        with pytest.raises(ClassifierUntrained):
            await answer_of(acme, made.id, "x")

    async def test_corrections_start_a_training_by_themselves(self, acme: Scene) -> None:
        """After so many as it says; those that came while it trained count for the next."""
        made = await acme.inference.create_classifier(ME, new_classifier(retrain_after=2))
        said = [
            await acme.inference.correct(ME, made.id, Correction(text=f"correction {number}", label="lost_card"))
            for number in range(3)
        ]
        assert [each.corrections for each in said] == [1, 2, 3]
        assert said[0].job_id is None
        assert said[1].job_id == said[2].job_id
        await acme.run_job("acme", str(said[1].job_id))
        after = await acme.inference.get_classifier(ME, made.id)
        assert (after.corrections, after.active_version) == (0, 1)
        assert [each.examples for each in after.labels] == [3, 3, 6]

    async def test_a_damaged_file_is_not_served(self, acme: Scene) -> None:
        made = await trained(acme, ME)
        (version,) = await rows(acme.database, ClassifierVersion)
        await acme.objects.put(version.file, b"something else")
        with pytest.raises(HeadDamaged):
            await answer_of(acme, made.id, "x")

    async def test_what_was_deleted_leaves_no_files(self, acme: Scene) -> None:
        made = await trained(acme, ME)
        ordered = await acme.inference.train_classifier(ME, made.id)
        await acme.inference.delete_classifier(ME, made.id)
        with pytest.raises(GiveUp):
            await acme.run_job("acme", ordered.job_id)
        await RemoveFiles(acme.objects).run(attempt("acme", {"folder": f"acme/classifiers/{made.id}"}))
        assert [key async for key, _ in acme.objects.below("acme")] == []

    async def test_only_the_latest_versions_are_kept(self, acme: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("deployments.inference.classifiers.service.MAX_VERSIONS", 1)
        made = await trained(acme, ME)
        for _ in range(2):
            await acme.run_job("acme", (await acme.inference.train_classifier(ME, made.id)).job_id)
        assert [each.number for each in await rows(acme.database, ClassifierVersion)] == [2, 3]
        assert len([key async for key, _ in acme.objects.below("acme")]) == 2

    async def test_a_killed_training_leaves_the_old_version_and_ends_with_one_more(
        self, acme: Scene, models_folder: Path, tmp_path: Path
    ) -> None:
        """J1: killed for real when the new file is stored and the row is not."""
        made = await trained(acme, ME)
        ordered = await acme.inference.train_classifier(ME, made.id)
        arguments = (acme.database.settings.url, str(tmp_path), str(models_folder), ordered.job_id)
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", DOOMED, *arguments, cwd=ROOT)
        assert await process.wait() == -signal.SIGKILL
        assert len([key async for key, _ in acme.objects.below("acme")]) == 2
        assert (await acme.inference.get_classifier(ME, made.id)).active_version == 1
        assert await answer_of(acme, made.id, "I lost my card") == "lost_card"
        for _ in range(2):  # the second one is that of a worker which only seemed dead
            await acme.run_job("acme", ordered.job_id)
        assert [each.number for each in await rows(acme.database, ClassifierVersion)] == [1, 2]
        assert len([key async for key, _ in acme.objects.below("acme")]) == 2


DOOMED = """
import asyncio, os, signal, sys
from pathlib import Path
from db.session import Database
from db.settings import DatabaseSettings
from deployments.kit.objects import ObjectStore
from tests.deployments.inference.scene import scene

put = ObjectStore.put

async def die(self, key, content):
    await put(self, key, content)
    os.kill(os.getpid(), signal.SIGKILL)

async def main():
    url, folder, models, job_id = sys.argv[1:]
    ObjectStore.put = die
    async with scene(Database(DatabaseSettings(url=url)), Path(folder), Path(models)) as acme:
        await acme.run_job("acme", job_id)

asyncio.run(main())
"""


class TestAnswers:
    @pytest.fixture
    async def form_id(self, acme: Scene) -> str:
        form = await make_form(acme.database, ME)
        for number, name in enumerate(("Where is my card?", "I lost my card", "hello there", "I lost my card")):
            await submit(acme, form.id, name, f"{number}@example.org")
        return form.id

    async def test_the_least_certain_come_first(
        self, acme: Scene, form_id: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Active learning: what is an example already is not asked for again."""
        new = NewClassifier(name="topics", form_id=form_id, field="name", labels=labels())
        made = await acme.inference.create_classifier(ME, new)
        with pytest.raises(ClassifierUntrained):
            await acme.inference.list_uncertain(ME, made.id, 10)
        await acme.run_job("acme", (await acme.inference.train_classifier(ME, made.id)).job_id)
        found = await acme.inference.list_uncertain(ME, made.id, 10)
        assert found.looked_at == 2
        assert [each.text for each in found.data] == ["hello there", "Where is my card?"]
        assert found.data[0].margin < found.data[1].margin
        (file,) = [key async for key, _ in acme.objects.below("acme")]
        assert file.startswith(f"acme/forms/{form_id}/classifiers/{made.id}/")  # it goes with its form
        monkeypatch.setattr("deployments.inference.classifiers.uncertain._CHARACTERS", 12)
        assert (await acme.inference.list_uncertain(ME, made.id, 10)).looked_at == 1
        plain = await acme.inference.create_classifier(ME, new_classifier("plain"))
        with pytest.raises(NoField):
            await acme.inference.list_uncertain(ME, plain.id, 10)
        stranger = Principal("acme", "usr_v", "user", scopes=frozenset({"ai:use"}))
        with pytest.raises(Forbidden):
            await acme.inference.list_uncertain(stranger, made.id, 10)

    async def test_what_was_learned_from_an_erased_response_goes_too(self, acme: Scene, form_id: str) -> None:
        """R8: the example goes with its response, then the versions that learned it; another is trained."""
        made = await acme.inference.create_classifier(ME, new_classifier())
        query = await Responses(acme.database).list_responses(ME, _listing(form_id))
        response_id = query.data[0].id
        said = Correction(text="I lost my card and I am Ada", label="lost_card", response_id=response_id)
        await acme.inference.correct(ME, made.id, said)
        await acme.run_job("acme", (await acme.inference.train_classifier(ME, made.id)).job_id)
        await finish_jobs(acme)
        copies = LearnedResponses(acme.database)
        assert await copies.remove_some("acme", [form_id]) == 0
        async with acme.database.write("acme") as unit:
            responses = ResponseRepository(unit.session, "acme")
            found = await responses.chosen(form_id, [response_id])
            await ResponseTrashRepository(unit.session, "acme").purge(found, utc_now())
        assert len(await rows(acme.database, ClassifierExample)) == 9
        with pytest.raises(Retry):
            await copies.remove_some("acme", [form_id])
        await ForgetLearned(acme.database, acme.objects).run(attempt("acme", {}))
        assert [key async for key, _ in acme.objects.below("acme/classifiers")] == []
        with pytest.raises(ClassifierUntrained):
            await answer_of(acme, made.id, "x")
        job = next(each for each in await rows(acme.database, Job) if each.kind == TRAIN and each.state == "queued")
        await acme.train().run(attempt_of(job))
        await finish_jobs(acme)
        assert await copies.remove_some("acme", [form_id]) == 0
        assert (await acme.inference.get_classifier(ME, made.id)).active_version == 2


async def submit(acme: Scene, form_id: str, name: str, email: str) -> None:
    command = SubmitResponse(form_id=form_id, body=orjson.dumps({"answers": {"name": name, "email": email}}))
    await Responses(acme.database).submit(ME, command)


async def finish_jobs(acme: Scene) -> None:
    """Nobody works here: what was run by hand is over."""
    async with acme.database.write("acme") as unit:
        await unit.session.execute(update(Job).where(col(Job.tenant_id) == "acme").values(state="succeeded"))


def _listing(form_id: str) -> ListResponses:
    return ListResponses(form_id=form_id)
