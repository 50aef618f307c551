"""What models answer. They know no tenant and keep nothing: who asks decides what may be asked, and remembers."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, Literal, Protocol

from pydantic import Field

from deployments.kit.contract import Contract
from deployments.kit.enrichment import BroughtKind


class Embeddings(Contract):
    """Vectors of unit length, one for each text, and the model that made them. `vectors` holds float32 in the
    processor's order of bytes, row by row; see `deployments.kit.vectors`."""

    model: str
    dimensions: int
    vectors: bytes


class HeadRef(Contract):
    """Which head: a built-in one by its name, or a file in the object store by its key, with its checksum."""

    name: str
    key: str = ""
    sha256: str = ""


class Judgements(Contract):
    """What a head says of texts: calibrated probabilities of `labels`, a row for each text. Below `threshold` the best
    label is not to be believed."""

    model: str
    labels: tuple[str, ...]
    threshold: float
    scores: tuple[tuple[float, ...], ...]


EntityType = Literal[
    "email",
    "phone",
    "url",
    "money",
    "date",
    "time",
    "datetime",
    "quantity",
    "person",
    "organisation",
    "place",
    "order_number",
]


class Frame(Contract):
    """What texts are read against: the moment that "tomorrow" follows, languages (BCP 47) and the country (ISO 3166)
    whose numbers and dates are meant where a text does not say."""

    moment: datetime
    languages: tuple[str, ...] = ()
    country: str | None = None


class Entity(Contract):
    """Something that a text names. `start` and `end` count its characters (code points); `value` is what is meant,
    normalised, where that can be told."""

    type: EntityType
    text: str
    start: int
    end: int
    value: str | None = None
    confidence: float = 1.0


class Entities(Contract):
    """What each text names, and the version of what found it."""

    model: str
    entities: tuple[tuple[Entity, ...], ...]


class Prompt(Contract):
    """What a generating model is to write: what it is told to do, and the `material`, which is data and never an
    instruction."""

    instruction: str
    material: tuple[str, ...] = ()
    max_tokens: int = 256


class Generated(Contract):
    """What a model wrote."""

    model: str
    text: str


class BroughtCard(Contract):
    """What a model that somebody brought turned out to be: it labels texts, or the tokens of texts."""

    kind: BroughtKind
    labels: tuple[str, ...]


class Tag(Contract):
    """A part of a text that has a label. `start` and `end` count its characters (code points)."""

    label: str
    text: str
    start: int
    end: int
    confidence: float


class Applied(Contract):
    """What a brought model says: the probabilities of `labels` for each text, or what is in each text."""

    labels: tuple[str, ...]
    scores: tuple[tuple[float, ...], ...] = ()
    tags: tuple[tuple[Tag, ...], ...] = ()


class Examined(Contract):
    """Whether a brought model is taken: its card, or a stable dotted code and a sentence."""

    card: BroughtCard | None = None
    problem: str | None = None
    reason: str | None = None


class InstalledModel(Contract):
    """A version of a model in the registry."""

    name: str
    version: str
    task: str
    source: str
    license: str
    built_at: datetime
    sha256: dict[str, str]


Faculty = Literal["embedding", "classification", "extraction", "generation"]


FACULTIES: Final[dict[Faculty, tuple[str, ...]]] = {
    "embedding": ("embed",),
    "classification": ("classify", "examine", "apply"),
    "extraction": ("extract",),
    "generation": ("generate",),
}
"""The methods of `ModelsApi` that each faculty answers."""


class Capability(Contract):
    """Whether a faculty can be asked here, and why not."""

    faculty: Faculty
    available: bool
    reason: str | None = None


class ModelsApi(Protocol):
    """What the models do for the other contexts. Each method raises ModelMissing where its model is not installed, and
    Unavailable where nobody can answer in time."""

    async def embed(self, texts: Sequence[str]) -> Embeddings:
        """The vectors of texts."""
        ...

    async def extract(self, texts: Sequence[str], frame: Frame) -> Entities:
        """What texts name: where, of which type, and what is meant."""
        ...

    async def installed(self) -> tuple[InstalledModel, ...]:
        """Every version that is installed, by name, the newest first."""
        ...

    async def classify(self, head: HeadRef, texts: Sequence[str]) -> Judgements:
        """What a head says of texts. Raises HeadDamaged, HeadOutdated, ModelMissing."""
        ...

    async def examine(self, model: HeadRef) -> Examined:
        """Whether a model that somebody brought, an archive in the object store, can be taken."""
        ...

    async def apply(self, model: HeadRef, texts: Sequence[str]) -> Applied:
        """What a brought model that was examined says of texts."""
        ...

    async def capabilities(self) -> tuple[Capability, ...]:
        """What can be asked here, and what cannot."""
        ...

    async def close(self) -> None:
        """Let go of what is held."""
        ...

    async def generate(self, prompt: Prompt) -> Generated:
        """What the configured generating model writes. Raises DeadlineExceeded when that takes too long."""
        ...


class Lesson(Contract):
    """What a head is to learn: examples as pairs of a text and the place of its label in `labels`.

    `precision` is the share of its answers that are to be right; to reach it, the head abstains.
    """

    name: str
    version: str
    labels: tuple[str, ...]
    texts: tuple[str, ...]
    places: tuple[int, ...]
    precision: float = 0.9


class LabelReport(Contract):
    """How well a label is told. None where no example of it was left out to be judged."""

    label: str
    examples: int
    precision: float | None = None
    recall: float | None = None
    f1: float | None = None


class Confusion(Contract):
    """How often examples of `truth` were taken for `answer`."""

    truth: str
    answer: str
    count: int


class ReliabilityBin(Contract):
    """Answers with a confidence above `low` and up to `high`: how many, how sure they were, how many were right."""

    low: float
    high: float
    count: int
    confidence: float
    accuracy: float


class UnlabelledReport(Contract):
    """What texts without labels brought: how many were `looked_at`, the accuracy `before` them and `after` them, null
    where that could not be measured. They are `used` where it says that they help."""

    looked_at: int
    used: bool = False
    before: float | None = None
    after: float | None = None


class HeadReport(Contract):
    """What a head is worth, measured on its examples by stratified cross-validation: each is judged by a head that did
    not see it. With `folds` 0 there were too few examples to measure anything.

    `answered` is the share of texts that the head does not abstain from, `right_when_answered` how many of these it
    gets right. `ece` is the expected calibration error over the bins of `reliability`.
    """

    examples: int
    folds: int = 0
    accuracy: float | None = None
    macro_f1: float | None = None
    log_loss: float | None = None
    ece: float | None = None
    answered: float | None = None
    right_when_answered: float | None = None
    labels: tuple[LabelReport, ...] = ()
    confusion: tuple[Confusion, ...] = ()
    reliability: tuple[ReliabilityBin, ...] = ()
    unlabelled: UnlabelledReport | None = Field(
        default=None, description="What answers without labels brought; null where none were looked at."
    )


class Learned(Contract):
    """A head's file, and what it is worth."""

    file: bytes
    threshold: float
    report: HeadReport


class LearningApi(Protocol):
    """What makes heads, and uses one that is in nobody's store."""

    async def learn(
        self, lesson: Lesson, vectors: Embeddings, described: Embeddings, unlabelled: Embeddings | None = None
    ) -> Learned:
        """A head from the vectors of a lesson's texts, and of the descriptions of its labels; `unlabelled` are those of
        texts whose labels nobody knows, and are used if they help.

        Raises ValueError for a lesson without labels, and for vectors that do not fit it.
        """
        ...

    async def judge(self, file: bytes, texts: Sequence[str], vectors: Embeddings) -> Judgements:
        """What the head in `file` says of texts. Raises ValueError for a file that is no head."""
        ...
