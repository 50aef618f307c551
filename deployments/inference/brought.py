"""The rules of models that tenants bring, and the jobs that check and remove them."""

from typing import Any, Final

from db.models import registered_models as table
from db.repositories.registered_models import RegisteredModelRepository
from db.repositories.storage import StorageRepository
from db.session import Database, UnitOfWork
from db.types import new_id, utc_now
from deployments.inference.brought_contracts import (
    MAX_MODELS,
    AppliedModel,
    AppliedText,
    RegisteredModel,
    RegisterModel,
)
from deployments.inference.errors import ModelNotFound, ModelNotReady, ModelOfOtherKind, TooManyModels
from deployments.kit.audit import audit
from deployments.kit.enrichment import BroughtKind
from deployments.kit.errors import NotFound
from deployments.kit.objects import ObjectStore
from deployments.kit.principal import Principal
from deployments.kit.quotas import StorageQuotaReached, require_room
from deployments.models.contracts import Applied, HeadRef, ModelsApi
from eventing.jobs import Done, JobKind, JobRun, JobSpec, enqueue

CHECK: Final = "inference.check_model"
DISCARD: Final = "inference.discard_model"
_QUEUE: Final = "batch"
# The models may be away for a while.
_ATTEMPTS: Final = 10


async def register(unit: UnitOfWork, principal: Principal, command: RegisterModel) -> RegisteredModel:
    """Keep the archive, and order its check. Raises NotFound for another tenant's file, TooManyModels,
    StorageQuotaReached."""
    if not command.file.startswith(f"{unit.tenant}/"):
        raise NotFound
    models = RegisteredModelRepository(unit.session, unit.tenant)
    storage = StorageRepository(unit.session, unit.tenant)
    await require_room(unit, StorageQuotaReached, storage.used, command.size)
    if await models.count() >= MAX_MODELS:
        raise TooManyModels(f"{MAX_MODELS} models are registered already")
    row = table.RegisteredModel(
        tenant_id=unit.tenant,
        id=new_id("mdl"),
        name=command.name,
        file=command.file,
        size=command.size,
        sha256=command.sha256,
        state="checking",
        labels=[],
        created_by=principal.subject,
        created_at=utc_now(),
    )
    models.add(row)
    await storage.add(command.file, command.size)
    await enqueue(unit, JobSpec(CHECK, {"model_id": row.id}, created_by=principal.subject, queue=_QUEUE))
    audit(unit, principal, "model.registered", row.id, name=row.name, sha256=row.sha256)
    return to_model(row)


async def find(unit: UnitOfWork, model_id: str, *, for_update: bool = False) -> table.RegisteredModel:
    """The tenant's model. Raises ModelNotFound."""
    models = RegisteredModelRepository(unit.session, unit.tenant)
    row = await models.find(model_id, for_update=for_update)
    if row is None:
        raise ModelNotFound
    return row


async def remove(unit: UnitOfWork, principal: Principal, model_id: str) -> None:
    """Forget a model, and order that its archive is removed. Raises ModelNotFound."""
    row = await find(unit, model_id, for_update=True)
    await RegisteredModelRepository(unit.session, unit.tenant).delete(row)
    await enqueue(unit, JobSpec(DISCARD, {"file": row.file}, created_by=principal.subject, queue=_QUEUE))
    audit(unit, principal, "model.deleted", row.id, name=row.name)


def ready(row: table.RegisteredModel) -> HeadRef:
    """Where a model is. Raises ModelNotReady unless it was checked and taken."""
    if row.state != "ready":
        raise ModelNotReady(f"the model is {row.state}")
    return _ref(row)


async def served(unit: UnitOfWork, model_id: str, kind: BroughtKind) -> HeadRef:
    """Where a model of this kind is. Raises ModelNotFound, ModelNotReady, ModelOfOtherKind."""
    row = await find(unit, model_id)
    model = ready(row)
    if row.kind != kind:
        raise ModelOfOtherKind(f"it labels {'parts of texts' if row.kind == 'token' else 'whole texts'}")
    return model


def told(model: HeadRef, kind: str | None, applied: Applied) -> AppliedModel:
    """What a model of this kind said, for whoever asked."""
    if kind == "token":
        results = [AppliedText(entities=list(tags)) for tags in applied.tags]
    else:
        results = [_judged(applied.labels, scores) for scores in applied.scores]
    return AppliedModel(model=f"{model.name}@{model.sha256[:12]}", results=results)


def to_model(row: table.RegisteredModel) -> RegisteredModel:
    """What is told of a model."""
    return RegisteredModel.model_validate(row.model_dump(exclude={"tenant_id", "file"}))


def _judged(labels: tuple[str, ...], scores: tuple[float, ...]) -> AppliedText:
    by_label = {label: round(score, 6) for label, score in zip(labels, scores, strict=True)}
    best = max(by_label, key=by_label.__getitem__)
    return AppliedText(label=best, confidence=by_label[best], scores=by_label)


def _ref(row: table.RegisteredModel) -> HeadRef:
    return HeadRef(name=row.id, key=row.file, sha256=row.sha256)


class CheckModel:
    """Has a model examined, and writes down what came of it. Run again, it examines again."""

    def __init__(self, database: Database, models: ModelsApi, objects: ObjectStore) -> None:
        self._database = database
        self._models = models
        self._objects = objects

    def kinds(self) -> tuple[JobKind, ...]:
        """The jobs."""
        return (
            JobKind(name=CHECK, run=self.check, queue=_QUEUE, max_attempts=_ATTEMPTS),
            JobKind(name=DISCARD, run=self.discard, queue=_QUEUE),
        )

    async def check(self, job: JobRun) -> Done:
        """Examine the model, wherever the models are."""
        model_id: str = job.payload["model_id"]
        async with self._database.read(job.tenant_id) as unit:
            row = await RegisteredModelRepository(unit.session, unit.tenant).find(model_id)
        if row is None:
            return Done()
        examined = await self._models.examine(_ref(row))

        async def effect(unit: UnitOfWork) -> None:
            row = await RegisteredModelRepository(unit.session, unit.tenant).find(model_id, for_update=True)
            if row is None:
                return
            row.state = "ready" if examined.card else "refused"
            row.problem, row.reason = examined.problem, examined.reason
            if examined.card is not None:
                row.kind, row.labels = examined.card.kind, list(examined.card.labels)

        outcome: dict[str, Any] = {"model_id": model_id, "problem": examined.problem}
        return Done(outcome, effect)

    async def discard(self, job: JobRun) -> Done:
        """Remove the archive of a model that is no more."""
        file: str = job.payload["file"]
        await self._objects.delete(file)

        async def effect(unit: UnitOfWork) -> None:
            await StorageRepository(unit.session, unit.tenant).remove(file)

        return Done(None, effect)
