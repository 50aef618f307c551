"""The built-in head `language`: py3langid, whose labels are ISO 639 codes; `zxx` for what is no language."""

import importlib.metadata
from collections.abc import Sequence
from functools import cache
from typing import Final

import numpy as np
from py3langid.langid import MODEL_FILE, LanguageIdentifier

from deployments.kit.vectors import Vectors
from deployments.models.heads.head import HeadCard, Scores

# From here on more than 19 of 20 answers are right: chosen on half of what the card names, measured on the other.
THRESHOLD: Final = 0.4

_DISTRIBUTION: Final = "py3langid"
# Beyond these a text tells nothing new, and the time of the library grows with the length.
_READ: Final = 2_000


@cache
def language_head() -> "LanguageHead":
    """The one of this process; it takes some 60 MB."""
    return LanguageHead()


class LanguageHead:
    """Tells the language of texts, by their bytes."""

    needs_vectors = False

    def __init__(self) -> None:
        self._identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
        self.card = HeadCard(
            name="language",
            version=importlib.metadata.version(_DISTRIBUTION),
            labels=tuple(str(label) for label in self._identifier.labels),
            encoder="",
            threshold=THRESHOLD,
        )

    def score(self, texts: Sequence[str], _vectors: Vectors | None) -> Scores:
        """A probability for each language, float32 [texts, labels]."""
        scores = np.empty((len(texts), len(self.card.labels)), dtype=np.float32)
        for row, text in enumerate(texts):
            ranked = dict(self._identifier.rank(text[:_READ]))
            scores[row] = [ranked[label] for label in self.card.labels]
        return scores
