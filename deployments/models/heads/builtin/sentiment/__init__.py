"""The built-in head `sentiment`, for English: trained here, see `deployments.models.heads.recipes.sentiment`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from deployments.kit.vectors import Vectors
from deployments.models.heads.builtin.language import language_head
from deployments.models.heads.head import Head, Scores

_FILE: Final = Path(__file__).with_name("sentiment.onnx")
_ENGLISH: Final = "en"


class SentimentHead:
    """Tells what English texts feel; what is known to be in another language gets the same score for each label, which
    is below the threshold."""

    needs_vectors = True

    def __init__(self) -> None:
        self._head = Head(_FILE.read_bytes())
        self._language = language_head()
        self.card = self._head.card

    def score(self, texts: Sequence[str], vectors: Vectors | None) -> Scores:
        """A probability for each label, float32 [texts, labels]."""
        scores = self._head.score(texts, vectors)
        languages, named = self._language.score(texts, None), self._language.card
        for row, said in enumerate(languages):
            best = int(said.argmax())
            if named.labels[best] != _ENGLISH and said[best] >= named.threshold:
                scores[row] = 1 / len(self.card.labels)
        return scores
