"""A tenant with classifiers, and the models as they are in production."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from db.models.jobs import Job
from db.repositories.jobs import JobRepository
from db.session import Database
from deployments.forms.deployment import Forms
from deployments.inference.classifiers.training import TrainClassifier
from deployments.inference.classify_contracts import Classifier, Label, NewClassifier
from deployments.inference.deployment import Inference
from deployments.kit.objects import ObjectStore
from deployments.kit.principal import Principal
from deployments.models.contracts import LearningApi
from deployments.models.deployment import Models
from deployments.models.heads.learning import Learning
from deployments.models.settings import ModelsSettings
from deployments.responses.deployment import Responses
from eventing.jobs import JobRun

LABELS = {
    "card_arrival": ("Where is my new card?", "My card has not come yet", "When will the card be here?"),
    "exchange_rate": ("What exchange rate do you use?", "How are rates computed?", "Is your currency rate good?"),
    "lost_card": ("I lost my card", "My card was stolen", "I cannot find my card any more"),
}


@dataclass
class Scene:
    """The context of inference on a database, and what its jobs need."""

    database: Database
    objects: ObjectStore
    models: Models
    inference: Inference
    learning: LearningApi

    def train(self) -> TrainClassifier:
        return TrainClassifier(self.database, self.objects, self.models, self.learning)

    async def run_job(self, tenant_id: str, job_id: str) -> None:
        """What a worker does with an ordered training."""
        job = await self.job(tenant_id, job_id)
        await self.train().run(attempt_of(job))

    async def job(self, tenant_id: str, job_id: str) -> Job:
        async with self.database.read(tenant_id) as unit:
            job = await JobRepository(unit.session, tenant_id).find(job_id)
        assert job is not None
        return job


def attempt_of(job: Job) -> JobRun:
    """One attempt at a job."""

    async def report(_done: int, _total: int | None) -> bool:
        return False

    return JobRun(
        tenant_id=job.tenant_id,
        id=job.id,
        payload=job.payload,
        attempt=1,
        created_by=job.created_by,
        soft_limit_s=60.0,
        report=report,
    )


@asynccontextmanager
async def scene(database: Database, folder: Path, models_folder: Path) -> AsyncIterator[Scene]:
    objects = ObjectStore(f"file://{folder / 'objects'}")
    models = Models(ModelsSettings(folder=models_folder), objects)
    learning = Learning()
    inference = Inference(database, models, learning, Responses(database), Forms(database))
    yield Scene(database, objects, models, inference, learning)


def labels() -> list[Label]:
    return [Label(name=name, examples=list(texts)) for name, texts in LABELS.items()]


def new_classifier(name: str = "topics", retrain_after: int | None = None) -> NewClassifier:
    return NewClassifier(name=name, labels=labels(), retrain_after=retrain_after)


async def trained(scene: Scene, principal: Principal, name: str = "topics") -> Classifier:
    """A classifier with one version."""
    made = await scene.inference.create_classifier(principal, new_classifier(name))
    ordered = await scene.inference.train_classifier(principal, made.id)
    await scene.run_job(principal.tenant_id, ordered.job_id)
    return await scene.inference.get_classifier(principal, made.id)
