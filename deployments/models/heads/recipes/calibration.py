"""Probabilities made of margins that a machine gives to texts it has not seen (Platt, 1999)."""

from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, hstack
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.svm import LinearSVC

from deployments.kit.vectors import Vectors
from deployments.models.heads.recipes.ngrams import Ngrams

_FOLDS: Final = 5
_SEED: Final = 0

Blocks = tuple[Ngrams, ...]
Targets = NDArray[np.int64]
Weights = NDArray[np.float64]


def letters(texts: Sequence[str]) -> list[int]:
    """A number for the letters of each text: texts that differ in numbers and signs alone share it."""
    plain = ["".join(each for each in text.lower() if each.isalpha()) or text for text in texts]
    return [int.from_bytes(sha256(each.encode()).digest()[:4]) for each in plain]


def learnt(blocks: Sequence[Ngrams], texts: Sequence[str], vectors: Vectors) -> Any:
    """The features of `texts`, from which the blocks learn."""
    return hstack([csr_matrix(vectors), *(block.learn(texts) for block in blocks)]).tocsr()


def machine(features: Any, targets: Targets, cost: float, weights: Weights | None = None) -> LinearSVC:
    """What tells two labels apart; by `weights` some texts count more than others."""
    return LinearSVC(C=cost, random_state=_SEED).fit(features, targets, sample_weight=weights)


def unseen(
    blocks_of: Callable[[], Blocks],
    cost: float,
    texts: Sequence[str],
    targets: Targets,
    vectors: Vectors,
    weights: Weights | None = None,
) -> NDArray[np.float64]:
    """The margin that each text gets of a machine that has not seen it, nor what has the same letters."""
    margins = np.zeros(len(texts))
    folds = StratifiedGroupKFold(_FOLDS, shuffle=True, random_state=_SEED)
    for seen, others in folds.split(vectors, targets, letters(texts)):
        blocks = blocks_of()
        features = learnt(blocks, [texts[index] for index in seen], vectors[seen])
        rest = [texts[index] for index in others]
        given = hstack([csr_matrix(vectors[others]), *(block.weights(rest) for block in blocks)]).tocsr()
        found = machine(features, targets[seen], cost, None if weights is None else weights[seen])
        margins[others] = found.decision_function(given)
    return margins


def platt(margins: NDArray[np.float64], targets: Targets, weights: Weights | None = None) -> tuple[float, float]:
    """Slope and offset that make of a margin the logarithm of odds."""
    found = LogisticRegression(C=1e6).fit(margins.reshape(-1, 1), targets, sample_weight=weights)
    return float(found.coef_[0, 0]), float(found.intercept_[0])
