"""What the AI operations take and give."""

from typing import Annotated, Final, Protocol

from pydantic import Field

from deployments.inference import classify_contracts as classifying
from deployments.inference.brought_contracts import AppliedModel, ApplyModel, RegisteredModel, RegisterModel
from deployments.inference.enrichment_contracts import (
    Duplicates,
    Enrichment,
    Hits,
    OrderedEnrichment,
    OrderEnrichment,
    SearchResponses,
)
from deployments.inference.extract_contracts import ExtractEntities, Extraction
from deployments.inference.generate_contracts import GenerateApi, SummariesApi
from deployments.kit.contract import Contract, Page
from deployments.kit.principal import Principal
from deployments.models.contracts import Capability, InstalledModel

__all__ = ["SummariesApi"]

TRAIN: Final = "classifiers.train"
"""The job that trains a version of a classifier."""

FORGET_LEARNED: Final = "classifiers.forget"
"""The job that takes away what was learned from responses that are gone for good. Its payload is empty, its queue
`default`."""

MAX_TEXTS = 256
MAX_TEXT = 20_000

Text = Annotated[str, Field(max_length=MAX_TEXT)]
Texts = Annotated[list[Text], Field(min_length=1, max_length=MAX_TEXTS)]


class EmbedTexts(Contract):
    """Texts to turn into vectors; what is beyond 512 tokens of a text does not count."""

    texts: Texts


class EmbeddedTexts(Contract):
    """A vector of unit length for each text: the product of two is the cosine of their angle."""

    model: str
    dimensions: int
    vectors: list[list[float]]


class SpamTexts(Contract):
    """Messages to look at; long ones are looked at piece by piece."""

    texts: Texts


class SpamVerdict(Contract):
    """Whether a message is taken for spam, and the probability of that; of the most suspect piece."""

    spam: bool
    score: float


class SpamVerdicts(Contract):
    """A verdict for each text, and the model that made them."""

    model: str
    results: list[SpamVerdict]


class ModelList(Contract):
    """The models of this installation, what can be asked of them, and those that the tenant brought."""

    data: list[InstalledModel]
    capabilities: list[Capability]
    registered: list[RegisteredModel] = Field(description="What the tenant brought.")


class InferenceApi(GenerateApi, Protocol):
    """The door of inference, as the edge calls it."""

    async def embed(self, principal: Principal, command: EmbedTexts) -> EmbeddedTexts: ...

    async def list_models(self, principal: Principal) -> ModelList: ...

    async def enrichment(self, principal: Principal, form_id: str) -> Enrichment:
        """How far models are with the responses of a form. Raises FormNotFound."""
        ...

    async def order_enrichment(self, principal: Principal, form_id: str, command: OrderEnrichment) -> OrderedEnrichment:
        """Have models look again. Raises FormNotFound, NothingConfigured, Invalid, FeatureDisabled."""
        ...

    async def search(self, principal: Principal, form_id: str, command: SearchResponses) -> Hits:
        """Responses by meaning. Raises FormNotFound, Invalid, IndexBehind, FeatureDisabled."""
        ...

    async def similar(self, principal: Principal, response_id: str, field: str | None, limit: int) -> Hits:
        """Responses that are near to one. Raises ResponseNotFound, IndexBehind, FeatureDisabled."""
        ...

    async def duplicates(
        self, principal: Principal, form_id: str, field: str | None, at_least: float, among: int, limit: int
    ) -> Duplicates:
        """Answers that say nearly the same. Raises FormNotFound, IndexBehind, FeatureDisabled."""
        ...

    async def register_model(self, principal: Principal, command: RegisterModel) -> RegisteredModel: ...

    async def get_model(self, principal: Principal, model_id: str) -> RegisteredModel: ...

    async def delete_model(self, principal: Principal, model_id: str) -> None: ...

    async def apply_model(self, principal: Principal, model_id: str, command: ApplyModel) -> AppliedModel: ...
    async def extract(self, principal: Principal, command: ExtractEntities) -> Extraction: ...
    async def classify(self, principal: Principal, command: classifying.ClassifyTexts) -> classifying.ClassifiedTexts:
        """Labels of texts. Raises InvalidClassifier, ClassifierNotFound, ClassifierUntrained."""
        ...

    async def create_classifier(
        self, principal: Principal, command: classifying.NewClassifier
    ) -> classifying.Classifier: ...

    async def list_classifiers(
        self, principal: Principal, cursor: str | None, limit: int
    ) -> Page[classifying.Classifier]: ...

    async def get_classifier(self, principal: Principal, classifier_id: str) -> classifying.Classifier: ...

    async def change_classifier(
        self, principal: Principal, classifier_id: str, command: classifying.ClassifierChange
    ) -> classifying.Classifier: ...

    async def delete_classifier(self, principal: Principal, classifier_id: str) -> None: ...

    async def add_examples(
        self, principal: Principal, classifier_id: str, command: classifying.NewExamples
    ) -> classifying.AddedExamples: ...

    async def list_examples(
        self, principal: Principal, classifier_id: str, cursor: str | None, limit: int, label: str | None
    ) -> Page[classifying.Example]: ...

    async def delete_example(self, principal: Principal, classifier_id: str, example_id: str) -> None: ...

    async def correct(
        self, principal: Principal, classifier_id: str, command: classifying.Correction
    ) -> classifying.Corrected: ...

    async def train_classifier(self, principal: Principal, classifier_id: str) -> classifying.OrderedTraining: ...

    async def list_classifier_versions(
        self, principal: Principal, classifier_id: str
    ) -> classifying.ClassifierVersions: ...

    async def get_classifier_version(
        self, principal: Principal, classifier_id: str, number: int
    ) -> classifying.ClassifierVersionDetails: ...

    async def activate_classifier_version(
        self, principal: Principal, classifier_id: str, number: int
    ) -> classifying.Classifier: ...

    async def list_uncertain(
        self, principal: Principal, classifier_id: str, limit: int
    ) -> classifying.UncertainAnswers:
        """The answers of the classifier's field that it is least sure of. Raises NoField, ClassifierUntrained."""
        ...

    async def spam(self, principal: Principal, command: SpamTexts) -> SpamVerdicts: ...
