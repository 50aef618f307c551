"""The door of inference: opens the unit of work, asks the models, calls the rules, returns contracts."""

from db.repositories.registered_models import RegisteredModelRepository
from db.session import Database
from deployments.forms.contracts import FormsApi
from deployments.inference import brought, extracting, spam
from deployments.inference import classify_contracts as classifying
from deployments.inference.brought_contracts import AppliedModel, ApplyModel, RegisteredModel, RegisterModel
from deployments.inference.classifiers import service as classifiers
from deployments.inference.classifiers.answering import Answering
from deployments.inference.classifiers.uncertain import least_certain
from deployments.inference.contracts import EmbeddedTexts, EmbedTexts, ModelList, SpamTexts, SpamVerdicts
from deployments.inference.enrichment import rescoring
from deployments.inference.enrichment_contracts import (
    Duplicates,
    Enrichment,
    Hits,
    OrderedEnrichment,
    OrderEnrichment,
    SearchResponses,
)
from deployments.inference.extract_contracts import ExtractEntities, Extraction
from deployments.inference.generating import Generating
from deployments.inference.replies import Replies
from deployments.inference.search.keeping import Indexes
from deployments.inference.search.searching import READ, Searching
from deployments.kit.contract import Page, PageMeta
from deployments.kit.features import require_feature, settings_of
from deployments.kit.pagination import decode_cursor, encode_cursor
from deployments.kit.principal import Principal
from deployments.kit.quotas import QuotaNotices
from deployments.kit.vectors import unpacked
from deployments.models.contracts import HeadRef, LearningApi, ModelsApi
from deployments.responses.contracts import ResponsesApi, Selection

_MEMORY = 256 * 1024 * 1024


class Inference(Generating):
    """What models say about texts; satisfies `InferenceApi`."""

    def __init__(
        self,
        database: Database,
        models: ModelsApi,
        learning: LearningApi,
        responses: ResponsesApi,
        forms: FormsApi,
        indexes: Indexes | None = None,
    ) -> None:
        self._database = database
        self._models = models
        self._responses = responses
        self._forms = forms
        self._replies = Replies(models)
        self._answering = Answering(models, learning)
        self._indexes = indexes or Indexes(database, None, memory=_MEMORY)
        self._searching = Searching(database, models, responses, self._indexes)
        self._quotas = QuotaNotices(database)

    async def embed(self, principal: Principal, command: EmbedTexts) -> EmbeddedTexts:
        await self._require(principal, "ai:use")
        embeddings = await self._models.embed(command.texts)
        vectors = unpacked(embeddings.vectors, embeddings.dimensions)
        return EmbeddedTexts(model=embeddings.model, dimensions=embeddings.dimensions, vectors=vectors.tolist())

    async def list_models(self, principal: Principal) -> ModelList:
        principal.require("ai:use")
        async with self._database.read(principal.tenant_id) as unit:
            registered = await RegisteredModelRepository(unit.session, unit.tenant).all()
        return ModelList(
            data=list(await self._models.installed()),
            capabilities=list(await self._models.capabilities()),
            registered=[brought.to_model(row) for row in registered],
        )

    async def register_model(self, principal: Principal, command: RegisterModel) -> RegisteredModel:
        principal.require("ai:write")
        tenant_id = principal.tenant_id
        async with self._quotas.telling(tenant_id), self._database.write(tenant_id) as unit:
            require_feature(await settings_of(unit), "ai")
            return await brought.register(unit, principal, command)

    async def get_model(self, principal: Principal, model_id: str) -> RegisteredModel:
        principal.require("ai:use")
        async with self._database.read(principal.tenant_id) as unit:
            return brought.to_model(await brought.find(unit, model_id))

    async def delete_model(self, principal: Principal, model_id: str) -> None:
        principal.require("ai:write")
        async with self._database.write(principal.tenant_id) as unit:
            await brought.remove(unit, principal, model_id)

    async def apply_model(self, principal: Principal, model_id: str, command: ApplyModel) -> AppliedModel:
        principal.require("ai:use")
        async with self._database.read(principal.tenant_id) as unit:
            require_feature(await settings_of(unit), "ai")
            row = await brought.find(unit, model_id)
        model = brought.ready(row)
        return brought.told(model, row.kind, await self._models.apply(model, command.texts))

    async def spam(self, principal: Principal, command: SpamTexts) -> SpamVerdicts:
        await self._require(principal, "ai:use")
        return await spam.judged(self._models, command.texts)

    async def _require(self, principal: Principal, permission: str) -> None:
        """Raise Forbidden without the permission, FeatureDisabled where the tenant has no AI."""
        principal.require(permission)
        async with self._database.read(principal.tenant_id) as unit:
            require_feature(await settings_of(unit), "ai")

    async def enrichment(self, principal: Principal, form_id: str) -> Enrichment:
        principal.require(READ, form_id)
        async with self._database.read(principal.tenant_id) as unit:
            return await rescoring.progress(unit, form_id)

    async def order_enrichment(self, principal: Principal, form_id: str, command: OrderEnrichment) -> OrderedEnrichment:
        principal.require("responses:write", form_id)
        await self._require_ai(principal)
        await self._responses.pick(principal, form_id, [], Selection(filter=command.filter, where=command.where))
        async with self._database.write(principal.tenant_id) as unit:
            return OrderedEnrichment(job_id=await rescoring.order(unit, principal, form_id, command))

    async def search(self, principal: Principal, form_id: str, command: SearchResponses) -> Hits:
        principal.require(READ, form_id)
        await self._require_ai(principal)
        return await self._searching.search(principal, form_id, command)

    async def similar(self, principal: Principal, response_id: str, field: str | None, limit: int) -> Hits:
        await self._require_ai(principal)
        return await self._searching.similar(principal, response_id, field, limit)

    async def duplicates(
        self, principal: Principal, form_id: str, field: str | None, at_least: float, among: int, limit: int
    ) -> Duplicates:
        principal.require(READ, form_id)
        await self._require_ai(principal)
        return await self._searching.duplicates(principal, form_id, field, at_least, among, limit)

    async def close(self) -> None:
        """End what is being made."""
        await self._indexes.close()
        await self._models.close()

    async def _require_ai(self, principal: Principal) -> None:
        """Raise FeatureDisabled where the tenant has no AI."""
        async with self._database.read(principal.tenant_id) as unit:
            require_feature(await settings_of(unit), "ai")

    async def extract(self, principal: Principal, command: ExtractEntities) -> Extraction:
        await self._require(principal, "ai:use")
        return await extracting.extract(self._models, command)

    # Classifying.

    async def classify(self, principal: Principal, command: classifying.ClassifyTexts) -> classifying.ClassifiedTexts:
        await self._require(principal, "ai:use")
        self._answering.check(command)
        if command.head is not None:
            return await self._answering.by_head(HeadRef(name=command.head), command.texts)
        if command.classifier_id is None:
            return await self._answering.by_labels(principal.tenant_id, command)
        async with self._database.read(principal.tenant_id) as unit:
            row = await classifiers.find(unit, principal, command.classifier_id)
            head = await classifiers.head_of(unit, row)
        return await self._answering.by_head(head, command.texts)

    async def create_classifier(
        self, principal: Principal, command: classifying.NewClassifier
    ) -> classifying.Classifier:
        await self._require(principal, classifiers.WRITE)
        async with self._database.write(principal.tenant_id) as unit:
            return await classifiers.shown(unit, await classifiers.create(unit, principal, command))

    async def list_classifiers(
        self, principal: Principal, cursor: str | None, limit: int
    ) -> Page[classifying.Classifier]:
        principal.require(classifiers.READ)
        before = decode_cursor(cursor, "classifiers", 1)[0] if cursor else None
        async with self._database.read(principal.tenant_id) as unit:
            rows = await classifiers.classifiers_of(unit).page(before, limit + 1)
            data = [await classifiers.shown(unit, row) for row in rows[:limit]]
        more = encode_cursor("classifiers", [data[-1].id]) if len(rows) > limit else None
        return Page[classifying.Classifier](data=data, meta=PageMeta(limit=limit, next_cursor=more))

    async def get_classifier(self, principal: Principal, classifier_id: str) -> classifying.Classifier:
        async with self._database.read(principal.tenant_id) as unit:
            return await classifiers.shown(unit, await classifiers.find(unit, principal, classifier_id))

    async def change_classifier(
        self, principal: Principal, classifier_id: str, command: classifying.ClassifierChange
    ) -> classifying.Classifier:
        async with self._database.write(principal.tenant_id) as unit:
            return await classifiers.shown(unit, await classifiers.change(unit, principal, classifier_id, command))

    async def delete_classifier(self, principal: Principal, classifier_id: str) -> None:
        async with self._database.write(principal.tenant_id) as unit:
            await classifiers.delete(unit, principal, classifier_id)

    async def add_examples(
        self, principal: Principal, classifier_id: str, command: classifying.NewExamples
    ) -> classifying.AddedExamples:
        async with self._database.write(principal.tenant_id) as unit:
            return await classifiers.add_examples(unit, principal, classifier_id, command)

    async def list_examples(
        self, principal: Principal, classifier_id: str, cursor: str | None, limit: int, label: str | None
    ) -> Page[classifying.Example]:
        sort = f"examples:{classifier_id}:{label or ''}"
        after = str(decode_cursor(cursor, sort, 1)[0]) if cursor else ""
        async with self._database.read(principal.tenant_id) as unit:
            # Who reads what was corrected reads answers: that is for those who label.
            row = await classifiers.find(unit, principal, classifier_id, classifiers.WRITE)
            rows = await classifiers.classifiers_of(unit).examples(row.id, after, limit + 1, label=label)
        more = encode_cursor(sort, [rows[limit - 1].id]) if len(rows) > limit else None
        data = [classifiers.to_example(each) for each in rows[:limit]]
        return Page[classifying.Example](data=data, meta=PageMeta(limit=limit, next_cursor=more))

    async def delete_example(self, principal: Principal, classifier_id: str, example_id: str) -> None:
        async with self._database.write(principal.tenant_id) as unit:
            await classifiers.remove_example(unit, principal, classifier_id, example_id)

    async def correct(
        self, principal: Principal, classifier_id: str, command: classifying.Correction
    ) -> classifying.Corrected:
        async with self._database.write(principal.tenant_id) as unit:
            return await classifiers.correct(unit, principal, classifier_id, command)

    async def train_classifier(self, principal: Principal, classifier_id: str) -> classifying.OrderedTraining:
        await self._require(principal, classifiers.WRITE)
        async with self._database.write(principal.tenant_id) as unit:
            row = await classifiers.find(unit, principal, classifier_id, classifiers.WRITE, for_update=True)
            return classifying.OrderedTraining(job_id=await classifiers.order(unit, row, principal.subject))

    async def list_classifier_versions(
        self, principal: Principal, classifier_id: str
    ) -> classifying.ClassifierVersions:
        async with self._database.read(principal.tenant_id) as unit:
            row = await classifiers.find(unit, principal, classifier_id)
            rows = await classifiers.classifiers_of(unit).versions(row.id)
            return classifying.ClassifierVersions(data=[classifiers.to_version(each, row.active) for each in rows])

    async def get_classifier_version(
        self, principal: Principal, classifier_id: str, number: int
    ) -> classifying.ClassifierVersionDetails:
        async with self._database.read(principal.tenant_id) as unit:
            row = await classifiers.find(unit, principal, classifier_id)
            return classifiers.to_details(await classifiers.version(unit, row, number), row.active)

    async def activate_classifier_version(
        self, principal: Principal, classifier_id: str, number: int
    ) -> classifying.Classifier:
        async with self._database.write(principal.tenant_id) as unit:
            return await classifiers.shown(unit, await classifiers.activate(unit, principal, classifier_id, number))

    async def list_uncertain(
        self, principal: Principal, classifier_id: str, limit: int
    ) -> classifying.UncertainAnswers:
        await self._require(principal, classifiers.READ)
        return await least_certain(self._database, self._models, self._responses, principal, classifier_id, limit)
