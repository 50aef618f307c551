"""What classifying takes and gives, and what a tenant's classifiers are."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from deployments.kit.contract import Contract
from deployments.kit.enrichment import BuiltInHead
from deployments.models.contracts import HeadReport

MAX_CLASSIFIED = 256
MAX_CLASSIFIED_TEXT = 20_000
MAX_LABELS = 200
MAX_EXAMPLES = 10_000
MAX_AT_ONCE = 1_000
MAX_EXAMPLE_TEXT = 5_000

_A_LABEL = r"^\S(.*\S)?$"

LabelName = Annotated[str, Field(min_length=1, max_length=100, pattern=_A_LABEL)]
Description = Annotated[str, Field(max_length=1_000)]
ExampleText = Annotated[str, Field(min_length=1, max_length=MAX_EXAMPLE_TEXT, pattern=r"\S")]
ClassifierName = Annotated[str, Field(min_length=1, max_length=100, pattern=_A_LABEL)]
Precision = Annotated[
    float,
    Field(
        gt=0.0,
        lt=1.0,
        description="The share of the answers that are to be right; where a text is less sure, there is no answer.",
    ),
]
RetrainAfter = Annotated[
    int, Field(ge=1, le=MAX_EXAMPLES, description="So many corrections train the next version by themselves.")
]


class Label(Contract):
    """What texts can be taken for: its name, what it means, and texts that have it."""

    name: LabelName
    description: Description = ""
    examples: list[ExampleText] = Field(default=[], max_length=MAX_AT_ONCE)


class ClassifyTexts(Contract):
    """Texts, and what is to tell them apart: labels, a trained classifier, or a built-in head."""

    texts: list[Annotated[str, Field(max_length=MAX_CLASSIFIED_TEXT)]] = Field(min_length=1, max_length=MAX_CLASSIFIED)
    labels: list[Label] | None = Field(
        default=None, min_length=2, max_length=64, description="With at most 500 examples in all."
    )
    classifier_id: str | None = Field(default=None, max_length=64)
    head: BuiltInHead | None = Field(default=None, description="One that comes with the platform.")


class Classified(Contract):
    """The label of a text, null where nothing is sure enough; how sure the best one is, and each."""

    label: str | None
    confidence: float
    scores: dict[str, float]


class ClassifiedTexts(Contract):
    """An answer for each text, and what gave it."""

    model: str
    results: list[Classified]


class NewClassifier(Contract):
    """A classifier to be trained; `form_id` and `field` are the answers that it is about."""

    name: ClassifierName
    form_id: str | None = Field(default=None, max_length=64)
    field: str | None = Field(default=None, max_length=200)
    labels: list[Label] = Field(min_length=2, max_length=MAX_LABELS)
    precision: Precision = 0.9
    retrain_after: RetrainAfter | None = None


class LabelChange(Contract):
    """A label with its description; the examples of a label that stays are kept."""

    name: LabelName
    description: Description = ""


class ClassifierChange(Contract):
    """What is given is changed. With `labels`, those that are not named are forgotten, with their examples; what was
    trained answers with the old ones until the next version."""

    name: ClassifierName | None = None
    labels: list[LabelChange] | None = Field(default=None, min_length=2, max_length=MAX_LABELS)
    precision: Precision | None = None
    retrain_after: Annotated[int, Field(ge=0, le=MAX_EXAMPLES, description="0 for never.")] | None = None


class LabelState(Contract):
    """A label and how many examples it has."""

    name: str
    description: str
    examples: int


class Classifier(Contract):
    """What tells a tenant's texts apart."""

    id: str
    name: str
    form_id: str | None
    field: str | None
    labels: list[LabelState]
    precision: float
    retrain_after: int | None
    active_version: int | None = Field(description="What answers; null until a version was trained.")
    latest_version: int | None
    corrections: int = Field(description="Those that no version has learned yet.")
    created_by: str
    created_at: datetime
    updated_at: datetime


class NewExample(Contract):
    """A text and its label."""

    text: ExampleText
    label: LabelName


class NewExamples(Contract):
    """Texts to learn from. One that is an example already gets the new label."""

    examples: list[NewExample] = Field(min_length=1, max_length=MAX_AT_ONCE)


class AddedExamples(Contract):
    """How many there are now, in all labels."""

    examples: int


class Correction(Contract):
    """The right label of a text that was answered; `response_id` is that of the response it comes from, with which the
    example goes when that is removed."""

    text: ExampleText
    label: LabelName
    response_id: str | None = Field(default=None, max_length=64)


class Corrected(Contract):
    """The example that came of it. `job_id` is that of the training that it started, if it did."""

    example_id: str
    corrections: int
    job_id: str | None


class Example(Contract):
    """What a classifier learns from."""

    id: str
    label: str
    text: str
    is_correction: bool
    response_id: str | None
    created_by: str
    created_at: datetime


class OrderedTraining(Contract):
    """The job that trains; one that still waits or runs, if there is."""

    job_id: str


class ClassifierVersion(Contract):
    """A version and what it is worth, without the confusion of single labels; `GET …/versions/{number}` has that."""

    number: int
    active: bool
    encoder: str
    sha256: str
    bytes: int
    labels: list[str]
    threshold: float = Field(description="Below this confidence it gives no answer.")
    examples: int
    accuracy: float | None
    macro_f1: float | None
    trained_by: str
    trained_at: datetime


class ClassifierVersionDetails(ClassifierVersion):
    """A version with its whole report."""

    report: HeadReport


class ClassifierVersions(Contract):
    """The versions of a classifier, newest first."""

    data: list[ClassifierVersion]


class UncertainAnswer(Contract):
    """An answer that the classifier can hardly decide; `margin` is how much surer it is of the first label than of the
    second."""

    response_id: str
    text: str
    label: str
    second: str
    confidence: float
    margin: float


class UncertainAnswers(Contract):
    """The least certain first, of `looked_at` answers: the most recent ones that are no examples yet."""

    looked_at: int
    data: list[UncertainAnswer]
