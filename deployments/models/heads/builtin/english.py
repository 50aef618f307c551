"""A head for English texts: of what is known to be in another language it says nothing."""

from collections.abc import Sequence
from typing import Final

from deployments.kit.vectors import Vectors
from deployments.models.heads.builtin.language import language_head
from deployments.models.heads.head import Head, Scores

_ENGLISH: Final = "en"


class EnglishHead:
    """What a head says of English texts; what is known to be in another language gets the same score for each label,
    which is below the threshold."""

    needs_vectors = True

    def __init__(self, head: Head) -> None:
        self._head = head
        self._language = language_head()
        self.card = head.card

    def score(self, texts: Sequence[str], vectors: Vectors | None) -> Scores:
        """A probability for each label, float32 [texts, labels]."""
        scores = self._head.score(texts, vectors)
        languages, named = self._language.score(texts, None), self._language.card
        for row, said in enumerate(languages):
            best = int(said.argmax())
            if named.labels[best] != _ENGLISH and said[best] >= named.threshold:
                scores[row] = 1 / len(self.card.labels)
        return scores
