"""Labels for texts: by a trained head, or by labels that come with the request and are learned in it."""

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from typing import Final, Generic, TypeVar

import orjson

from deployments.inference.classifiers.service import digest_of
from deployments.inference.classifiers.training import described_as
from deployments.inference.classify_contracts import Classified, ClassifiedTexts, ClassifyTexts, Label
from deployments.inference.errors import InvalidClassifier
from deployments.kit.errors import DeadlineExceeded, Fault
from deployments.models.contracts import Embeddings, HeadRef, Judgements, LearningApi, Lesson, ModelsApi

MAX_INLINE_EXAMPLES: Final = 500
DEADLINE_S: Final = 10.0

_VECTORS_BYTES: Final = 32 << 20
_HEADS_BYTES: Final = 64 << 20

Key = TypeVar("Key")


class Kept(Generic[Key]):
    """Bytes by key, up to so many in all; what was not asked for longest goes first."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._found: OrderedDict[Key, bytes] = OrderedDict()
        self.size = 0

    def get(self, key: Key) -> bytes | None:
        """What was put there, if it is still kept."""
        if key in self._found:
            self._found.move_to_end(key)
        return self._found.get(key)

    def put(self, key: Key, content: bytes) -> None:
        """Keep it; what is larger than everything may be is not kept."""
        self.size += len(content) - len(self._found.pop(key, b""))
        self._found[key] = content
        while self.size > self._most_bytes:
            _, gone = self._found.popitem(last=False)
            self.size -= len(gone)


class Answering:
    """Asks the models. What one tenant's examples have led to is kept for that tenant only."""

    def __init__(self, models: ModelsApi, learning: LearningApi) -> None:
        self._models = models
        self._learning = learning
        self._vectors: Kept[tuple[str, str]] = Kept(_VECTORS_BYTES)
        self._heads: Kept[tuple[str, bytes]] = Kept(_HEADS_BYTES)

    def check(self, command: ClassifyTexts) -> None:
        """Raise InvalidClassifier with everything that is wrong with a request beside its shape."""
        faults = []
        if sum(each is not None for each in (command.labels, command.classifier_id, command.head)) != 1:
            faults.append(Fault("/labels", "classifier.one_of", "give one of labels, classifier_id and head"))
        names = [label.name for label in command.labels or ()]
        faults += [
            Fault(f"/labels/{number}/name", "classifier.label_twice", "a label is named once")
            for number, name in enumerate(names)
            if name in names[:number]
        ]
        if sum(len(label.examples) for label in command.labels or ()) > MAX_INLINE_EXAMPLES:
            detail = f"at most {MAX_INLINE_EXAMPLES} examples in all; more are for a classifier that is trained"
            faults.append(Fault("/labels", "length.max", detail))
        if faults:
            raise InvalidClassifier(faults=tuple(faults))

    async def by_head(self, head: HeadRef, texts: Sequence[str]) -> ClassifiedTexts:
        """What a head says. Raises what `ModelsApi.classify` does."""
        return answered(await self._models.classify(head, texts))

    async def by_labels(self, tenant_id: str, command: ClassifyTexts) -> ClassifiedTexts:
        """What examples and descriptions say that come with the request. Raises DeadlineExceeded."""
        labels = command.labels or []
        try:
            async with asyncio.timeout(DEADLINE_S):
                file = await self._learned(tenant_id, labels)
                vectors = await self._models.embed(command.texts)
                return answered(await self._learning.judge(file, command.texts, vectors))
        except TimeoutError as error:
            raise DeadlineExceeded("learning the labels took too long; train a classifier of them") from error

    async def _learned(self, tenant_id: str, labels: Sequence[Label]) -> bytes:
        said = hashlib.sha256(orjson.dumps([label.model_dump() for label in labels])).digest()
        if (kept := self._heads.get((tenant_id, said))) is not None:
            return kept
        described = await self._models.embed([described_as(label.name, label.description) for label in labels])
        texts = [(text, place) for place, label in enumerate(labels) for text in label.examples]
        vectors = await self._embedded(tenant_id, [text for text, _ in texts], described)
        lesson = Lesson(
            name="labels",
            version=said.hex()[:12],
            labels=tuple(label.name for label in labels),
            texts=tuple(text for text, _ in texts),
            places=tuple(place for _, place in texts),
        )
        learned = await self._learning.learn(lesson, vectors, described)
        self._heads.put((tenant_id, said), learned.file)
        return learned.file

    async def _embedded(self, tenant_id: str, texts: Sequence[str], like: Embeddings) -> Embeddings:
        """The vectors of examples; those that were asked for lately are not computed again."""
        keys = [(tenant_id, f"{like.model}:{digest_of(text)}") for text in texts]
        found = [self._vectors.get(key) for key in keys]
        missing = [number for number, vector in enumerate(found) if vector is None]
        if missing:
            made = await self._models.embed([texts[number] for number in missing])
            width = len(made.vectors) // len(missing)
            for place, number in enumerate(missing):
                found[number] = made.vectors[place * width : (place + 1) * width]
                self._vectors.put(keys[number], found[number] or b"")
        joined = b"".join(vector for vector in found if vector is not None)
        return Embeddings(model=like.model, dimensions=like.dimensions, vectors=joined)


def answered(judgements: Judgements) -> ClassifiedTexts:
    """Judgements as they are told: without a label where the best one is not to be believed."""
    results = []
    for scores in judgements.scores:
        best = max(range(len(scores)), key=scores.__getitem__)
        confidence = round(scores[best], 6)
        label = judgements.labels[best] if scores[best] >= judgements.threshold else None
        told = {name: round(score, 6) for name, score in zip(judgements.labels, scores, strict=True)}
        results.append(Classified(label=label, confidence=confidence, scores=told))
    return ClassifiedTexts(model=judgements.model, results=results)
