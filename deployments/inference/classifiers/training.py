"""The jobs of classifiers: one trains a version, one removes the files of what is gone."""

import hashlib
import secrets
from collections.abc import Sequence
from typing import Final, NamedTuple

from db.models.classifiers import Classifier, ClassifierExample, ClassifierVersion
from db.repositories.answer_vectors import AnswerVectorRepository
from db.session import Database, UnitOfWork
from db.types import utc_now
from deployments.inference.classifiers import service
from deployments.inference.classifiers.places import folder_of
from deployments.inference.contracts import FORGET_LEARNED, TRAIN
from deployments.inference.search.vectors import rows_of
from deployments.kit.errors import DeadlineExceeded, Unavailable
from deployments.kit.objects import ObjectStore
from deployments.kit.vectors import stretched
from deployments.models.contracts import Embeddings, Learned, LearningApi, Lesson, ModelsApi
from eventing.events.classifiers import ClassifierTrained
from eventing.events.envelope import Origin
from eventing.jobs import Done, GiveUp, JobKind, JobRun, Retry
from eventing.outbox import record

UNLABELLED: Final = 5_000
"""Answers without labels that are looked at, the newest: of more, heads gain little (docs/decisions/0054)."""

_PAGE: Final = 1_000
_EMBEDDED_AT_ONCE: Final = 128
_AGAIN_S: Final = 10.0


class _Material(NamedTuple):
    """What a version is going to learn, and the circumstances in which it was read."""

    row: Classifier
    examples: list[ClassifierExample]
    pending: int


class TrainClassifier:
    """Makes one version. What a worker that died has written is found by nobody; the next attempt begins anew."""

    def __init__(self, database: Database, objects: ObjectStore, models: ModelsApi, learning: LearningApi) -> None:
        self._database = database
        self._objects = objects
        self._models = models
        self._learning = learning

    async def run(self, job: JobRun) -> Done:
        """Train, and let the new version answer. Raises GiveUp when the classifier is gone, Retry when it cannot be
        trained now."""
        made = await self._made(job)
        if made is None:
            material = await self._material(job)
            number = material.row.latest + 1
            try:
                learned, encoder = await self._learn(job, material, number)
            except (Unavailable, DeadlineExceeded) as error:
                raise Retry(error.detail, after_s=error.retry_after or _AGAIN_S) from error
            made = await self._keep(job, material, number, learned, encoder)
        return Done(
            {
                "classifier_id": made.classifier_id,
                "version": made.number,
                "examples": made.report["examples"],
                "accuracy": made.report["accuracy"],
            }
        )

    async def _made(self, job: JobRun) -> ClassifierVersion | None:
        async with self._database.read(job.tenant_id) as unit:
            return await service.classifiers_of(unit).version_of_job(job.payload["classifier_id"], job.id)

    async def _material(self, job: JobRun) -> _Material:
        examples: list[ClassifierExample] = []
        async with self._database.read(job.tenant_id) as unit:
            repository = service.classifiers_of(unit)
            row = await repository.find(job.payload["classifier_id"])
            if row is None:
                raise GiveUp("The classifier is gone.")
            names, after = {label["name"] for label in row.labels}, ""
            while page := await repository.examples(row.id, after, _PAGE):
                examples += [example for example in page if example.label in names]
                after = page[-1].id
        return _Material(row, examples, row.pending)

    async def _learn(self, job: JobRun, material: _Material, number: int) -> tuple[Learned, str]:
        row, examples = material.row, material.examples
        places = {label["name"]: place for place, label in enumerate(row.labels)}
        steps = len(examples) + 1
        described = await self._models.embed([described_as(**label) for label in row.labels])
        vectors = b""
        for start in range(0, len(examples), _EMBEDDED_AT_ONCE):
            await job.progress(start, steps)
            texts = [example.text for example in examples[start : start + _EMBEDDED_AT_ONCE]]
            vectors += (await self._models.embed(texts)).vectors
        await job.progress(len(examples), steps)
        lesson = Lesson(
            name=row.id,
            version=str(number),
            labels=tuple(places),
            texts=tuple(example.text for example in examples),
            places=tuple(places[example.label] for example in examples),
            precision=row.precision,
        )
        of_examples = Embeddings(model=described.model, dimensions=described.dimensions, vectors=vectors)
        unlabelled = await self._unlabelled(job.tenant_id, material, described)
        return await self._learning.learn(lesson, of_examples, described, unlabelled), described.model

    async def _unlabelled(self, tenant_id: str, material: _Material, like: Embeddings) -> Embeddings | None:
        """Stored vectors of the newest answers that the classifier is about and that are no examples; None when it is
        about no field. Those of another model cannot be compared with these."""
        row = material.row
        if row.form_id is None or row.field is None:
            return None
        labelled = {each.response_id for each in material.examples}
        found: list[bytes] = []
        before: str | None = None
        while (room := UNLABELLED - len(found)) > 0:
            async with self._database.read(tenant_id) as unit:
                vectors = AnswerVectorRepository(unit.session, tenant_id, row.form_id)
                page = await vectors.newest(row.field, like.model, before, _PAGE)
            found += [each.vector for each in page if each.response_id not in labelled][:room]
            if len(page) < _PAGE:
                break
            before = page[-1].response_id
        if not found:
            return None
        rows = stretched(rows_of(found))
        return Embeddings(model=like.model, dimensions=like.dimensions, vectors=rows.tobytes())

    async def _keep(
        self, job: JobRun, material: _Material, number: int, learned: Learned, encoder: str
    ) -> ClassifierVersion:
        # A name of its own for each attempt: a worker that lost its lease must not write into another one's file.
        folder = f"{folder_of(material.row)}/{job.id}"
        file = f"{folder}/{secrets.token_hex(8)}.onnx"
        await self._objects.put(file, learned.file)
        async with self._database.write(job.tenant_id) as unit:
            repository = service.classifiers_of(unit)
            row = await repository.find(material.row.id, for_update=True)
            gone: Sequence[str] = ()
            if row is None:
                made = None
            elif (made := await repository.version_of_job(row.id, job.id)) is not None:
                pass  # an attempt that seemed lost was quicker
            elif row.latest + 1 != number:
                raise Retry("Another version came in between.", after_s=0.0)
            else:
                made = self._version(job, material, number, learned, file, encoder)
                repository.add(made)
                row.latest = row.active = number
                row.pending = max(0, row.pending - material.pending)
                row.updated_at = made.trained_at
                fact = ClassifierTrained(
                    classifier_id=row.id,
                    classifier_version=number,
                    examples=learned.report.examples,
                    accuracy=learned.report.accuracy,
                )
                record(unit, fact, actor=job.created_by, origin=Origin())
                gone = await self._forget_old(unit, row)
                if row.retrain_after is not None and row.pending >= row.retrain_after:
                    await service.order(unit, row, job.created_by)
        if made is None:
            await self._objects.delete(file)
            raise GiveUp("The classifier is gone.")
        async for stray, _ in self._objects.below(folder):
            if stray != made.file:
                await self._objects.delete(stray)
        for old in gone:
            await self._objects.delete(old)
        return made

    async def _forget_old(self, unit: UnitOfWork, row: Classifier) -> Sequence[str]:
        """Rows go in the transaction, files after it; a file that is left then goes with the classifier."""
        repository = service.classifiers_of(unit)
        await unit.session.flush()
        old: Sequence[ClassifierVersion] = [
            each for each in await repository.versions(row.id) if each.number != row.active
        ][service.MAX_VERSIONS :]
        for each in old:
            await repository.remove_version(each)
        return [each.file for each in old]

    def _version(
        self, job: JobRun, material: _Material, number: int, learned: Learned, file: str, encoder: str
    ) -> ClassifierVersion:
        return ClassifierVersion(
            tenant_id=job.tenant_id,
            classifier_id=material.row.id,
            number=number,
            job_id=job.id,
            file=file,
            sha256=hashlib.sha256(learned.file).hexdigest(),
            bytes=len(learned.file),
            encoder=encoder,
            labels=[label["name"] for label in material.row.labels],
            threshold=learned.threshold,
            report=learned.report.model_dump(mode="json"),
            learned=sorted({each.response_id for each in material.examples if each.response_id is not None}),
            trained_by=job.created_by,
            trained_at=utc_now(),
        )


class ForgetLearned:
    """Takes away the versions that have learned from responses that are gone, and orders new ones in their place."""

    def __init__(self, database: Database, objects: ObjectStore) -> None:
        self._database = database
        self._objects = objects

    async def run(self, job: JobRun) -> Done:
        """Remove files and rows; run again it goes on."""
        removed = 0
        async with self._database.read(job.tenant_id) as unit:
            outlived = await service.classifiers_of(unit).outlived()
        for classifier_id, number in outlived:
            async with self._database.write(job.tenant_id) as unit:
                repository = service.classifiers_of(unit)
                row = await repository.find(classifier_id, for_update=True)
                version = await repository.version(classifier_id, number)
                if row is None or version is None:
                    continue
                # First the file: a row without one says that it is gone, a file without a row is found by nobody.
                await self._objects.delete(version.file)
                await repository.remove_version(version)
                if row.active == number:
                    row.active = None
                    await service.order(unit, row, job.created_by)
            removed += 1
            await job.progress(removed, len(outlived))
        return Done({"removed": removed})


class RemoveFiles:
    """Removes what classifiers have left in the object store."""

    def __init__(self, objects: ObjectStore) -> None:
        self._objects = objects

    async def run(self, job: JobRun) -> Done:
        """Remove everything below the folder; when it is gone already, that is fine."""
        removed = 0
        while count := await self._objects.delete_some(job.payload["folder"]):
            removed += count
            await job.progress(removed)
        return Done({"removed": removed})


def described_as(name: str, description: str) -> str:
    """A label in words, as a text that it could have."""
    words = name.replace("_", " ")
    return f"{words}: {description}" if description else words


def job_kinds(
    database: Database, objects: ObjectStore, models: ModelsApi, learning: LearningApi
) -> tuple[JobKind, ...]:
    """The jobs of classifiers."""
    train = TrainClassifier(database, objects, models, learning)
    return (
        JobKind(TRAIN, service.TRAIN_QUEUE, train.run, soft_limit_s=1_500.0, hard_limit_s=1_800.0, places=1),
        JobKind(FORGET_LEARNED, "default", ForgetLearned(database, objects).run, max_attempts=500),
        JobKind(service.REMOVE, "default", RemoveFiles(objects).run, max_attempts=20),
    )
