"""How calls of one kind are taken apart and put together: long ones become several, small ones are computed at once."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from deployments.models.contracts import Embeddings, Entities, Judgements

MAX_PART_TEXTS: Final = 32
MAX_PART_CHARACTERS: Final = 8_000
"""What one call carries at most, so that nobody waits long for a place in a batch. A longer text travels alone."""


@dataclass(frozen=True, slots=True)
class Batchable:
    """A method whose answer is a row for each text; `place` is where its arguments hold the texts."""

    place: int
    rows: Callable[[Any, int, int], Any]
    joined: Callable[[Sequence[Any]], Any]

    def texts(self, arguments: tuple[Any, ...]) -> Sequence[str]:
        """The texts of a call."""
        texts: Sequence[str] = arguments[self.place]
        return texts

    def about(self, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
        """What a call asks besides its texts: calls can be computed at once when this is equal."""
        return (*arguments[: self.place], *arguments[self.place + 1 :])

    def asking(self, arguments: tuple[Any, ...], texts: Sequence[str]) -> tuple[Any, ...]:
        """The same question of other texts."""
        return (*arguments[: self.place], tuple(texts), *arguments[self.place + 1 :])


def parts(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """The texts in their order, in groups of a bounded size; no text makes one empty group."""
    start = characters = 0
    for index, text in enumerate(texts):
        if index > start and (index - start >= MAX_PART_TEXTS or characters + len(text) > MAX_PART_CHARACTERS):
            yield texts[start:index]
            start, characters = index, 0
        characters += len(text)
    yield texts[start:]


def _vectors_of(all_of: Embeddings, start: int, end: int) -> Embeddings:
    row = 4 * all_of.dimensions
    return all_of.model_copy(update={"vectors": all_of.vectors[start * row : end * row]})


def _scores_of(all_of: Judgements, start: int, end: int) -> Judgements:
    return all_of.model_copy(update={"scores": all_of.scores[start:end]})


def _entities_of(all_of: Entities, start: int, end: int) -> Entities:
    return all_of.model_copy(update={"entities": all_of.entities[start:end]})


def _joined_vectors(some: Sequence[Embeddings]) -> Embeddings:
    return some[0].model_copy(update={"vectors": b"".join(each.vectors for each in some)})


def _joined_scores(some: Sequence[Judgements]) -> Judgements:
    return some[0].model_copy(update={"scores": tuple(row for each in some for row in each.scores)})


def _joined_entities(some: Sequence[Entities]) -> Entities:
    return some[0].model_copy(update={"entities": tuple(row for each in some for row in each.entities)})


BATCHABLE: Final = {
    "embed": Batchable(0, _vectors_of, _joined_vectors),
    "classify": Batchable(1, _scores_of, _joined_scores),
    "extract": Batchable(0, _entities_of, _joined_entities),
}
"""The methods of `ModelsApi` that are computed in batches."""
